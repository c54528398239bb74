"""How uploads are sent: at which pace, how many at a time, and that each is told of once."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event, Lock

import pytest

from facefleet.cli.loading import engine
from facefleet.cli.loading.answer import INTERRUPTED, Answer, NoAnswer
from facefleet.cli.loading.engine import Outcome, Pace, Run
from facefleet.cli.loading.patience import Patience
from facefleet.cli.loading.work import Upload

PATIENCE = 10.0


class Door:
    """An entrance that does whatever a test says, and counts how many are in it."""

    def __init__(self, act: Callable[[Upload, Patience], object] = lambda upload, patience: None) -> None:
        self._act, self._lock = act, Lock()
        self.inside = self.most = self.closed = 0
        self.sent: list[float] = []

    def send(self, upload: Upload, patience: Patience) -> Answer:
        with self._lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
            self.sent.append(time.monotonic())
        try:
            self._act(upload, patience)
            return Answer(upload.stem)
        finally:
            with self._lock:
                self.inside -= 1

    def close(self) -> None:
        self.closed += 1


def uploads(count: int) -> list[Upload]:
    return [Upload(i, Path("a.jpg"), f"test_{i}.jpg") for i in range(count)]


def run(door: Door, count: int, *, concurrency: int = 4, rate: float | None = None, stop: Event | None = None) -> Run:
    return Run(uploads(count), lambda: door, Pace(concurrency, rate, PATIENCE), stop or Event())


def numbers(outcomes: list[Outcome]) -> list[int]:
    return sorted(outcome.upload.number for outcome in outcomes)


def test_each_upload_is_sent_and_told_of_once_and_entrances_are_closed() -> None:
    door = Door()
    outcomes = list(run(door, 200))
    assert numbers(outcomes) == list(range(200)) and len(door.sent) == 200
    assert all(outcome.answer == Answer(f"test_{outcome.upload.number}") for outcome in outcomes)
    assert door.closed == 4


def test_no_more_are_under_way_than_are_allowed() -> None:
    both = threading.Barrier(3, timeout=PATIENCE)
    door = Door(lambda upload, patience: both.wait())
    assert len(list(run(door, 12, concurrency=3))) == 12
    assert door.most == 3


def test_an_upload_that_fails_is_told_with_its_code_and_the_others_go_on() -> None:
    def act(upload: Upload, patience: Patience) -> None:
        if upload.number % 2:
            raise NoAnswer("not_an_image", "send another")

    outcomes = list(run(Door(act), 10))
    failed = [outcome for outcome in outcomes if outcome.failure is not None]
    assert len(failed) == 5 and {(o.failure.code, o.failure.detail) for o in failed if o.failure} == {
        ("not_an_image", "send another")
    }


def test_with_a_rate_uploads_begin_when_they_are_due_and_not_before() -> None:
    door, started = Door(), time.monotonic()
    outcomes = list(run(door, 10, rate=50.0))
    assert all(at - started >= i / 50 for i, at in enumerate(door.sent))
    assert time.monotonic() - started >= 9 / 50 and all(outcome.late >= 0 for outcome in outcomes)


def test_with_a_rate_a_latency_counts_from_when_the_upload_was_due() -> None:
    """A service that stalls once: with one upload at a time, those behind it waited for it, and say so."""
    door = Door(lambda upload, patience: time.sleep(0.3) if upload.number == 0 else None)
    outcomes = sorted(run(door, 5, concurrency=1, rate=100.0), key=lambda one: one.upload.number)
    due = [0.3 - i / 100 for i in range(5)]
    assert all(outcome.latency >= seconds - 0.02 for outcome, seconds in zip(outcomes, due, strict=True))
    assert all(outcome.late > 0.2 for outcome in outcomes[1:])


def test_without_a_rate_a_latency_counts_from_when_the_upload_was_sent() -> None:
    door = Door(lambda upload, patience: time.sleep(0.3) if upload.number == 0 else None)
    outcomes = sorted(run(door, 5, concurrency=1), key=lambda one: one.upload.number)
    assert outcomes[0].latency >= 0.3 and all(outcome.latency < 0.2 for outcome in outcomes[1:])


def test_once_stopped_nothing_more_is_sent_and_who_waits_to_try_again_ends() -> None:
    stop = Event()

    def act(upload: Upload, patience: Patience) -> None:
        stop.set()
        patience.pause(PATIENCE / 2)

    door, began = Door(act), time.monotonic()
    outcomes = list(run(door, 100, concurrency=2, stop=stop))
    assert time.monotonic() - began < PATIENCE / 2
    assert numbers(outcomes) == list(range(len(door.sent))) and len(door.sent) <= 2
    assert {outcome.failure.code for outcome in outcomes if outcome.failure} == {INTERRUPTED}


def test_once_stopped_an_upload_that_nobody_answers_is_told_of_as_one_that_was_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine, "GRACE", 0.1)
    stop, end = Event(), Event()

    def act(upload: Upload, patience: Patience) -> None:
        if upload.number == 3:
            stop.set()
            end.wait(PATIENCE)

    outcomes = list(run(Door(act), 100, concurrency=2, stop=stop))
    end.set()
    assert numbers(outcomes) == sorted({*numbers(outcomes)}), "none is told of twice"
    (abandoned,) = (outcome for outcome in outcomes if outcome.failure is not None)
    assert (abandoned.upload.number, abandoned.failure and abandoned.failure.code) == (3, INTERRUPTED)


def test_an_error_of_ours_ends_the_run_and_is_not_hidden() -> None:
    def act(upload: Upload, patience: Patience) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(run(Door(act), 100))


def test_an_upload_s_time_includes_its_pauses() -> None:
    patience = Patience(0.05, Event())
    with pytest.raises(NoAnswer, match=r"within 0\.05 s"):
        patience.pause(PATIENCE)
    assert not patience.lasts(0.01)
