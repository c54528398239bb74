"""Signals, one by one."""

import os
import select
import signal
import time

#: A worker that died is replaced at once, and work that comes to an empty queue met at once: not at the next tick.
LOOK_NOW = (signal.SIGCHLD, signal.SIGUSR1)
END = (signal.SIGTERM, signal.SIGINT)


class Arrivals:
    """Signals that arrive, one by one. Nothing runs in a handler, where a lock could be held already."""

    def __init__(self) -> None:
        self._reader, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for number in (*END, *LOOK_NOW):
            signal.signal(number, lambda *_: None)

    def next(self, within: float | None = None) -> int | None:
        """The next one; None if none came within so many seconds."""
        ready, _, _ = select.select([self._reader], [], [], within)
        return os.read(self._reader, 1)[0] if ready else None

    def end_within(self, seconds: float) -> bool:
        """Whether we were told to end."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if self.next(left) in END:
                return True
        return False
