"""Replies reach the one who waits, and nobody else; what is stored is the truth where a reply is lost."""

import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from facefleet import answers, wire
from facefleet.backends import connect
from facefleet.errors import Unavailable
from facefleet.model import Job, JobKind, Message, Result
from facefleet.ports import Backend, Queue
from facefleet.problems import Problem
from facefleet.settings import Settings
from web_tier.router import FIRST_LOOK_ELSEWHERE, MAX_LOOK_ELSEWHERE, ReplyRouter


@pytest.fixture
def backend(tmp_path: Path) -> Backend:
    return connect(Settings(data=tmp_path))


@pytest.fixture
def router(backend: Backend) -> Iterator[ReplyRouter]:
    with backend.open_replies() as replies:
        router = ReplyRouter(replies, backend.blobs)
        with router.running():
            yield router


def a_job(id: str) -> Job:
    return Job(id, JobKind.RECOGNISE, "a.jpg", submitted_at=100.0)


def send(backend: Backend, router: ReplyRouter, job_id: str, person: str) -> None:
    result = wire.result_to_json(Result(job_id, "a.jpg", person_id=person))
    backend.replies(router.reply_to).send(wire.dump_reply(job_id, result))


def test_each_waiter_gets_its_own_reply_whatever_the_order(backend: Backend, router: ReplyRouter) -> None:
    got: dict[str, str] = {}

    def wait(job_id: str, ready: threading.Barrier) -> None:
        with router.expecting(job_id) as future:
            ready.wait()
            result = router.wait(future, a_job(job_id), 20)
            got[job_id] = result["answer"] if result else ""

    ids = [f"job-{i}" for i in range(20)]
    ready = threading.Barrier(len(ids) + 1)
    threads = [threading.Thread(target=wait, args=(id, ready)) for id in ids]
    for thread in threads:
        thread.start()
    ready.wait()
    for id in reversed(ids):
        send(backend, router, id, f"person of {id}")
    for thread in threads:
        thread.join()
    assert got == {id: f"person of {id}" for id in ids}


def test_a_reply_that_comes_twice_is_harmless(backend: Backend, router: ReplyRouter) -> None:
    with router.expecting("a") as future:
        send(backend, router, "a", "paul")
        send(backend, router, "a", "paul")
        result = router.wait(future, a_job("a"), 20)
    with router.expecting("b") as future:
        send(backend, router, "b", "mary")
        other = router.wait(future, a_job("b"), 20)
    assert (result and result["answer"], other and other["answer"]) == ("paul", "mary")


def test_a_reply_that_is_not_ours_stops_nothing(backend: Backend, router: ReplyRouter) -> None:
    backend.replies(router.reply_to).send("rubbish")
    backend.replies(router.reply_to).send('{"v": 1, "id": "a", "result": {"id": "b"}}')
    with router.expecting("a") as future:
        send(backend, router, "a", "paul")
        assert router.wait(future, a_job("a"), 20)


def test_a_lost_reply_is_found_in_what_is_stored(
    backend: Backend, router: ReplyRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web_tier.router.FIRST_LOOK", 0.05)
    with router.expecting("a") as future:
        answers.store(backend.blobs, a_job("a"), Result("a", "a.jpg"))
        result = router.wait(future, a_job("a"), 20)
    assert result and result["answer"] == "unknown"


def test_all_who_wait_for_one_job_get_its_reply(backend: Backend, router: ReplyRouter) -> None:
    with router.expecting("a") as first, router.expecting("a") as second:
        with router.expecting("a"):
            pass  # who goes away takes nobody along
        send(backend, router, "a", "paul")
        results = [router.wait(future, a_job("a"), 20) for future in (first, second)]
    assert [result and result["answer"] for result in results] == ["paul", "paul"]
    assert router._waiting == {}, "nobody is kept who does not wait any more"


def test_a_waiter_of_a_job_that_another_process_sent_looks_at_what_is_stored_at_once_and_then_soon(
    backend: Backend, router: ReplyRouter
) -> None:
    answers.store(backend.blobs, a_job("a"), Result("a", "a.jpg"))
    with router.expecting("a") as future:
        began = time.monotonic()
        assert router.wait(future, a_job("a"), 20, elsewhere=True)
        assert time.monotonic() - began < FIRST_LOOK_ELSEWHERE
    with router.expecting("b") as future:
        threading.Timer(0.1, lambda: answers.store(backend.blobs, a_job("b"), Result("b", "b.jpg"))).start()
        began = time.monotonic()
        assert router.wait(future, a_job("b"), 20, elsewhere=True)
        assert time.monotonic() - began < MAX_LOOK_ELSEWHERE / 2


def test_a_waiter_gives_up_at_its_limit(router: ReplyRouter) -> None:
    with router.expecting("a") as future:
        assert router.wait(future, a_job("a"), 0.05) is None


def test_a_waiter_whose_job_was_purged_is_told(
    backend: Backend, router: ReplyRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web_tier.router.FIRST_LOOK", 0.05)
    answers.mark_purged(backend.blobs, now=99.0)
    with router.expecting("a") as future:
        assert router.wait(future, a_job("a"), 0.2) is None, "what came after a purge is not its matter"
        answers.mark_purged(backend.blobs, now=101.0)
        with pytest.raises(Problem) as told:
            router.wait(future, a_job("a"), 20)
    assert (told.value.status, told.value.code) == (410, "purged")


class Troubled:
    """A queue whose first receives fail."""

    def __init__(self, queue: Queue, troubles: list[Exception]) -> None:
        self.name = queue.name
        self.ack_all = queue.ack_all
        self._queue = queue
        self._troubles = troubles

    def receive(self, **how: object) -> list[Message]:
        if self._troubles:
            raise self._troubles.pop(0)
        return self._queue.receive(**how)


@pytest.mark.parametrize(
    ("trouble", "traces"), [(Unavailable("SQS does not answer"), 0), (KeyError("no such thing"), 3)], ids=str
)
def test_the_router_goes_on_after_whatever_befalls_it_and_tells_what_we_know_in_a_line(
    backend: Backend,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    trouble: Exception,
    traces: int,
) -> None:
    monkeypatch.setattr("web_tier.router.RETRY_AFTER", 0.01)
    with backend.open_replies() as replies:
        router = ReplyRouter(Troubled(replies, [trouble] * 3), backend.blobs)
        with caplog.at_level(logging.INFO), router.running(), router.expecting("a") as future:
            send(backend, router, "a", "paul")
            result = router.wait(future, a_job("a"), 20)
    assert result and result["answer"] == "paul"
    told = [record for record in caplog.records if record.name == "web_tier.router"]
    assert [record.message.partition(" in ")[0] for record in told] == ["replies: tried again"] * 3
    assert len([record for record in told if record.exc_info]) == traces


def test_the_longer_replies_cannot_be_had_the_less_often_they_are_asked_for(
    backend: Backend, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("web_tier.router.RETRY_AFTER", 0.01)
    monkeypatch.setattr("web_tier.router.MAX_RETRY_AFTER", 0.04)
    with backend.open_replies() as replies:
        router = ReplyRouter(Troubled(replies, [Unavailable("no")] * 5), backend.blobs)
        with caplog.at_level(logging.INFO), router.running(), router.expecting("a") as future:
            send(backend, router, "a", "paul")
            assert router.wait(future, a_job("a"), 20)
    pauses = [record.args[0] for record in caplog.records if record.name == "web_tier.router"]
    assert pauses == [0.01, 0.02, 0.04, 0.04, 0.04]
