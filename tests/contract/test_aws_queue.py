"""What only SQS has: a limit that its owner changes, delays, and response queues that outlive their process."""

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest

from facefleet.backends import connect
from facefleet.backends.aws.clients import Clients
from facefleet.backends.aws.queue import SqsQueue
from facefleet.backends.aws.replies import ALIVE_AT, GONE_AFTER
from facefleet.errors import NotFound, TooLarge, Unavailable
from facefleet.model import Depth
from facefleet.ports import Queue

from .conftest import Elsewhere, OpenBackend, Watched

PATIENCE = 20.0

pytestmark = pytest.mark.parametrize("settings", ["aws"], indirect=True)

OWN_A_QUEUE = """
with backend.open_replies() as own:
    print(own.name, flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def sqs(clients: Clients) -> Any:
    return clients.sqs


def url_of(queue: Queue) -> str:
    assert isinstance(queue, SqsQueue)
    return queue.url


def names(sqs: Any, prefix: str) -> list[str]:
    return [url.rpartition("/")[2] for url in sqs.list_queues(QueueNamePrefix=prefix).get("QueueUrls", ())]


def test_the_owner_of_a_queue_may_set_less_than_we_did(open_backend: OpenBackend, sqs: Any) -> None:
    """A grader sets 1,024 bytes, so that no image fits."""
    queue = open_backend().requests
    sqs.set_queue_attributes(QueueUrl=url_of(queue), Attributes={"MaximumMessageSize": "1024"})
    assert queue.max_message_bytes == 1024
    with pytest.raises(TooLarge, match="1024"):
        queue.send("x" * 1025)
    queue.send("x" * 1024)


def test_a_limit_that_is_lowered_later_is_met_at_the_first_message_that_is_too_long(
    open_backend: OpenBackend, sqs: Any
) -> None:
    queue = open_backend().requests
    assert queue.max_message_bytes > 1024
    sqs.set_queue_attributes(QueueUrl=url_of(queue), Attributes={"MaximumMessageSize": "1024"})
    with pytest.raises(TooLarge, match="1024"):
        queue.send("x" * 1025)


def test_what_is_delayed_counts_as_backlog(queue: Queue, sqs: Any) -> None:
    sqs.send_message(QueueUrl=url_of(queue), MessageBody="later", DelaySeconds=60)
    queue.send("now")
    assert queue.depth() == Depth(visible=1, in_flight=1)


def test_who_awaits_a_message_is_never_told(queue: Queue) -> None:
    queue.send("one")
    stop = Event()
    stop.set()
    assert not queue.await_any(wait=PATIENCE, stop=stop)
    assert not queue.await_any(wait=0.05)
    (one,) = queue.receive()
    assert one.receive_count == 1


def test_what_comes_to_a_receiver_that_was_told_to_stop_is_anothers_at_once(queue: Queue) -> None:
    stop = Watched()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(queue.receive, wait=PATIENCE, stop=stop)
        assert stop.slept_over.wait(PATIENCE)
        stop.set()
        assert waiting.result(PATIENCE) == []
    # The call that was left behind is still open, and brings this one.
    queue.send("one")
    received = [message.body for message in queue.receive(wait=PATIENCE)]
    # On lease for ten minutes, if nobody had given it back.
    assert received == ["one"]


def test_a_queue_that_is_not_there_says_what_makes_it(settings: Any) -> None:
    with pytest.raises(Unavailable, match="facefleet setup"):
        connect(settings)


def test_a_response_queue_goes_with_its_process(open_backend: OpenBackend, settings: Any, sqs: Any) -> None:
    backend = open_backend()
    with backend.open_replies() as own:
        backend.replies(own.name).send("hello")
        assert [message.body for message in own.receive(wait=PATIENCE)] == ["hello"]
        assert own.name in names(sqs, settings.response_queue)
    assert names(sqs, f"{settings.response_queue}-") == []
    with pytest.raises(NotFound):
        backend.replies(own.name).send("nobody waits")


def test_two_processes_never_share_a_response_queue(
    open_backend: OpenBackend, elsewhere: Elsewhere, settings: Any, sqs: Any
) -> None:
    open_backend()
    owners = [elsewhere(OWN_A_QUEUE) for _ in range(2)]
    assert len({owner.stdout.readline() for owner in owners}) == 2
    assert len(names(sqs, f"{settings.response_queue}-")) == 2


def test_the_response_queue_of_a_killed_process_is_removed_once_it_said_nothing_for_long(
    open_backend: OpenBackend, elsewhere: Elsewhere, settings: Any, sqs: Any
) -> None:
    backend = open_backend()
    owner = elsewhere(OWN_A_QUEUE)
    name = owner.stdout.readline().strip()
    owner.kill()
    backend.tidy()
    assert names(sqs, f"{settings.response_queue}-") == [name]
    url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    sqs.tag_queue(QueueUrl=url, Tags={ALIVE_AT: str(time.time() - GONE_AFTER - 1)})
    with backend.open_replies() as own:
        assert names(sqs, f"{settings.response_queue}-") == [own.name]


def test_queues_of_others_that_begin_alike_are_left_alone(open_backend: OpenBackend, settings: Any, sqs: Any) -> None:
    backend = open_backend()
    sqs.create_queue(QueueName=f"{settings.response_queue}-of-somebody")
    backend.tidy()
    assert names(sqs, settings.response_queue) == [settings.response_queue, f"{settings.response_queue}-of-somebody"]
