"""A lock that dies with its holder, however that dies."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from facefleet.errors import AlreadyRunning


@contextmanager
def exclusively(path: Path) -> Iterator[None]:
    """Waits for the lock at `path`, then holds it."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def only_one(path: Path, what: str) -> Iterator[None]:
    """Holds the lock at `path`, or raises `AlreadyRunning` and names the process that does."""
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise AlreadyRunning(
                f"a {what} is running already on {path.parent} (process {file.read().strip()}): stop it first"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
