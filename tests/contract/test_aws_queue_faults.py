"""Queues of SQS when SQS is slow, refuses, or is in the middle of something: what is sent is not lost, nobody hangs."""

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from threading import Event
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse, HeadersDict
from botocore.exceptions import EndpointConnectionError
from services import until

from facefleet.backends.aws.clients import Lanes, connect_all
from facefleet.backends.aws.queue import DeadLetters, SqsQueue
from facefleet.backends.aws.replies import ReplyQueues
from facefleet.errors import Unavailable
from facefleet.settings import Settings

from .conftest import OpenBackend

PATIENCE = 20.0

pytestmark = pytest.mark.parametrize("settings", ["aws"], indirect=True)


@pytest.fixture
def lanes(open_backend: OpenBackend) -> Lanes:
    """The test's own clients, to meddle in; all queues are there."""
    open_backend()
    return connect_all()[1]


@pytest.fixture
def queue(lanes: Lanes, settings: Settings) -> SqsQueue:
    return SqsQueue(lanes.send, settings.request_queue, visibility_timeout=600.0, lanes=lanes)


class Raw(BytesIO):
    """A body as urllib3 hands it to botocore."""

    def stream(self, **_: Any) -> Any:
        yield self.read()


def refuse(sqs: Any, operation: str, code: str, *, times: int = 1000) -> list[str]:
    """Has SQS refuse so many of the calls; returns what has been asked, as it is asked."""
    asked: list[str] = []

    def answer(request: Any, **_: Any) -> AWSResponse | None:
        asked.append(operation)
        if len(asked) > times:
            return None
        body = json.dumps({"__type": f"com.amazonaws.sqs#{code}", "message": "no"}).encode()
        headers = {"x-amzn-query-error": f"AWS.SimpleQueueService.{code};Sender"}
        return AWSResponse(request.url, 400, HeadersDict(headers), Raw(body))

    sqs.meta.events.register(f"before-send.sqs.{operation}", answer)
    return asked


def break_at(sqs: Any, operation: str, error: Exception, *, times: int = 1000) -> list[str]:
    asked: list[str] = []

    def fail(**_: Any) -> None:
        asked.append(operation)
        if len(asked) <= times:
            raise error

    sqs.meta.events.register(f"before-parameter-build.sqs.{operation}", fail)
    return asked


@pytest.mark.parametrize(
    ("raised", "seen"),
    [(RuntimeError("refreshed credentials are still expired"), Unavailable), (KeyError("x"), KeyError)],
    ids=str,
)
def test_a_receiver_never_hangs_whatever_befalls_its_call(
    queue: SqsQueue, lanes: Lanes, raised: Exception, seen: type[Exception]
) -> None:
    break_at(lanes.receive, "ReceiveMessage", raised)
    stop = Event()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(queue.receive, wait=PATIENCE, stop=stop)
        try:
            with pytest.raises(seen):
                waiting.result(PATIENCE)
        finally:
            stop.set()


def test_no_lease_waits_for_what_slows_sends_and_receives_down(queue: SqsQueue, lanes: Lanes) -> None:
    for body in "abc":
        queue.send(body)
    first, second, third = queue.receive(limit=3)
    for sqs in (lanes.send, lanes.receive):
        break_at(sqs, "*", EndpointConnectionError(endpoint_url="http://sqs"))
    assert queue.extend(first, seconds=60.0) and queue.release(second) and queue.ack(third)


def test_what_is_sent_while_a_purge_goes_on_stays_and_is_anothers_at_once(queue: SqsQueue, lanes: Lanes) -> None:
    for body in "abc":
        queue.send(body)
    sent = iter(["later"])
    lanes.receive.meta.events.register(
        "before-parameter-build.sqs.ReceiveMessage", lambda **_: [queue.send(body) for body in sent] and None
    )
    assert queue.purge() == 3
    assert [message.body for message in queue.receive(limit=10)] == ["later"]


def test_a_purge_of_requests_is_over_when_it_says_so(queue: SqsQueue, lanes: Lanes) -> None:
    """SQS's own goes on for a minute, and takes what is sent meanwhile."""
    asked = break_at(lanes.send, "PurgeQueue", AssertionError("SQS is asked to purge"))
    for i in range(25):
        queue.send(str(i))
    assert queue.purge() == 25
    assert (queue.depth().backlog, asked) == (0, [])


def test_what_another_has_on_lease_is_in_work_and_no_purge_takes_it(
    queue: SqsQueue, lanes: Lanes, settings: Settings
) -> None:
    queue.send("in work")
    (held,) = queue.receive()
    another = SqsQueue(lanes.send, settings.request_queue, visibility_timeout=600.0, lanes=lanes)
    assert another.purge() == 0
    assert queue.ack(held)


def test_a_second_purge_of_dead_letters_within_a_minute_is_no_error(lanes: Lanes, settings: Settings) -> None:
    dead = DeadLetters(lanes.send, f"{settings.request_queue}-dead", visibility_timeout=30.0, lanes=lanes)
    asked = refuse(lanes.send, "PurgeQueue", "PurgeQueueInProgress")
    dead.send("letter")
    assert dead.purge() == 1
    assert asked == ["PurgeQueue"]


def test_a_burst_asks_for_the_limit_once_and_keeps_it_when_sqs_does_not_answer(
    queue: SqsQueue, lanes: Lanes, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = break_at(lanes.send, "GetQueueAttributes", KeyError("x"), times=0)
    with ThreadPoolExecutor(16) as pool:
        assert len({*pool.map(lambda _: queue.max_message_bytes, range(200))}) == 1
    assert len(asked) == 1
    queue.send("x")
    assert len(asked) == 1


def test_a_web_process_starts_although_it_cannot_tidy_and_finds_its_queue_before_sqs_does(
    lanes: Lanes, settings: Settings
) -> None:
    for operation, code in (("ListQueues", "AccessDenied"), ("GetQueueUrl", "QueueDoesNotExist")):
        refuse(lanes.send, operation, code)
    with ReplyQueues(lanes.send, settings.response_queue, lanes=lanes).own() as own:
        own.send("hello")
        assert [message.body for message in own.receive(wait=PATIENCE)] == ["hello"]


def test_a_response_queue_that_was_taken_for_a_dead_owners_is_made_again_as_soon_as_sqs_allows(
    lanes: Lanes, settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("facefleet.backends.aws.replies.ALIVE_EVERY", 0.2)
    monkeypatch.setattr("facefleet.backends.aws.replies.ALIVE_AGAIN", 0.02)
    with caplog.at_level(logging.INFO), ReplyQueues(lanes.send, settings.response_queue, lanes=lanes).own() as own:
        refused = refuse(lanes.send, "CreateQueue", "QueueDeletedRecently", times=2)
        connect_all()[1].send.delete_queue(QueueUrl=own.url)
        until(lambda: len(refused) == 3)
        own.send("hello")
        assert [message.body for message in own.receive(wait=PATIENCE)] == ["hello"]
    assert [record.exc_info for record in caplog.records if "QueueDeletedRecently" in record.message] == [None] * 2


def test_an_owner_says_that_it_lives_whatever_befalls_it(
    lanes: Lanes, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for pause in ("ALIVE_EVERY", "ALIVE_AGAIN"):
        monkeypatch.setattr(f"facefleet.backends.aws.replies.{pause}", 0.02)
    said = break_at(lanes.send, "TagQueue", KeyError("whatever"), times=2)
    with ReplyQueues(lanes.send, settings.response_queue, lanes=lanes).own():
        until(lambda: len(said) >= 4)
