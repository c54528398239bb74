"""Why nothing is received just now, and for how long: what could not be finished is not taken."""

import random
import threading
import time
from collections.abc import Callable

#: Seconds before it is tried again: at first, and at the longest; each time twice as long.
SHORTEST, LONGEST = 1.0, 60.0
#: Above the longest pause, whatever the first one is.
DOUBLINGS = 30
#: A pause is cut by chance to this part of it at the least, so that several do not come back at one moment.
SHORTEST_PART = 0.5


def after(failures: int) -> float:
    """Seconds to wait after so many failures, one at least; by chance a little less."""
    longest: float = min(LONGEST, SHORTEST * 2 ** min(max(failures, 1) - 1, DOUBLINGS))
    return longest * random.uniform(SHORTEST_PART, 1.0)  # noqa: S311  # to part, not to hide


class Pause:
    """Of one queue. Whatever fails while it lasts is the same failure: many were in hand when it began."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._until = float("-inf")
        #: In words; None while nothing is wrong.
        self.why: str | None = None

    def begin(self, why: str) -> None:
        with self._lock:
            self.why = why
            if self._clock() >= self._until:
                self._failures += 1
                self._until = self._clock() + after(self._failures)

    def left(self) -> float:
        """Seconds for which nothing is received yet."""
        return max(0.0, self._until - self._clock())

    def may_go_on(self) -> None:
        """What failed answers again, which does not say yet that anything can be done: another failure waits longer."""
        self.why = None

    def is_over(self) -> None:
        """Something was done."""
        with self._lock:
            # What was begun before the failure says nothing of what comes after it.
            if self._clock() >= self._until:
                self._failures, self.why = 0, None
