"""Brings each reply to the requests that wait for it: one, or several that ask the same under one key."""

import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager

from facefleet import answers, wire
from facefleet.errors import BadMessage, ServiceError
from facefleet.model import Job
from facefleet.ports import MAX_BATCH, MAX_WAIT, Blobs, Queue
from facefleet.problems import Problem
from facefleet.wire import Json

log = logging.getLogger(__name__)

#: A waiter that heard nothing for so long looks at the stored result, then after twice as long, and so on.
FIRST_LOOK = 15.0
MAX_LOOK = 60.0
#: The same where the job was sent before, perhaps by another process: the reply may not come here.
FIRST_LOOK_ELSEWHERE = 0.5
MAX_LOOK_ELSEWHERE = 4.0
#: After an error, then twice as long after each that follows.
RETRY_AFTER = 1.0
MAX_RETRY_AFTER = 8.0


class ReplyRouter:
    """One for each web process, with a response queue of its own."""

    def __init__(self, replies: Queue, blobs: Blobs) -> None:
        self.reply_to = replies.name
        self._replies = replies
        self._blobs = blobs
        self._waiting: dict[str, list[Future[Json]]] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @property
    def alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    @contextmanager
    def running(self) -> Iterator[None]:
        stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(stop,), name="replies", daemon=True)
        self._thread.start()
        try:
            yield
        finally:
            stop.set()
            self._thread.join()

    @contextmanager
    def expecting(self, job_id: str) -> Iterator["Future[Json]"]:
        """To be entered before the job is sent: from here on its reply is not missed."""
        future: Future[Json] = Future()
        with self._lock:
            self._waiting.setdefault(job_id, []).append(future)
        try:
            yield future
        finally:
            self._leave(job_id, future)

    def _leave(self, job_id: str, future: "Future[Json]") -> None:
        with self._lock:
            others = [one for one in self._waiting.pop(job_id, ()) if one is not future]
            if others:
                self._waiting[job_id] = others

    def wait(self, future: "Future[Json]", job: Job, timeout: float, *, elsewhere: bool = False) -> Json | None:
        """The result; None if there is none in time. Replies may be lost; what is stored is the truth.

        `elsewhere`: the job was sent before, perhaps by another process: what is stored is looked at now, and often.
        Raises the problem 410 once a purge has removed the job.
        """
        look, longest = (0.0, MAX_LOOK_ELSEWHERE) if elsewhere else (FIRST_LOOK, MAX_LOOK)
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            try:
                return future.result(min(left, look))
            except TimeoutError:
                look = min(2 * look or FIRST_LOOK_ELSEWHERE, longest)
                if result := answers.stored(self._blobs, job.id):
                    return result
                if answers.purged_since(self._blobs, job.submitted_at):
                    raise Problem(410, "purged", "everything that waited was purged: send it again") from None
        return answers.stored(self._blobs, job.id)

    def _run(self, stop: threading.Event) -> None:
        pause = RETRY_AFTER
        while not stop.is_set():
            try:
                self._turn(stop)
                pause = RETRY_AFTER
            except Exception as e:
                # Of what we know a line says enough: it may come for minutes.
                known = isinstance(e, ServiceError)
                log.error("replies: tried again in %.0f s: %s", pause, e, exc_info=None if known else e)
                stop.wait(pause)
                pause = min(2 * pause, MAX_RETRY_AFTER)

    def _turn(self, stop: threading.Event) -> None:
        messages = self._replies.receive(wait=MAX_WAIT, limit=MAX_BATCH, stop=stop)
        for message in messages:
            self._deliver(message.body)
        if messages:
            self._replies.ack_all(messages)

    def _deliver(self, body: str) -> None:
        try:
            result = wire.load_reply(body)
        except BadMessage as e:
            log.warning("dropped: %s", e)
            return
        # Gone if it came twice, or if the client outwaited its limit.
        with self._lock:
            futures = self._waiting.pop(result["id"], ())
        for future in futures:
            future.set_result(result)
