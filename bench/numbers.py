"""A number that nobody else on this machine has now: networks and control groups are called by it."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

LOCKS = Path("/run/lock")


@dataclass(frozen=True)
class Own:
    """`lock`: of an open file; the number is taken as long as anybody has that open."""

    number: int
    lock: int


@contextmanager
def number_of_own(kind: str, *, most: int) -> Iterator[Own]:
    """It is free again with the block, or with who had it, and whom they gave its lock to."""
    for number in range(most):
        with (LOCKS / f"facefleet-{kind}{number}").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield Own(number, lock.fileno())
            return
    raise RuntimeError(f"{most} of {kind} are up on this machine already")
