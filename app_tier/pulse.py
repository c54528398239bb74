"""Beside the work, in threads: keeps the lease alive, says how the worker is, and ends one that hangs."""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from facefleet import keys, supervision, wire
from facefleet.errors import ServiceError
from facefleet.model import Heartbeat, Message, WorkerState
from facefleet.ports import Blobs, Queue

log = logging.getLogger(__name__)

#: How often the threads look. A change of state is told this late.
BEAT = 0.5
#: A heartbeat is written this often even when nothing changed, so that a stale one can be told from a live one.
REPEAT = 5.0
#: No recognition takes this long, apart from what is read before it and stored after it. A worker that hangs on one
#: ends, and the message comes back to another.
MAX_WORK = 120.0
EXIT_HUNG = 70
#: From one sign of the loop to the next, whatever it meets. The longest recognition has one call before and two after
#: it; AWS may leave two in a row unanswered for as long as its clients are patient, which is 140 s each at the queue.
LONGEST_TURN = 300.0
#: How often systemd hears that it does, in a thread of its own: the pulse's calls may wait long for an answer.
ALIVE_EVERY = 5.0


def gets_on(now: float, turned_at: float) -> bool:
    """Whether the loop, which gave its last sign at `turned_at`, may be at work still."""
    return now - turned_at <= LONGEST_TURN


def say_alive(done: threading.Event, turned_at: Callable[[], float], *, every: float = ALIVE_EVERY) -> None:
    """Until `done`, for as long as the loop gets on."""
    while not done.wait(every):
        if gets_on(time.monotonic(), turned_at()):
            supervision.alive()


class Pulse:
    def __init__(
        self,
        requests: Queue,
        blobs: Blobs,
        *,
        id: str,
        visibility_timeout: float,
        tell_every: float = BEAT,
        leaving: threading.Event | None = None,
    ) -> None:
        """`tell_every`: seconds between two heartbeats at least, as nobody looks more often.

        `leaving` is set once the machine is about to be taken away.
        """
        self._requests = requests
        self._blobs = blobs
        self._id = id
        self._visibility_timeout = visibility_timeout
        self._tell_every = tell_every
        self._leaving = leaving or threading.Event()
        self._since = time.time()
        self._jobs = 0
        self._busy_seconds = 0.0
        self._held: Message | None = None
        self._extend_at = 0.0
        self._work_since: float | None = None
        self._draining = threading.Event()
        self._told: tuple[WorkerState, int] | None = None
        self._told_at = float("-inf")
        #: When the worker's loop gave its last sign.
        self.turned_at = time.monotonic()

    def turned(self) -> None:
        """The worker's loop has come round, or a job has come a step further."""
        self.turned_at = time.monotonic()

    @contextmanager
    def holding(self, message: Message) -> Iterator[None]:
        """While this lasts, the message's lease does."""
        self.turned()
        started = time.monotonic()
        self._extend_at = started + self._visibility_timeout / 3
        self._held = message
        try:
            yield
        finally:
            self._held = None
            self._jobs += 1
            self._busy_seconds += time.monotonic() - started

    @contextmanager
    def working(self) -> Iterator[None]:
        """This may not last longer than `MAX_WORK`."""
        self.turned()
        self._work_since = time.monotonic()
        try:
            yield
        finally:
            self._work_since = None
            self.turned()

    @contextmanager
    def beating(self, stop: threading.Event) -> Iterator[None]:
        """Runs the threads; at the end the heartbeat is removed, or says that the machine goes."""
        self._draining, done = stop, threading.Event()
        threads = [threading.Thread(target=say_alive, args=(done, lambda: self.turned_at), name="watch", daemon=True)]
        # A thread each: none may wait for what another is waiting for.
        for name, look in {"pulse": self._tell_news, "lease": self._keep_lease, "limit": self._end_if_hung}.items():
            threads.append(threading.Thread(target=self._repeat, args=(look, done), name=name, daemon=True))
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            done.set()
            for thread in threads:
                thread.join()
            self._tell_last()

    def _repeat(self, look: Callable[[], None], done: threading.Event) -> None:
        pause = min(BEAT, self._visibility_timeout / 4)
        while True:
            try:
                look()
            except Exception:
                # The next beat tries again; a lease that ends all the same brings the job twice, which is harmless.
                log.exception("the pulse goes on after an error")
            if done.wait(pause):
                return

    def _tell_last(self) -> None:
        try:
            if self._leaving.is_set():
                # The machine runs on, without anybody at work: that is to be known.
                self.tell()
            else:
                self._blobs.delete(keys.heartbeat(self._id))
        except ServiceError as e:
            # It grows old, and is taken for what it is.
            log.warning("the heartbeat of a worker that ends stays: %s", e)

    def _end_if_hung(self) -> None:
        since = self._work_since
        if since is not None and time.monotonic() - since > MAX_WORK:
            log.critical("an image took over %.0f s: this worker ends, the message comes back", MAX_WORK)
            os._exit(EXIT_HUNG)

    def _keep_lease(self) -> None:
        held, now = self._held, time.monotonic()
        if held is not None and now >= self._extend_at:
            self._extend_at = now + self._visibility_timeout / 3
            self._requests.extend(held, seconds=self._visibility_timeout)

    def _state(self) -> WorkerState:
        if self._draining.is_set():
            return WorkerState.DRAINING
        return WorkerState.BUSY if self._held else WorkerState.IDLE

    def _tell_news(self) -> None:
        news = (self._state(), self._jobs)
        if time.monotonic() - self._told_at >= (REPEAT if news == self._told else self._tell_every):
            self.tell()

    def tell(self) -> None:
        """Writes the heartbeat, whether it is news or not; raises what keeps it from being written."""
        news, now = (self._state(), self._jobs), time.monotonic()
        state, _ = news
        service = self._busy_seconds / self._jobs if self._jobs else 0.0
        heartbeat = Heartbeat(
            self._id, state, self._jobs, self._since, time.time(), round(service, 4), self._leaving.is_set()
        )
        self._blobs.put(keys.heartbeat(self._id), wire.dump_heartbeat(heartbeat))
        supervision.status(f"{state}, {self._jobs} jobs done")
        self._told, self._told_at = news, now
