"""How one waits for what AWS does: soon at first, then less often, and not for ever."""

import time
from collections.abc import Iterator

#: Seconds between two looks: at first, and at most.
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 3.0
GROWTH = 1.5


def looks(patience: float) -> Iterator[float]:
    """The seconds since the first look, once for each; the last one comes when patience ends."""
    began, pause = time.monotonic(), FIRST_PAUSE
    while (waited := time.monotonic() - began) < patience:
        yield waited
        time.sleep(max(0.0, min(pause, patience - waited)))
        pause = min(pause * GROWTH, LONGEST_PAUSE)
    yield time.monotonic() - began
