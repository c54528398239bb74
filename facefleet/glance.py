"""A number that costs a call, looked at now and then: however many ask for it, one at a time makes the call."""

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future
from threading import Lock
from typing import Generic, TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")


class Glance(Generic[T]):
    """Once anything was seen, `look` is called once in `age` seconds at most, whether it fails or not."""

    def __init__(self, look: Callable[[], T], *, age: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._look = look
        self._age = age
        self._clock = clock
        self._lock = Lock()
        self._looked_at = float("-inf")
        self._seen: Future[T] | None = None
        self._looking: Future[T] | None = None

    def value(self, *, anew: bool = False) -> T:
        """What was seen last. Who comes while another looks has the older value, and waits for the very first alone.

        A look that fails leaves the older value; without one it raises, at all who waited for it. `anew`: looks, or
        waits for who does.
        """
        with self._lock:
            if self._seen and not anew and (self._looking or self._clock() - self._looked_at <= self._age):
                return self._seen.result()
            mine = self._looking is None
            looking = self._looking = self._looking or Future()
        return self._refresh(looking) if mine else looking.result()

    def _refresh(self, looking: "Future[T]") -> T:
        try:
            looking.set_result(self._look())
        except BaseException as e:
            # Whatever it is: others wait for it.
            looking.set_exception(e)
        with self._lock:
            self._looked_at, self._looking = self._clock(), None
            if (error := looking.exception()) is None:
                self._seen = looking
            seen = self._seen or looking
        if error is not None and seen is not looking:
            log.warning("%s: what was seen before is taken", error)
        return seen.result()
