"""Beside the work, in threads: keeps the lease alive, says how the worker is, and ends one that hangs."""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from facefleet import keys, supervision, wire
from facefleet.model import Heartbeat, Message, WorkerState
from facefleet.ports import MAX_WAIT, Blobs, Queue

log = logging.getLogger(__name__)

#: How often the thread looks. A change of state is told this late.
BEAT = 0.5
#: A heartbeat is written this often even when nothing changed, so that a stale one can be told from a live one.
REPEAT = 5.0
#: No image takes this long. A worker that hangs on one ends, and the message comes back to another.
MAX_WORK = 120.0
EXIT_HUNG = 70
#: The loop comes round in this time, whatever it meets: the longest poll, the longest image, and what lies between.
LONGEST_TURN = MAX_WAIT + MAX_WORK + 10.0
#: How often systemd hears that it does, in a thread of its own: the pulse's calls may wait long for an answer.
ALIVE_EVERY = 5.0


def gets_on(now: float, turned_at: float) -> bool:
    """Whether the loop, which came round last at `turned_at`, may be at work still."""
    return now - turned_at <= LONGEST_TURN


def say_alive(done: threading.Event, turned_at: Callable[[], float], *, every: float = ALIVE_EVERY) -> None:
    """Until `done`, for as long as the loop gets on."""
    while not done.wait(every):
        if gets_on(time.monotonic(), turned_at()):
            supervision.alive()


class Pulse:
    def __init__(
        self, requests: Queue, blobs: Blobs, *, id: str, visibility_timeout: float, tell_every: float = BEAT
    ) -> None:
        """`tell_every`: seconds between two heartbeats at least, as nobody looks more often."""
        self._requests = requests
        self._blobs = blobs
        self._id = id
        self._visibility_timeout = visibility_timeout
        self._tell_every = tell_every
        self._since = time.time()
        self._jobs = 0
        self._busy_seconds = 0.0
        self._held: tuple[Message, float] | None = None
        self._extend_at = 0.0
        self._told: tuple[WorkerState, int] | None = None
        self._told_at = float("-inf")
        #: When the worker's loop came round last.
        self.turned_at = time.monotonic()

    def turned(self) -> None:
        """The worker's loop has come round."""
        self.turned_at = time.monotonic()

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
        """Runs the threads; at the end the heartbeat is removed."""
        done = threading.Event()
        threads = [
            threading.Thread(target=self._beat, args=(done, stop), name="pulse", daemon=True),
            threading.Thread(target=say_alive, args=(done, lambda: self.turned_at), name="watch", daemon=True),
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            done.set()
            for thread in threads:
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
        if now - self._told_at < (REPEAT if news == self._told else self._tell_every):
            return
        service = self._busy_seconds / self._jobs if self._jobs else 0.0
        heartbeat = Heartbeat(self._id, state, self._jobs, self._since, time.time(), round(service, 4))
        self._blobs.put(keys.heartbeat(self._id), wire.dump_heartbeat(heartbeat))
        supervision.status(f"{state}, {self._jobs} jobs done")
        self._told, self._told_at = news, now
