"""A lock that dies with its holder, however that dies."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from facefleet.errors import AlreadyRunning


@contextmanager
def exclusively(path: Path) -> Iterator[None]:
    """Waits for the lock at `path`, then holds it."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def take(path: Path) -> Iterator[IO[str]]:
    """Holds the lock at `path`, or raises `BlockingIOError`. A process that inherits the file holds it on."""
    with path.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield file


@contextmanager
def only_one(path: Path, what: str) -> Iterator[None]:
    """Holds the lock at `path`, or raises `AlreadyRunning` and names the process that does."""
    with ExitStack() as held:
        try:
            file = held.enter_context(take(path))
        except BlockingIOError:
            holder = path.read_text().strip()
            raise AlreadyRunning(
                f"a {what} is running already on {path.parent} (process {holder}): stop it first"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
