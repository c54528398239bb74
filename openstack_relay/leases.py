"""Keeps the leases of what is at work, however long that takes."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from facefleet.errors import ServiceError
from facefleet.model import Message
from facefleet.ports import Queue

log = logging.getLogger(__name__)

#: Of a lease, after which it is renewed: two more tries fit in before it ends.
PART = 3


class Inbox(Queue, Protocol):
    def extend_all(self, messages: Sequence[Message], *, seconds: float) -> None:
        """As `extend` of each, in as few calls as may be."""


class Leases:
    """Of one queue, by receipt."""

    def __init__(self, queue: Inbox, *, lease: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._queue = queue
        self._lease = lease
        self._clock = clock
        self._lock = threading.Lock()
        self._held: dict[str, tuple[Message, float]] = {}

    @contextmanager
    def holding(self, message: Message) -> Iterator[None]:
        with self._lock:
            self._held[message.receipt] = message, self._clock()
        try:
            yield
        finally:
            with self._lock:
                del self._held[message.receipt]

    def __len__(self) -> int:
        return len(self._held)

    def longest(self) -> float:
        """Seconds since the first of them was taken; 0 without any."""
        with self._lock:
            return self._clock() - min((since for _, since in self._held.values()), default=self._clock())

    def extend(self) -> None:
        """All of them."""
        with self._lock:
            held = [message for message, _ in self._held.values()]
        if held:
            self._queue.extend_all(held, seconds=self._lease)

    def keep(self, done: threading.Event) -> None:
        """Until `done`; what fails is tried again, and what ends all the same comes again, which is harmless."""
        while not done.wait(self._lease / PART):
            try:
                self.extend()
            except ServiceError as e:
                log.warning("leases of %s could not be renewed: %s", self._queue.name, e)
            except Exception:
                log.exception("leases of %s could not be renewed", self._queue.name)
