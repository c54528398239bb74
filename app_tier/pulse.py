"""Beside the work, in a thread: keeps the lease alive, says how the worker is, and ends one that hangs."""

import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from facefleet import keys, wire
from facefleet.model import Heartbeat, Message, WorkerState
from facefleet.ports import Blobs, Queue

log = logging.getLogger(__name__)

#: How often the thread looks. A change of state is told this late.
BEAT = 0.5
#: A heartbeat is written this often even when nothing changed, so that a stale one can be told from a live one.
REPEAT = 5.0
#: No image takes this long. A worker that hangs on one ends, and the message comes back to another.
MAX_WORK = 120.0
EXIT_HUNG = 70


class Pulse:
    def __init__(self, requests: Queue, blobs: Blobs, *, id: str, visibility_timeout: float) -> None:
        self._requests = requests
        self._blobs = blobs
        self._id = id
        self._visibility_timeout = visibility_timeout
        self._since = time.time()
        self._jobs = 0
        self._busy_seconds = 0.0
        self._held: tuple[Message, float] | None = None
        self._extend_at = 0.0
        self._told: tuple[WorkerState, int] | None = None
        self._tell_at = 0.0

    @contextmanager
    def holding(self, message: Message) -> Iterator[None]:
        """While this lasts, the message's lease does."""
        started = time.monotonic()
        self._extend_at = started + self._visibility_timeout / 3
        self._held = (message, started)
        try:
            yield
        finally:
            self._held = None
            self._jobs += 1
            self._busy_seconds += time.monotonic() - started

    @contextmanager
    def beating(self, stop: threading.Event) -> Iterator[None]:
        """Runs the thread; at the end the heartbeat is removed."""
        done = threading.Event()
        thread = threading.Thread(target=self._beat, args=(done, stop), name="pulse", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
            self._blobs.delete(keys.heartbeat(self._id))

    def _beat(self, done: threading.Event, stop: threading.Event) -> None:
        pause = min(BEAT, self._visibility_timeout / 4)
        while True:
            try:
                self._keep_lease()
                self._tell(stop)
            except Exception:
                # The next beat tries again; a lease that ends all the same brings the job twice, which is harmless.
                log.exception("the pulse goes on after an error")
            if done.wait(pause):
                return

    def _keep_lease(self) -> None:
        held, now = self._held, time.monotonic()
        if held is None:
            return
        message, started = held
        if now - started > MAX_WORK:
            log.critical("an image took over %.0f s: this worker ends, the message comes back", MAX_WORK)
            os._exit(EXIT_HUNG)
        if now >= self._extend_at:
            self._extend_at = now + self._visibility_timeout / 3
            self._requests.extend(message, seconds=self._visibility_timeout)

    def _tell(self, stop: threading.Event) -> None:
        state = WorkerState.DRAINING if stop.is_set() else WorkerState.BUSY if self._held else WorkerState.IDLE
        news, now = (state, self._jobs), time.monotonic()
        if news == self._told and now < self._tell_at:
            return
        service = self._busy_seconds / self._jobs if self._jobs else 0.0
        heartbeat = Heartbeat(self._id, state, self._jobs, self._since, time.time(), round(service, 4))
        self._blobs.put(keys.heartbeat(self._id), wire.dump_heartbeat(heartbeat))
        self._told, self._tell_at = news, now + REPEAT
