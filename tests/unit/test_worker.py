"""A worker against real queues and blobs: whatever fails in between, each job ends with one answer."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app_tier.pulse import EXIT_HUNG, Pulse
from app_tier.worker import REST, Worker
from facefleet import keys, wire
from facefleet.backends import connect
from facefleet.errors import NotFound, Unavailable
from facefleet.model import Box, Depth, Face, Job, JobKind, Message, Result, WorkerState
from facefleet.ports import MAX_WAIT, Backend, Queue
from facefleet.recognition.jobs import Jobs
from facefleet.settings import Settings

PATIENCE = 20.0


@pytest.fixture
def backend(tmp_path: Path) -> Backend:
    return connect(Settings(data=tmp_path, visibility_timeout=0.3, max_receives=50))


@pytest.fixture
def replies(backend: Backend) -> Iterator[Queue]:
    with backend.open_replies() as queue:
        yield queue


class Failing:
    """Passes everything on to the real thing, but the n-th call to one of `verbs`: that one fails, before or after."""

    def __init__(self, real: Any, verbs: tuple[str, ...], calls: "Calls") -> None:
        self._real, self._verbs, self._calls = real, verbs, calls

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._real, name)
        return self._calls.counted(value) if name in self._verbs else value


class Calls:
    def __init__(self, fail_at: int, *, after: bool) -> None:
        self.count, self._fail_at, self._after = 0, fail_at, after

    def counted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counting(*args: Any, **kwargs: Any) -> Any:
            self.count += 1
            failing = self.count == self._fail_at
            if failing and not self._after:
                raise Unavailable("gone before it was done")
            value = call(*args, **kwargs)
            if failing:
                raise Unavailable("gone after it was done")
            return value

        return counting


def recognised(job: Job, image: bytes) -> Result:
    return Result(job.id, job.filename, (Face(Box(0, 0, 9, 9), 0.5, person_id=image.decode()),))


def job(id: str, reply_to: str | None, *, image: bytes | None = b"paul", blob: str | None = None) -> Job:
    return Job(id, JobKind.RECOGNISE, f"{id}.jpg", 0.0, image=image, blob=blob, reply_to=reply_to)


def nothing() -> None:
    pass


def always(result: dict[str, Any]) -> bool:
    return True


def work_until(done: Callable[[], bool], backend: Backend, calls: Calls, process: Any = recognised) -> None:
    """Runs a worker in a thread until `done`."""
    requests = Failing(backend.requests, ("ack",), calls)
    blobs = Failing(backend.blobs, ("put", "put_all", "delete"), calls)

    def open_replies(name: str) -> Queue:
        queue: Queue = Failing(backend.replies(name), ("send",), calls)  # type: ignore[assignment]
        return queue

    pulse = Pulse(backend.requests, backend.blobs, id="w", visibility_timeout=0.3)
    stop = threading.Event()
    jobs = Jobs(process, blobs, open_replies, stands=always, working=pulse.working)
    worker = Worker(requests, jobs, pulse, idle=nothing, probe=nothing)
    thread = threading.Thread(target=worker.run, args=(stop,))
    with pulse.beating(stop):
        thread.start()
        waited = threading.Event()
        for _ in range(int(PATIENCE / 0.02)):
            if done():
                break
            waited.wait(0.02)
        stop.set()
        thread.join()
    assert done()


def received(replies: Queue) -> list[dict[str, Any]]:
    found = []
    while messages := replies.receive(limit=10):
        for message in messages:
            found.append(wire.load_reply(message.body))
            replies.ack(message)
    return found


@pytest.mark.parametrize("after", [False, True], ids=["before it is done", "after it is done"])
@pytest.mark.parametrize("fail_at", range(6))
def test_whichever_call_fails_the_job_ends_with_one_answer(
    backend: Backend, replies: Queue, monkeypatch: pytest.MonkeyPatch, fail_at: int, after: bool
) -> None:
    monkeypatch.setattr("app_tier.outage.RETRY_AFTER", 0.01)
    backend.blobs.put(keys.claim("j"), b"paul")
    backend.requests.send(wire.dump_job(job("j", replies.name, image=None, blob=keys.claim("j"))))
    work_until(lambda: backend.requests.depth() == Depth(0, 0), backend, Calls(fail_at, after=after))
    answers = received(replies)
    assert answers and all(answer == answers[0] for answer in answers), "twice is harmless, since it is the same"
    assert json.loads(backend.blobs.get(keys.result("j"))) == answers[0]
    assert answers[0]["answer"] == "paul"
    assert backend.blobs.get("out/j") == b"paul"


@pytest.mark.parametrize(("again", "looked_at"), [(True, 1), (False, 2)])
def test_a_job_that_is_sent_again_is_not_looked_at_again_where_its_result_lies(
    backend: Backend, replies: Queue, again: bool, looked_at: int
) -> None:
    """The first try of another message is no redelivery: only who sends it knows."""
    done: list[str] = []

    def process(job: Job, image: bytes) -> Result:
        done.append(job.id)
        return recognised(job, image)

    for one in (job("j", replies.name), replace(job("j", replies.name), again=again)):
        backend.requests.send(wire.dump_job(one))
    work_until(lambda: backend.requests.depth() == Depth(0, 0), backend, Calls(0, after=False), process)
    told = received(replies)
    assert len(done) == looked_at and len(told) == 2
    assert not again or told[0] == told[1] == json.loads(backend.blobs.get(keys.result("j")))


def test_the_claimed_image_is_gone_once_the_job_is_done(backend: Backend, replies: Queue) -> None:
    backend.blobs.put(keys.claim("j"), b"paul")
    backend.requests.send(wire.dump_job(job("j", replies.name, image=None, blob=keys.claim("j"))))
    as_sent = {keys.input_image("j.jpg")}
    work_until(lambda: {info.key for info in backend.blobs.list(keys.INPUT)} == as_sent, backend, Calls(0, after=False))
    assert received(replies)[0]["answer"] == "paul"


def test_a_claimed_image_that_is_gone_is_a_clear_failure(backend: Backend, replies: Queue) -> None:
    backend.requests.send(wire.dump_job(job("j", replies.name, image=None, blob=keys.claim("j"))))
    work_until(lambda: backend.requests.depth() == Depth(0, 0), backend, Calls(0, after=False))
    (answer,) = received(replies)
    assert (answer["status"], answer["error"]["code"]) == ("failed", "image_gone")
    with pytest.raises(NotFound):
        backend.blobs.get("out/j")


def test_an_answer_whose_client_is_gone_is_kept_and_the_worker_goes_on(backend: Backend) -> None:
    backend.requests.send(wire.dump_job(job("j", "nobody-7")))
    work_until(lambda: backend.requests.depth() == Depth(0, 0), backend, Calls(0, after=False))
    assert json.loads(backend.blobs.get(keys.result("j")))["answer"] == "paul"


def test_a_lease_is_extended_as_long_as_the_work_goes_on(backend: Backend, replies: Queue) -> None:
    taken = []

    def slow(job: Job, image: bytes) -> Result:
        taken.append(job.id)
        # Three leases long: a second worker would have had it meanwhile, were it not extended.
        assert backend.requests.receive(wait=0.9) == []
        return recognised(job, image)

    backend.requests.send(wire.dump_job(job("j", replies.name)))
    work_until(lambda: backend.requests.depth() == Depth(0, 0), backend, Calls(0, after=False), slow)
    assert taken == ["j"]
    assert len(received(replies)) == 1


def test_a_worker_says_how_it_is_while_it_lives_and_nothing_after(backend: Backend, replies: Queue) -> None:
    said = []

    def watched(job: Job, image: bytes) -> Result:
        waiting = threading.Event()
        while not (beats := [backend.blobs.get(b.key) for b in backend.blobs.list(keys.WORKERS)]) or (
            wire.load_heartbeat(beats[0]).state is not WorkerState.BUSY
        ):
            waiting.wait(0.01)
        said.append(wire.load_heartbeat(beats[0]))
        return recognised(job, image)

    backend.requests.send(wire.dump_job(job("j", replies.name)))
    work_until(lambda: backend.requests.depth() == Depth(0, 0), backend, Calls(0, after=False), watched)
    assert said[0].id == "w"
    assert list(backend.blobs.list(keys.WORKERS)) == []


HUNG = """
import sys, threading
from pathlib import Path
from app_tier import pulse
from facefleet.backends import connect
from facefleet.recognition.jobs import Jobs
from facefleet.settings import Settings
pulse.MAX_WORK = 0.1
backend = connect(Settings(data=Path(sys.argv[1])))
backend.requests.send("anything")
(message,) = backend.requests.receive()
beat, stop = pulse.Pulse(backend.requests, backend.blobs, id="w", visibility_timeout=0.4), threading.Event()
with beat.beating(stop), beat.holding(message), beat.working():
    stop.wait()
"""


def test_a_worker_that_hangs_ends_itself_and_the_message_comes_back(tmp_path: Path) -> None:
    hung = subprocess.run([sys.executable, "-c", HUNG, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert hung.returncode == EXIT_HUNG
    assert "this worker ends, the message comes back" in hung.stderr
    assert connect(Settings(data=tmp_path)).requests.receive(wait=PATIENCE)


class Waits:
    """Passes on to a queue, and takes note of how long it is asked to wait."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self.asked: list[float] = []

    def receive(self, *, wait: float, stop: threading.Event) -> list[Message]:
        self.asked.append(wait)
        return self._queue.receive(wait=0.01, stop=stop)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queue, name)


def test_a_worker_tidies_soon_after_its_last_job_and_then_whenever_it_has_waited_in_vain(backend: Backend) -> None:
    requests, stop, tidied = Waits(backend.requests), threading.Event(), []

    def tidy() -> None:
        tidied.append(len(requests.asked))
        if len(tidied) == 1:
            backend.requests.send(wire.dump_job(job("a", None)))
        elif len(tidied) == 3:
            stop.set()

    pulse = Pulse(backend.requests, backend.blobs, id="w", visibility_timeout=0.3)
    jobs = Jobs(recognised, backend.blobs, backend.replies, stands=always)
    worker = Worker(requests, jobs, pulse, idle=tidy, probe=nothing)
    thread = threading.Thread(target=worker.run, args=(stop,), daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert requests.asked == [REST, MAX_WAIT, REST, MAX_WAIT]
    assert tidied == [1, 3, 4]


def test_a_job_to_tidy_is_done_and_answered_to_nobody(backend: Backend) -> None:
    tidied = threading.Event()
    backend.requests.send(wire.dump_job(Job("t", JobKind.TIDY, "-", 0.0)))
    pulse = Pulse(backend.requests, backend.blobs, id="w", visibility_timeout=0.3)
    stop = threading.Event()
    jobs = Jobs(recognised, backend.blobs, backend.replies, stands=always)
    worker = Worker(backend.requests, jobs, pulse, idle=tidied.set, probe=nothing)
    thread = threading.Thread(target=worker.run, args=(stop,))
    thread.start()
    assert tidied.wait(PATIENCE)
    stop.set()
    thread.join()
    assert backend.requests.depth() == Depth(0, 0)
    assert list(backend.blobs.list(keys.RESULTS)) == []


def test_an_answer_that_names_somebody_erased_before_it_was_stored_is_made_anew(
    backend: Backend, replies: Queue
) -> None:
    backend.requests.send(wire.dump_job(job("a", replies.name)))
    asked = []

    def process(job: Job, image: bytes) -> Result:
        return recognised(job, b"nobody" if asked else b"paul")

    def stands(result: dict[str, Any]) -> bool:
        asked.append(result["answer"])
        return result["answer"] != "paul"

    pulse = Pulse(backend.requests, backend.blobs, id="w", visibility_timeout=0.3)
    stop = threading.Event()
    jobs = Jobs(process, backend.blobs, backend.replies, stands=stands)
    worker = Worker(backend.requests, jobs, pulse, idle=nothing, probe=nothing)
    thread = threading.Thread(target=worker.run, args=(stop,))
    thread.start()
    (reply,) = replies.receive(wait=PATIENCE)
    stop.set()
    thread.join()
    assert (wire.load_reply(reply.body)["answer"], asked) == ("nobody", ["paul", "nobody"])
    assert backend.blobs.get(keys.answer("a.jpg")) == b"nobody"
