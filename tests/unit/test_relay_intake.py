"""How a relay takes messages: so many at a time, none that could not be finished, and those in hand to their end."""

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from relays import Box, box

from bench.local import awaited
from facefleet.errors import NotFound, ServiceError, Unavailable
from facefleet.model import Message
from openstack_relay import pauses
from openstack_relay.intake import Intake
from openstack_relay.leases import Leases
from openstack_relay.pauses import LONGEST, SHORTEST, SHORTEST_PART, Pause
from openstack_relay.spool import Damaged

#: Seconds of a pause that follows some others, as short as they are here.
LONG = 0.2


@pytest.fixture
def queue(tmp_path: Path) -> Box:
    return box(tmp_path, "in")


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pauses, "SHORTEST", 0.05)


def nothing() -> None:
    """All is well."""


@contextmanager
def running(intake: Intake) -> Iterator[threading.Event]:
    stop = threading.Event()
    thread = threading.Thread(target=intake.run, args=(stop,))
    thread.start()
    try:
        yield stop
    finally:
        stop.set()
        thread.join(30)
        assert not thread.is_alive()


def intake_of(
    queue: Box, handle: Callable[[Message], None], *, most: int = 3, ask: Callable[[], None] = nothing
) -> Intake:
    return Intake(queue, handle, most=most, lease=60.0, ask=ask)


def test_so_many_are_at_work_at_a_time_and_no_more(queue: Box) -> None:
    lock, go_on = threading.Lock(), threading.Event()
    at_work, most = [0], [0]

    def handle(message: Message) -> None:
        with lock:
            at_work[0] += 1
            most[0] = max(most[0], at_work[0])
        assert go_on.wait(30)
        with lock:
            at_work[0] -= 1
        queue.ack(message)

    for n in range(20):
        queue.send(str(n))
    with running(intake_of(queue, handle)) as _:
        awaited(lambda: at_work[0] == 3, "three at work")
        # Nothing is held that nobody works on: another relay may take it.
        assert queue.depth().in_flight == 3
        go_on.set()
        awaited(lambda: queue.depth().backlog == 0, "all done")
    assert most == [3]


def test_asked_to_stop_it_finishes_what_is_in_hand_and_takes_no_more(queue: Box) -> None:
    begun, go_on, done = threading.Event(), threading.Event(), []

    def handle(message: Message) -> None:
        begun.set()
        assert go_on.wait(30)
        done.append(message.body)
        queue.ack(message)

    for n in range(5):
        queue.send(str(n))
    with running(intake_of(queue, handle, most=1)) as stop:
        assert begun.wait(30)
        stop.set()
        go_on.set()
    assert done == ["0"] and queue.depth().visible == 4


def test_nothing_is_received_until_what_failed_answers(queue: Box) -> None:
    away, asked, taken = threading.Event(), [0], []
    away.set()

    def ask() -> None:
        asked[0] += 1
        if away.is_set():
            raise Unavailable("away still")

    def handle(message: Message) -> None:
        taken.append(message.receive_count)
        if away.is_set():
            queue.release(message)
            raise Unavailable("away")
        queue.ack(message)

    intake = intake_of(queue, handle, most=1, ask=ask)
    queue.send("it")
    with running(intake):
        awaited(lambda: asked[0] >= 3, "asked again and again")
        assert taken == [1] and intake.pause.why == "away still"
        away.clear()
        awaited(lambda: queue.depth().backlog == 0, "done")
        awaited(lambda: intake.pause.why is None, "over")
    assert taken == [1, 2]


def test_a_queue_that_does_not_answer_is_waited_for(queue: Box) -> None:
    class Away(Box):
        failures = 2

        def receive(self, **about: object) -> list[Message]:
            if self.failures:
                self.failures -= 1
                raise Unavailable("the queue does not answer")
            return super().receive(**about)

    queue.__class__ = Away
    queue.send("it")
    with running(intake_of(queue, lambda message: queue.ack(message) and None)):
        awaited(lambda: queue.depth().backlog == 0, "done")


def test_a_fault_of_ours_stops_nobody(queue: Box, caplog: pytest.LogCaptureFixture) -> None:
    def handle(message: Message) -> None:
        if message.body == "bad":
            raise KeyError(message.body)
        queue.ack(message)

    for body in ("bad", "good", "good"):
        queue.send(body)
    with running(intake_of(queue, handle, most=1)):
        awaited(lambda: queue.depth().backlog == 1, "the good ones")
    assert queue.depth().in_flight == 1
    assert "left to come again" in caplog.text


@pytest.mark.parametrize("error", [NotFound("the queue is gone"), Damaged("the spool is")])
def test_what_the_next_one_would_meet_as_well_has_nothing_received(queue: Box, error: ServiceError) -> None:
    taken, errors = [], [error]

    def handle(message: Message) -> None:
        taken.append(message.body)
        queue.ack(message)
        if errors:
            raise errors[0]

    def ask() -> None:
        if errors:
            raise errors[0]

    for n in range(5):
        queue.send(str(n))
    intake = intake_of(queue, handle, most=1, ask=ask)
    with running(intake):
        awaited(lambda: intake.pause.why == str(error), "it says why")
        awaited(lambda: intake.pause.left() > LONG, "it goes on asking, later and later")
        assert taken == ["0"]
        errors.clear()
        awaited(lambda: len(taken) == 5, "all")


def test_a_loop_that_is_to_end_is_no_loop_that_hangs_however_long_the_last_message_takes(queue: Box) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def handle(message: Message) -> None:
        begun.set()
        assert go_on.wait(30)

    queue.send("it")
    intake = intake_of(queue, handle)
    with running(intake) as stop:
        assert begun.wait(30)
        stop.set()
        awaited(lambda: intake.turned_at == math.inf, "it waits for what is in hand alone")
        assert len(intake.leases) == 1
        go_on.set()


def test_the_leases_of_what_is_at_work_are_kept_together(queue: Box) -> None:
    now = [0.0]
    leases = Leases(queue, lease=60.0, clock=lambda: now[0])
    for n in range(4):
        queue.send(str(n))
    one, *others = queue.receive(limit=4)
    with leases.holding(one):
        now[0] = 30.0
        assert leases.longest() == 30.0
        for other in others:
            with leases.holding(other):
                leases.extend()
        assert queue.extended == 3
    assert len(leases) == 0 and leases.longest() == 0
    leases.extend()
    assert queue.extended == 3


def test_a_lease_that_cannot_be_renewed_is_tried_again(tmp_path: Path) -> None:
    class Away(Box):
        def extend_all(self, messages: object, *, seconds: float) -> None:
            self.extended += 1
            raise Unavailable("away") if self.extended % 2 else KeyError("a fault")

    queue = box(tmp_path, "in")
    queue.__class__ = Away
    queue.send("it")
    leases, done = Leases(queue, lease=0.03), threading.Event()
    thread = threading.Thread(target=leases.keep, args=(done,))
    with leases.holding(queue.receive()[0]):
        thread.start()
        awaited(lambda: queue.extended >= 3, "tried three times")
    done.set()
    thread.join()


def test_many_that_fail_together_are_one_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pauses, "SHORTEST", SHORTEST)
    now = [0.0]
    pause = Pause(clock=lambda: now[0])
    for _ in range(100):
        pause.begin("away")
    assert SHORTEST * SHORTEST_PART <= pause.left() <= SHORTEST


def test_a_pause_grows_while_it_fails_and_begins_anew_once_something_was_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pauses, "SHORTEST", SHORTEST)
    now, waited = [0.0], []
    pause = Pause(clock=lambda: now[0])
    for _ in range(12):
        pause.begin("away")
        waited.append(pause.left())
        now[0] += pause.left()
        pause.may_go_on()
    assert LONGEST * SHORTEST_PART <= waited[-1] <= LONGEST
    pause.is_over()
    pause.begin("away")
    assert pause.left() <= SHORTEST


def test_what_was_begun_before_a_failure_does_not_end_its_pause() -> None:
    pause = Pause(clock=lambda: 0.0)
    pause.begin("away")
    pause.is_over()
    assert pause.why == "away" and pause.left() > 0


def test_an_idle_loop_gives_signs_of_life(queue: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openstack_relay.intake.MAX_WAIT", 0.05)
    intake = intake_of(queue, lambda message: None)
    began = time.monotonic()
    with running(intake):
        awaited(lambda: intake.turned_at > began + 0.2, "a sign")
