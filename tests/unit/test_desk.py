"""The desk refuses what is too much, and asks the queue how much waits now and then only."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from facefleet import keys, wire
from facefleet.backends import connect
from facefleet.errors import Unavailable
from facefleet.model import Depth
from facefleet.ports import Backend, Queue
from facefleet.problems import Problem
from facefleet.settings import Settings
from web_tier.cache import Cache
from web_tier.desk import Desk
from web_tier.probe import Probe
from web_tier.router import ReplyRouter

PATIENCE = 20.0


class Told:
    """A queue that is asked for its depth, which is a fixed one; `gate` keeps the answer back."""

    def __init__(self, queue: Queue, backlog: int) -> None:
        self._queue = queue
        self.backlog = backlog
        self.asked = 0
        self.is_asked = threading.Event()
        self.gate = threading.Event()
        self.gate.set()

    def __getattr__(self, name: str):
        return getattr(self._queue, name)

    def depth(self) -> Depth:
        self.asked += 1
        self.is_asked.set()
        assert self.gate.wait(PATIENCE)
        if self.backlog < 0:
            raise Unavailable("SQS does not answer")
        return Depth(self.backlog, 0)


@pytest.fixture
def backend(tmp_path: Path) -> Backend:
    return connect(Settings(data=tmp_path))


def desk_at(backend: Backend, requests: Told, *, max_backlog: int) -> Desk:
    cache = Cache(backend.people.version, backend.blobs, max_bytes=0)
    router = ReplyRouter(backend.requests, backend.blobs)
    return Desk(requests, backend.blobs, router, cache, max_backlog=max_backlog, max_uploads=100)


def leave(desk: Desk) -> None:
    probe = Probe("a.jpg", b"image")
    desk.leave(desk.recognition(probe), probe)


def test_a_burst_between_two_looks_at_the_queue_is_bounded(backend: Backend) -> None:
    requests = Told(backend.requests, backlog=7)
    desk = desk_at(backend, requests, max_backlog=10)
    for _ in range(3):
        leave(desk)
    with pytest.raises(Problem) as refused:
        leave(desk)
    assert (refused.value.code, requests.asked) == ("backlog_full", 1)


def test_what_is_sent_is_told_and_what_is_refused_is_not(backend: Backend) -> None:
    desk, told = desk_at(backend, Told(backend.requests, backlog=0), max_backlog=1), []
    probe = Probe("a.jpg", b"image")
    assert desk.ask(desk.recognition(probe), probe, timeout=0.0, sent=lambda: told.append("sent")) is None
    with pytest.raises(Problem):
        desk.ask(desk.recognition(probe), probe, timeout=0.0, sent=lambda: told.append("refused"))
    assert (told, backend.requests.depth().backlog) == (["sent"], 1)


def test_who_waits_for_what_was_sent_before_holds_no_image_and_is_not_counted(backend: Backend) -> None:
    desk = desk_at(backend, Told(backend.requests, backlog=0), max_backlog=0)
    probe = Probe("a.jpg", b"image")
    assert desk.wait(desk.recognition(probe), probe, timeout=0.0) is None
    assert (probe.image, backend.requests.depth().backlog) == (b"", 0)


def test_each_message_has_an_image_of_its_own_where_a_job_is_sent_twice(tmp_path: Path) -> None:
    backend = connect(Settings(data=tmp_path, max_message_bytes=1024))
    desk = desk_at(backend, Told(backend.requests, backlog=0), max_backlog=9)
    for _ in range(2):
        probe = Probe("a.jpg", bytes(2000))
        desk.leave(replace(desk.recognition(probe), id="a"), probe)
    jobs = [wire.load_job(message.body) for message in backend.requests.receive(limit=2)]
    assert [job.id for job in jobs] == ["a", "a"] and len({job.blob for job in jobs}) == 2


def test_what_its_client_put_into_a_blob_is_sent_as_it_lies_there_however_little_a_message_holds(
    tmp_path: Path,
) -> None:
    backend = connect(Settings(data=tmp_path, max_message_bytes=1024))
    desk = desk_at(backend, Told(backend.requests, backlog=0), max_backlog=9)
    uploads = [keys.upload("1", name) for name in ("a.mp4", "ü" * 66)]
    for key in uploads:
        backend.blobs.put(key, b"clip")
        probe = Probe(key.removeprefix(keys.uploads("1")), b"")
        desk.leave(replace(desk.video(probe), blob=key), probe)
    jobs = [wire.load_job(message.body) for message in backend.requests.receive(limit=2)]
    assert [(job.blob, job.image) for job in jobs] == [(key, None) for key in uploads]
    assert {info.key for info in backend.blobs.list(keys.INPUT)} == set(uploads)


def test_while_the_queue_is_slow_to_tell_its_depth_uploads_go_on(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web_tier.desk.DEPTH_AGE", -1.0)
    requests = Told(backend.requests, backlog=0)
    desk = desk_at(backend, requests, max_backlog=100)
    leave(desk)
    requests.gate.clear()
    requests.is_asked.clear()
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(leave, desk)
        assert requests.is_asked.wait(PATIENCE)
        for _ in range(20):
            leave(desk)
        assert backend.requests.depth().visible == 21
        requests.gate.set()
        slow.result(PATIENCE)
    assert requests.asked == 2


def test_while_the_queue_does_not_tell_its_depth_its_last_one_counts_and_what_was_sent_since(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web_tier.desk.DEPTH_AGE", -1.0)
    requests = Told(backend.requests, backlog=0)
    desk = desk_at(backend, requests, max_backlog=3)
    leave(desk)
    requests.backlog = -1
    for _ in range(2):
        leave(desk)
    with pytest.raises(Problem):
        leave(desk)
