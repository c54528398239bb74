"""Brings results of the fleet to those who wait for them: by the relay's own reply queue, or where they are stored."""

import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager

from facefleet import answers, wire
from facefleet.errors import BadMessage, ServiceError
from facefleet.ports import MAX_BATCH, MAX_WAIT, Blobs, Queue
from facefleet.wire import Json

log = logging.getLogger(__name__)

#: Who has heard nothing for so long looks where results are stored, then after twice as long, up to the longest.
FIRST_LOOK, LONGEST_LOOK = 2.0, 15.0
#: After an error the queue is asked again so many seconds later.
RETRY_AFTER = 2.0


class Replies:
    """Threads may share it; each waits for a job of its own."""

    def __init__(self, queue: Queue, blobs: Blobs) -> None:
        self.reply_to = queue.name
        self._queue = queue
        self._blobs = blobs
        self._expected: dict[str, Future[Json]] = {}

    @contextmanager
    def running(self) -> Iterator[None]:
        stop = threading.Event()
        thread = threading.Thread(target=self._run, args=(stop,), name="replies", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    @contextmanager
    def expecting(self, job_id: str) -> Iterator["Future[Json]"]:
        """To be entered before the job is sent: from here on its reply is not missed."""
        future = self._expected[job_id] = Future[Json]()
        try:
            yield future
        finally:
            # Another's by now, if one job is waited for twice; that one looks where results are stored.
            self._expected.pop(job_id, None)

    def result(self, job_id: str, future: "Future[Json]", *, timeout: float, looks: bool = True) -> Json | None:
        """None where there is none in time. `looks`: also where it is stored, for replies may be lost."""
        deadline, look = time.monotonic() + timeout, FIRST_LOOK
        while (left := deadline - time.monotonic()) > 0:
            try:
                return future.result(min(left, look))
            except TimeoutError:
                look = min(2 * look, LONGEST_LOOK)
                if looks and (result := answers.stored(self._blobs, job_id)) is not None:
                    return result
        return None

    def _run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                self._take(stop)
            except Exception as e:
                # Results are found where they are stored meanwhile; of an error that we know a line says enough.
                log.error(
                    "replies: asked again in %.0f s: %s", RETRY_AFTER, e, exc_info=not isinstance(e, ServiceError)
                )
                stop.wait(RETRY_AFTER)

    def _take(self, stop: threading.Event) -> None:
        messages = self._queue.receive(wait=MAX_WAIT, limit=MAX_BATCH, stop=stop)
        for message in messages:
            try:
                result = wire.load_reply(message.body)
            except BadMessage as e:
                log.warning("dropped: %s", e)
                continue
            if (future := self._expected.pop(result["id"], None)) is not None:
                future.set_result(result)
        if messages:
            self._queue.ack_all(messages)
