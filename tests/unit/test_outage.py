"""A worker while storage does not answer: jobs wait, and none is given up."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app_tier.__main__ import ask
from app_tier.outage import LONGEST_PAUSE, RETRY_AFTER, Outage, longest_pause, parted
from app_tier.pulse import Pulse
from app_tier.worker import Worker
from facefleet import answers, keys, wire
from facefleet.backends import connect
from facefleet.errors import Unavailable
from facefleet.model import Depth, Job, JobKind, Result
from facefleet.ports import Backend, Blobs, People
from facefleet.recognition.jobs import Jobs
from facefleet.settings import Settings

PATIENCE = 30.0
JOBS = [str(number) for number in range(8)]


class Storage:
    """Passes everything on to the real thing, but for as long as it is out."""

    def __init__(self, real: Blobs | People) -> None:
        self._real, self.out, self.refused = real, True, 0

    def __getattr__(self, name: str) -> Any:
        verb = getattr(self._real, name)

        def asked(*args: Any, **kwargs: Any) -> Any:
            if self.out:
                self.refused += 1
                raise Unavailable("storage is out")
            return verb(*args, **kwargs)

        return asked


@pytest.fixture
def backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Backend:
    monkeypatch.setattr("app_tier.outage.RETRY_AFTER", 0.01)
    monkeypatch.setattr("app_tier.outage.LONGEST_PAUSE", 0.05)
    return connect(Settings(data=tmp_path, max_receives=3))


@contextmanager
def working(backend: Backend, id: str) -> Iterator[None]:
    """A worker whose processing takes no time."""
    stop = threading.Event()
    pulse = Pulse(backend.requests, backend.blobs, id=id, visibility_timeout=5.0)
    jobs = Jobs(
        lambda job, image: Result(job.id, job.filename), backend.blobs, backend.replies, stands=lambda result: True
    )
    worker = Worker(
        backend.requests,
        jobs,
        pulse,
        idle=lambda: None,
        probe=lambda: ask(backend, pulse),
    )
    thread = threading.Thread(target=worker.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def await_that(it_is: Callable[[], bool]) -> None:
    waited = threading.Event()
    for _ in range(int(PATIENCE / 0.02)):
        if it_is():
            return
        waited.wait(0.02)
    raise AssertionError("not so in time")


def test_an_outage_of_storage_ends_no_job_however_long_it_lasts(backend: Backend) -> None:
    for id in JOBS:
        backend.requests.send(wire.dump_job(Job(id, JobKind.RECOGNISE, f"{id}.jpg", 0.0, image=b"x")))
    storage: Any = Storage(backend.blobs)
    with ExitStack() as workers:
        for id in ("a", "b"):
            workers.enter_context(working(replace(backend, blobs=storage), id))
        await_that(lambda: storage.refused > 100)
        assert backend.dead.depth() == Depth(0, 0)
        storage.out = False
        await_that(lambda: backend.requests.depth() == Depth(0, 0))
    assert backend.dead.depth() == Depth(0, 0)
    assert all(answers.stored(backend.blobs, id) for id in JOBS)


def test_while_storage_is_out_a_worker_takes_one_job_and_no_other(backend: Backend) -> None:
    for id in JOBS:
        backend.requests.send(wire.dump_job(Job(id, JobKind.RECOGNISE, f"{id}.jpg", 0.0, image=b"x")))
    storage: Any = Storage(backend.blobs)
    with working(replace(backend, blobs=storage), "a"):
        await_that(lambda: storage.refused > 50)
    counts = []
    while messages := backend.requests.receive(limit=10):
        counts += [message.receive_count for message in messages]
    assert sorted(counts) == [1] * (len(JOBS) - 1) + [2]


def test_what_is_asked_first_is_whether_people_can_be_read_and_a_blob_written(backend: Backend) -> None:
    pulse = Pulse(backend.requests, backend.blobs, id="w", visibility_timeout=5.0)
    ask(backend, pulse)
    assert wire.load_heartbeat(backend.blobs.get(keys.heartbeat("w"))).id == "w"
    storage: Any = Storage(backend.blobs)
    with pytest.raises(Unavailable):
        ask(backend, Pulse(backend.requests, storage, id="w", visibility_timeout=5.0))
    people: Any = Storage(backend.people)
    with pytest.raises(Unavailable):
        ask(replace(backend, people=people), pulse)


@given(st.integers(1, 1000))
def test_pauses_double_up_to_the_longest_and_part_by_chance(failures: int) -> None:
    pause = longest_pause(failures)
    assert pause == min(LONGEST_PAUSE, RETRY_AFTER * 2 ** (failures - 1))
    assert pause / 2 <= parted(pause) <= pause


def test_pauses_grow_until_a_job_is_done_even_where_what_is_asked_answers() -> None:
    outage = Outage()
    for failures in range(1, 9):
        outage.answered()
        assert outage.failed() <= longest_pause(failures) <= outage.rest(1)
        assert outage.in_doubt
    outage.is_over()
    assert not outage.in_doubt and outage.rest(1) == RETRY_AFTER
