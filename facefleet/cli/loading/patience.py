"""How long an upload may take, with all that belongs to it: tries again, and looking for an answer that comes later."""

import time
from threading import Event

from facefleet.cli.loading.answer import INTERRUPTED, TIMEOUT, NoAnswer


class Patience:
    """Of one upload. Begins when it is made."""

    def __init__(self, seconds: float, stop: Event) -> None:
        self._seconds, self._stop = seconds, stop
        self._deadline = time.monotonic() + seconds
        #: How often it was sent again since the service was busy.
        self.retries = 0

    def left(self) -> float:
        """Seconds; raises `NoAnswer` where there are none."""
        if (left := self._deadline - time.monotonic()) <= 0:
            raise NoAnswer(TIMEOUT, f"no answer within {self._seconds:g} s: allow more with --timeout")
        return left

    def lasts(self, seconds: float) -> bool:
        return self._deadline - time.monotonic() > seconds

    def pause(self, seconds: float) -> None:
        """Returns after so many; raises `NoAnswer` at its end, or where somebody stops all uploads."""
        if self._stop.wait(min(seconds, self.left())):
            raise NoAnswer(INTERRUPTED, "stopped while it waited")
        self.left()
