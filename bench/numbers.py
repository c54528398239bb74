"""A number that nobody else on this machine has now: networks and control groups are called by it."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCKS = Path("/run/lock")


@contextmanager
def number_of_own(kind: str, *, most: int) -> Iterator[int]:
    """It is free again with the block, or with who had it."""
    for number in range(most):
        with (LOCKS / f"facefleet-{kind}{number}").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield number
            return
    raise RuntimeError(f"{most} of {kind} are up on this machine already")
