"""What becomes of messages of the input queue: done once, tried again, or with the dead letters, and why."""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from relays import Box, Doing, box, one_of, raising, told_of
from woken import TEST_EVENT

from facefleet import arrivals
from facefleet.errors import BadMessage, NotFound, ServiceError, TooLarge, Unavailable
from openstack_relay import letters
from openstack_relay.doing import Failed, Fate, Outcome
from openstack_relay.events import INTERRUPTIONS, Events
from openstack_relay.incoming import Event, read
from openstack_relay.spool import Spool
from openstack_relay.statements import State
from openstack_relay.status import Spooled, spooled

TRIES, TIMEOUT = 3, 90.0


@dataclass
class Here:
    folder: Path
    queue: Box
    dead: Box
    spool: Spool
    way: Doing
    events: Events

    def take(self, text: str | None = None) -> None:
        """Sends it, if anything, and handles what is there."""
        if text is not None:
            self.queue.send(text)
        self.events(one_of(self.queue))

    def come_again(self, text: str) -> None:
        """What was released waits no longer."""
        self.queue.purge()
        self.take(text)

    @property
    def seen(self) -> Spooled:
        return spooled(self.folder / "relay.db")

    @property
    def is_empty(self) -> bool:
        return self.queue.depth().backlog == 0

    def letters(self) -> list[dict[str, object]]:
        return [json.loads(body) for body in self.dead.bodies()]


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Here]:
    queue, dead, spool, way = box(tmp_path, "in"), box(tmp_path, "dead"), Spool(tmp_path / "relay.db"), Doing()
    yield Here(tmp_path, queue, dead, spool, way, Events(queue, lambda: dead, spool, way, tries=TRIES, timeout=TIMEOUT))
    spool.close()


def test_an_event_is_done_and_then_acked(here: Here) -> None:
    here.take(told_of("test_0.mp4"))
    assert [one.arrivals[0].key for one in here.way.given] == ["test_0.mp4"]
    assert here.is_empty and here.seen.events == {State.DONE: 1}


def test_what_came_twice_is_done_once(here: Here) -> None:
    for _ in range(2):
        here.take(told_of("test_0.mp4"))
    assert len(here.way.given) == 1
    assert here.is_empty and here.seen.deliveries == 2


@pytest.mark.parametrize("text", [json.dumps(TEST_EVENT), told_of("a.mp4", name="ObjectRemoved:Delete")])
def test_what_is_nothing_to_do_is_acked_and_counted_as_no_event(here: Here, text: str) -> None:
    here.take(text)
    assert here.is_empty and here.way.given == [] and here.seen.received == 0
    assert here.seen.aside == {"nothing to do": 1}


def test_poison_lies_with_the_dead_letters_and_says_why(here: Here) -> None:
    here.take("no event")
    (letter,) = here.letters()
    assert letter["requestPayload"] == "no event" and here.is_empty
    assert letter["responsePayload"]["errorType"] == "bad_message"
    assert here.seen.aside == {"bad_message": 1}


def test_what_failed_is_tried_again_and_then_lies_with_the_dead_letters(here: Here) -> None:
    here.way.then = raising(*(Failed("too slow", code="function_error") for _ in range(TRIES)))
    for tried in range(TRIES):
        assert here.seen.count(State.FAILED) == 0 and here.dead.depth().backlog == 0
        here.come_again(told_of("test_0.mp4"))
        assert len(here.way.given) == tried + 1
    (letter,) = here.letters()
    assert letter["responsePayload"] == {"errorType": "function_error", "errorMessage": "too slow"}
    assert here.is_empty and here.seen.events == {State.FAILED: 1}


def test_a_dead_letter_that_is_sent_again_is_done_anew(here: Here) -> None:
    here.way.then = raising(BadMessage("not now", code="bad_video"))
    here.take(told_of("test_0.mp4"))
    (letter,) = here.dead.bodies()
    here.take(letters.again(letter))
    assert here.seen.events == {State.FAILED: 1, State.DONE: 1}
    (replayed,) = here.way.given[1].arrivals
    assert replayed.is_replayed and replayed.key == "test_0.mp4"


def test_what_failed_rests_a_moment_before_it_comes_again(here: Here) -> None:
    here.way.then = raising(Failed("now"))
    here.take(told_of("test_0.mp4"))
    assert here.queue.receive() == [] and not here.is_empty


def test_how_long_it_rests_is_a_matter_of_its_failures_and_not_of_outages(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr("openstack_relay.pauses.after", lambda failures: asked.append(failures) or 0.0)
    here.queue.send(told_of("test_0.mp4"))
    here.way.then = raising(*(Unavailable("away") for _ in range(5)), Failed("now"), Failed("now"))
    for _ in range(5):
        with pytest.raises(Unavailable):
            here.take()
    here.take()
    here.take()
    assert asked == [1, 1, 1, 1, 1, 1, 2]


def test_while_a_call_without_an_answer_may_go_on_that_the_function_refuses_is_no_failure(here: Here) -> None:
    """It was killed in the middle, and its function says of each other call that it is at it."""
    now = [time.time()]
    events = Events(here.queue, lambda: here.dead, here.spool, here.way, tries=1, timeout=TIMEOUT, clock=lambda: now[0])
    event = read(told_of("test_0.mp4"))
    assert event is not None
    here.spool.received(event, sent_at=1.0)
    here.spool.call_ended(here.spool.call_begins(event.identity), "unanswered")
    here.way.then = raising(*(Failed("in progress") for _ in range(6)))
    for _ in range(5):
        here.queue.purge()
        here.queue.send(told_of("test_0.mp4"))
        events(one_of(here.queue))
    assert here.seen.events == {State.WAITING: 1}
    now[0] += TIMEOUT + 1
    here.queue.purge()
    here.queue.send(told_of("test_0.mp4"))
    events(one_of(here.queue))
    assert here.seen.events == {State.FAILED: 1}


def test_an_outage_is_nobodys_failure_however_long_it_lasts(here: Here) -> None:
    here.way.then = raising(*(Unavailable("away") for _ in range(5 * TRIES)))
    for _ in range(5 * TRIES):
        with pytest.raises(Unavailable):
            here.come_again(told_of("test_0.mp4"))
    here.come_again(told_of("test_0.mp4"))
    assert here.seen.events == {State.DONE: 1} and here.dead.depth().backlog == 0


@pytest.mark.parametrize("fault", [KeyError("x"), NotFound("it"), RecursionError()])
def test_a_fault_of_ours_is_tried_again_too_and_never_lost(
    here: Here, fault: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    here.way.then = raising(*(fault for _ in range(TRIES)))
    for _ in range(TRIES):
        here.come_again(told_of("test_0.mp4"))
    (letter,) = here.letters()
    assert letter["responsePayload"]["errorType"] == "internal_error"


def test_a_ways_own_letters_are_sent_before_the_ack(here: Here) -> None:
    def no_clip(event: Event) -> Outcome:
        error = {"code": "bad_video", "detail": "no clip"}
        return Outcome(Fate.FAILED, (arrivals.dead_letter(event.arrivals[0], error),))

    here.way.then = no_clip
    here.take(told_of("test_0.mp4"))
    assert [one["responsePayload"]["errorType"] for one in here.letters()] == ["bad_video"]
    assert here.is_empty and here.seen.events == {State.FAILED: 1}


@pytest.mark.parametrize("error", [Unavailable("make it"), NotFound("make it"), TooLarge("make it")])
def test_without_a_queue_for_dead_letters_poison_waits_and_says_why_and_the_rest_goes_on(
    here: Here, error: ServiceError, caplog: pytest.LogCaptureFixture
) -> None:
    def missing() -> Box:
        raise error

    way = Doing(raising(BadMessage("x")))
    events = Events(here.queue, missing, here.spool, way, tries=TRIES, timeout=TIMEOUT)
    for text in ("poison", told_of("test_0.mp4"), told_of("test_1.mp4")):
        here.queue.send(text)
        events(one_of(here.queue))
    assert here.queue.depth().backlog == 2 and caplog.text.count("make it") == 2
    # Once it is there, all that waited is told of, once.
    here.queue.purge()
    way.then = raising(BadMessage("x"))
    for text in ("poison", told_of("test_0.mp4")):
        here.queue.send(text)
        Events(here.queue, lambda: here.dead, here.spool, way, tries=TRIES, timeout=TIMEOUT)(one_of(here.queue))
    assert here.is_empty and len(here.letters()) == 2
    assert here.seen.aside == {"bad_message": 1} and here.seen.events == {State.DONE: 1, State.FAILED: 1}


def test_what_ends_the_process_again_and_again_is_given_up(here: Here, tmp_path: Path) -> None:
    text = told_of("test_0.mp4")
    event = read(text)
    assert event is not None
    for _ in range(INTERRUPTIONS * TRIES):
        here.spool.received(event, sent_at=1.0)
        Spool(tmp_path / "relay.db").close()
    here.take(text)
    assert here.way.given == [] and here.is_empty
    assert [one["responsePayload"]["errorType"] for one in here.letters()] == ["interrupted"]


def test_two_deliveries_at_the_same_time_are_one_at_work(here: Here) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(event: Event) -> Outcome:
        begun.set()
        assert go_on.wait(30)
        return Outcome()

    here.way.then = slow
    here.queue.send(told_of("test_0.mp4"))
    thread = threading.Thread(target=here.events, args=(one_of(here.queue),))
    thread.start()
    assert begun.wait(30)
    here.take(told_of("test_0.mp4"))
    go_on.set()
    thread.join()
    assert len(here.way.given) == 1
    # The other one rests, and is acked when it comes again.
    assert here.queue.depth().backlog == 1


class Lame(Spool):
    """A spool whose disk is full at one of its verbs."""

    lame = ""

    def __getattribute__(self, name: str) -> object:
        if name == super().__getattribute__("lame"):
            raise Unavailable("the spool cannot be written: make room")
        return super().__getattribute__(name)


@pytest.mark.parametrize("verb", ["received", "ended"])
def test_what_cannot_be_written_down_is_not_acked(here: Here, tmp_path: Path, verb: str) -> None:
    spool = Lame(tmp_path / "lame.db")
    events = Events(here.queue, lambda: here.dead, spool, here.way, tries=TRIES, timeout=TIMEOUT)
    spool.lame = verb
    here.queue.send(told_of("test_0.mp4"))
    with pytest.raises(ServiceError, match="make room"):
        events(one_of(here.queue))
    assert not here.is_empty
    assert len(here.way.given) == (verb == "ended")
    spool.lame = ""
    here.queue.purge()
    here.queue.send(told_of("test_0.mp4"))
    events(one_of(here.queue))
    assert here.is_empty
    spool.close()
