"""Ctrl-C, and a supervisor's SIGTERM, set a flag; a second one ends us at once."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
#: Seconds within which another one is the same: `timeout` and shells tell the process, and then its group.
SAME = 0.5


@contextmanager
def flag() -> Iterator[Event]:
    """Set as soon as somebody wants us to stop; a second time raises `KeyboardInterrupt`. Main thread only."""
    stop, first = Event(), 0.0

    def told(number: int, frame: FrameType | None) -> None:
        nonlocal first
        if not stop.is_set():
            first = time.monotonic()
            stop.set()
        elif time.monotonic() - first > SAME:
            raise KeyboardInterrupt

    before = {number: signal.signal(number, told) for number in SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
