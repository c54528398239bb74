"""What a relay has of an account: queues whose leases are renewed together, a function that is called once, letters."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from click.testing import CliRunner
from woken import put, records

from bench.emulators import Emulator
from bench.lambda_api import Failure, LambdaApi, Lost, Refusal
from bench.local import awaited, free_port
from facefleet.backends.aws.relay import LambdaFunction, RelayQueue, connect
from facefleet.calls import Refused, Unanswered
from facefleet.cli.__main__ import main
from facefleet.errors import BadMessage, BadSettings, Throttled, Unavailable
from facefleet.settings import Settings
from openstack_relay import letters
from openstack_relay.incoming import read
from openstack_relay.letters import of_event
from openstack_relay.spool import FILE, Spool

EVENT = records(put("clips", "test_0.mp4"))


@pytest.fixture
def settings(store: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    own = uuid4().hex[:8]
    given = {"BACKEND": "aws", "DATA": str(tmp_path), "RELAY_INPUT": f"in-{own}", "RELAY_OUTPUT": f"out-{own}"}
    told = {f"FACEFLEET_{name}": value for name, value in given.items()}
    for name, value in {**store.env, **told, "NO_PROXY": "127.0.0.1"}.items():
        monkeypatch.setenv(name, value)
    return Settings.from_env(told)


@pytest.fixture
def queues(settings: Settings) -> dict[str, RelayQueue]:
    """All four of a relay."""
    import boto3

    for name in (settings.relay_input, settings.relay_output):
        for end in ("", "-dead"):
            boto3.client("sqs").create_queue(QueueName=f"{name}{end}")
    account = connect(settings)
    named = {"input": settings.relay_input, "output": settings.relay_output}
    return {f"{end}{dead}": account.queue(f"{name}{dead}") for end, name in named.items() for dead in ("", "-dead")}


class Behind:
    """The function behind Lambda's door: does as it is told."""

    def __init__(self) -> None:
        self.then: Callable[[Any], Any] = lambda event: None
        self.knocked: Callable[[], object] = lambda: None


@pytest.fixture
def behind() -> Behind:
    return Behind()


@pytest.fixture
def api(behind: Behind) -> Iterator[LambdaApi]:
    with LambdaApi(lambda event: behind.then(event), knock=lambda: behind.knocked()).serving() as api:
        yield api


@pytest.fixture
def function(api: LambdaApi, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> LambdaFunction:
    monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", api.url)
    return connect(replace(settings, relay_timeout=1.0)).function


def raises(error: Exception) -> Callable[..., None]:
    def raising(*_: object) -> None:
        raise error

    return raising


def test_a_call_hands_over_the_event_and_says_which_call_it_is(function: LambdaFunction, api: LambdaApi) -> None:
    answer = function.call(EVENT, call="c1")
    (seen,) = api.seen
    assert (seen.event, seen.call, seen.request_id) == (EVENT, "c1", answer.request_id)
    assert answer.error is None


def test_to_ask_calls_nobody(function: LambdaFunction, api: LambdaApi) -> None:
    function.ask()
    assert (api.dry, api.seen) == (1, [])


def test_what_the_function_failed_with_is_its_answer(function: LambdaFunction, behind: Behind) -> None:
    behind.then = raises(Failure("no face"))
    assert function.call(EVENT, call="c").error == "Unavailable: no face"


def test_a_call_that_is_handed_over_is_not_waited_for(
    api: LambdaApi, behind: Behind, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", api.url)
    go_on = threading.Event()
    behind.then = lambda event: go_on.wait(30)
    answer = connect(replace(settings, relay_invocation="async")).function.call(EVENT, call="c")
    assert answer.error is None and len(api.seen) == 1
    go_on.set()


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (429, "TooManyRequestsException", Throttled),
        (404, "ResourceNotFoundException", Unavailable),
        (403, "AccessDeniedException", Unavailable),
        (403, "UnrecognizedClientException", Unavailable),
        (502, "KMSAccessDeniedException", Unavailable),
        (409, "ResourceNotReadyException", Unavailable),
        (413, "RequestTooLargeException", Refused),
        (400, "InvalidRequestContentException", Refused),
        (500, "ServiceException", Unanswered),
        (503, "ServiceUnavailable", Unanswered),
    ],
)
def test_what_lambda_says_no_with_is_told_by_what_can_be_done(
    function: LambdaFunction, behind: Behind, api: LambdaApi, status: int, code: str, kind: type[Exception]
) -> None:
    knocks = []
    behind.knocked = lambda: (knocks.append(1), raises(Refusal(status, code))())
    with pytest.raises((Unavailable, BadMessage)) as caught:
        function.call(EVENT, call="c")
    assert type(caught.value) is kind
    # Once: what botocore would have tried again, nobody would have written down.
    assert knocks == [1] and api.seen == []


def test_a_missing_function_is_named_and_what_to_do(function: LambdaFunction, behind: Behind) -> None:
    behind.knocked = raises(Refusal(404, "ResourceNotFoundException"))
    with pytest.raises(Unavailable, match="FACEFLEET_RELAY_FUNCTION"):
        function.ask()


@pytest.mark.parametrize("lost", [True, False])
def test_an_answer_that_is_lost_or_late_is_no_answer_and_one_call(
    function: LambdaFunction, behind: Behind, api: LambdaApi, lost: bool
) -> None:
    done = threading.Event()
    behind.then = raises(Lost()) if lost else lambda event: done.wait(30)
    with pytest.raises(Unanswered):
        function.call(EVENT, call="c")
    done.set()
    assert len(api.seen) == 1


def test_where_nobody_listens_nobody_was_called(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(Unavailable) as caught:
        connect(settings).function.call(EVENT, call="c")
    assert type(caught.value) is Unavailable


def test_without_a_region_the_settings_are_wrong(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    with pytest.raises(BadSettings, match="AWS_DEFAULT_REGION"):
        connect(settings)


def test_leases_of_many_are_renewed_together(settings: Settings, queues: dict[str, RelayQueue]) -> None:
    queue = connect(settings).queue(settings.relay_input, lease=2.0)
    for n in range(12):
        queue.send(str(n))
    held = queue.receive(limit=10) + queue.receive(limit=10)
    assert len(held) == 12
    queue.extend_all(held, seconds=60.0)
    time.sleep(2.5)
    assert queue.receive() == []
    assert all(queue.ack(message) for message in held)
    # Those that are gone are nobody's error.
    queue.extend_all(held, seconds=60.0)


def test_a_queue_is_found_by_name_and_by_address(settings: Settings, queues: dict[str, RelayQueue]) -> None:
    by_address = connect(settings).queue(queues["input"].url)
    by_address.send("it")
    assert by_address.name == settings.relay_input
    assert queues["input"].receive(wait=5)[0].body == "it"


def test_a_queue_that_is_missing_is_named_and_what_makes_it(settings: Settings) -> None:
    with pytest.raises(Unavailable, match="facefleet relay setup"):
        connect(settings).queue("nobodys")


def facefleet(*command: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["relay", *command])
    return done.exit_code, done.output


def letter_of(key: str) -> str:
    event = read(json.dumps(records(put("clips", key))))
    assert event is not None
    (letter,) = of_event(event, Unavailable("too slow", code="function_error"))
    return letter


def test_dead_letters_are_sent_again_to_the_queue_that_they_came_by(queues: dict[str, RelayQueue]) -> None:
    queues["input-dead"].send(letter_of("test_0.mp4"))
    queues["input-dead"].send(json.dumps(EVENT))
    queues["output-dead"].send(letters.of_message("half a line", BadMessage("what?")))
    code, told = facefleet("retry", "--dry-run")
    assert code == 0 and "3 dead letters lie there" in told
    assert "clips/test_0.mp4: function_error: too slow" in told and "received too often" in told
    code, told = facefleet("retry", "--json")
    assert code == 0 and len(told.splitlines()) == 3
    sent = [queues["input"].receive(wait=5, limit=1)[0].body for _ in range(2)]
    keys = [one.key for body in sent if (event := read(body)) for one in event.arrivals]
    assert keys == ["test_0.mp4", "test_0.mp4"]
    assert queues["output"].receive(wait=5)[0].body == "half a line"
    assert facefleet("retry") == (0, "0 dead letters were sent again\n")


def test_of_many_dead_letters_the_first_are_shown(
    queues: dict[str, RelayQueue], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("relay", "relay_letters"):
        monkeypatch.setattr(f"facefleet.cli.{module}.MOST_LISTED", 2)
    for number in range(3):
        queues["input-dead"].send(letter_of(f"test_{number}.mp4"))
    assert facefleet("retry", "--dry-run")[1].endswith("\n2 dead letters and more lie there\n")


def test_what_others_wrote_does_nothing_to_the_terminal(queues: dict[str, RelayQueue]) -> None:
    """Who may upload names objects."""
    queues["input-dead"].send(letter_of("a\x1b[31mb.mp4"))
    queues["output-dead"].send(letters.of_message("half\na line", BadMessage("what\x1b[2J?")))
    done = CliRunner().invoke(main, ["relay", "retry", "--dry-run"], color=True)
    assert "\x1b" not in done.output and len(done.output.splitlines()) == 3
    code, told = facefleet("retry", "--json")
    assert code == 0 and json.loads(told.splitlines()[0])["what"] == "clips/a\x1b[31mb.mp4"


def test_the_status_tells_of_spool_and_queues(settings: Settings, queues: dict[str, RelayQueue]) -> None:
    queues["output-dead"].send("x")
    code, told = facefleet("status")
    assert code == 1 and "no relay has run" in told
    Spool(settings.data / FILE).close()
    awaited(lambda: queues["output-dead"].depth().visible == 1, "counted")
    code, told = facefleet("status", "--json")
    assert code == 0
    assert json.loads(told)["queues"] == {
        "input": {"visible": 0, "in_flight": 0},
        "input dead": {"visible": 0, "in_flight": 0},
        "output": {"visible": 0, "in_flight": 0},
        "output dead": {"visible": 1, "in_flight": 0},
    }
    code, told = facefleet("status", "--watch", "--every", "0.1", "--seconds", "0.25")
    assert code == 0 and told.count("does not run") >= 2
