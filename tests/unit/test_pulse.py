"""What a worker says of itself, and how often; and that its lease waits for nothing else."""

import logging
import time
from itertools import pairwise
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from app_tier.outage import LONGEST_PAUSE
from app_tier.pulse import LONGEST_TURN, MAX_WORK, Pulse
from facefleet import answers, keys, wire
from facefleet.backends import connect
from facefleet.backends.aws.clients import CONNECT_TIMEOUT, READ_TIMEOUT, TRIES
from facefleet.errors import Unavailable
from facefleet.model import Message
from facefleet.ports import MAX_WAIT, Backend, Blobs
from facefleet.settings import Settings

TELL_EVERY = 0.3
PATIENCE = 20.0


def told_at(backend: Backend) -> float | None:
    data = answers.found(backend.blobs, keys.heartbeat("w"))
    return None if data is None else wire.load_heartbeat(data).at


def leased(backend: Backend) -> Message:
    backend.requests.send("anything")
    (message,) = backend.requests.receive()
    return message


def test_news_are_told_no_more_often_than_anybody_looks(tmp_path: Path) -> None:
    backend = connect(Settings(data=tmp_path))
    pulse = Pulse(backend.requests, backend.blobs, id="w", visibility_timeout=0.2, tell_every=TELL_EVERY)
    seen: list[float] = []
    deadline = time.monotonic() + PATIENCE
    with pulse.beating(Event()):
        # A job after the other, so that there is always news.
        while len(seen) < 4:
            assert time.monotonic() < deadline
            with pulse.holding(leased(backend)):
                at = told_at(backend)
            if at is not None and at not in seen:
                seen.append(at)
    assert all(later - earlier >= TELL_EVERY - 0.05 for earlier, later in pairwise(seen))


class Slow:
    """Passes on to real blobs; a put waits until it may go on, and a deletion fails."""

    def __init__(self, real: Blobs) -> None:
        self._real, self.asked, self.goes_on = real, Event(), Event()

    def put(self, key: str, data: bytes) -> None:
        self.asked.set()
        self.goes_on.wait(PATIENCE)
        self._real.put(key, data)

    def delete(self, key: str) -> bool:
        raise Unavailable("storage is out")


@pytest.fixture
def slow(backend: Backend) -> Any:
    return Slow(backend.blobs)


@pytest.fixture
def backend(tmp_path: Path) -> Backend:
    return connect(Settings(data=tmp_path, visibility_timeout=0.3))


def test_a_lease_lasts_while_a_heartbeat_takes_longer_than_it(backend: Backend, slow: Any) -> None:
    pulse = Pulse(backend.requests, slow, id="w", visibility_timeout=0.3)
    with pulse.beating(Event()), pulse.holding(leased(backend)):
        assert slow.asked.wait(PATIENCE)
        taken = backend.requests.receive(wait=0.9)
        slow.goes_on.set()
    assert taken == []


def test_a_worker_whose_heartbeat_cannot_be_deleted_ends_well(
    backend: Backend, slow: Any, caplog: pytest.LogCaptureFixture
) -> None:
    slow.goes_on.set()
    with (
        caplog.at_level(logging.WARNING),
        Pulse(backend.requests, slow, id="w", visibility_timeout=0.3).beating(Event()),
    ):
        pass
    assert "stays" in caplog.text


def test_only_recognition_is_held_to_its_limit(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """What AWS leaves unanswered takes longer; a process that ended itself here would end the tests."""
    monkeypatch.setattr("app_tier.pulse.MAX_WORK", 0.05)
    pulse = Pulse(backend.requests, backend.blobs, id="w", visibility_timeout=0.3)
    with pulse.beating(Event()), pulse.holding(leased(backend)):
        with pulse.working():
            pass
        assert backend.requests.receive(wait=0.9) == []


def test_each_step_of_a_job_is_a_sign_of_life(backend: Backend) -> None:
    pulse = Pulse(backend.requests, backend.blobs, id="w", visibility_timeout=0.3)
    signs = [pulse.turned_at]
    with pulse.holding(leased(backend)):
        signs.append(pulse.turned_at)
        with pulse.working():
            signs.append(pulse.turned_at)
        signs.append(pulse.turned_at)
    assert all(earlier < later for earlier, later in pairwise(signs))


def test_a_worker_that_waits_for_aws_is_not_taken_for_one_that_hangs() -> None:
    """botocore pauses up to 1, 2, 4 s between its tries; two calls to the queue come one after the other."""
    pauses = sum(2**number for number in range(TRIES - 1))
    storage = TRIES * (CONNECT_TIMEOUT + READ_TIMEOUT) + pauses
    queue = TRIES * (CONNECT_TIMEOUT + MAX_WAIT + READ_TIMEOUT) + pauses
    assert max(2 * queue, queue + LONGEST_PAUSE, 2 * storage + queue, MAX_WORK) < LONGEST_TURN


def test_a_worker_whose_machine_goes_says_so_to_the_last_and_any_other_leaves_no_word(tmp_path: Path) -> None:
    backend = connect(Settings(data=tmp_path))
    for goes in (False, True):
        stop, leaving = Event(), Event()
        pulse = Pulse(backend.requests, backend.blobs, id="w", visibility_timeout=0.2, leaving=leaving)
        with pulse.beating(stop):
            if goes:
                leaving.set()
            stop.set()
        said = answers.found(backend.blobs, keys.heartbeat("w"))
        assert (said is not None and wire.load_heartbeat(said).leaves) is goes
