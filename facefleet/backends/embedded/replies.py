"""A response queue for each web process: one that is shared lets processes swallow each other's answers."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree

import psutil

from facefleet.backends.embedded.queue import QueueFile, SqliteQueue
from facefleet.errors import NotFound
from facefleet.ports import Queue

#: Answers have faces but no images; 1 MiB holds thousands.
MAX_REPLY_BYTES = 1_048_576
VISIBILITY_TIMEOUT = 30.0
#: A reply that nobody fetched in a day has no waiter any more; the result lies in its blob.
KEEP = 86_400.0


@contextmanager
def open_own(folder: Path, prefix: str) -> Iterator[Queue]:
    """This process's queue, removed at the end. Those of processes that are gone are removed first."""
    _remove_abandoned(folder)
    name = f"{prefix}-{platform.node() or 'localhost'}-{os.getpid()}"
    home = folder / name
    # A killed process of the same number may have left one.
    rmtree(home, ignore_errors=True)
    queue = _open(home, name)
    try:
        yield queue
    finally:
        rmtree(home, ignore_errors=True)


def open_existing(folder: Path, name: str) -> Queue:
    """Raises `NotFound` once its process is gone: the answer then waits in the result blob alone."""
    home = folder / name
    if "/" in name or not home.is_dir():
        raise NotFound(f"no response queue {name}")
    return _open(home, name)


def _open(home: Path, name: str) -> SqliteQueue:
    file = QueueFile(home / "queue.db", max_message_bytes=MAX_REPLY_BYTES, keep=KEEP)
    return SqliteQueue(file, name, visibility_timeout=VISIBILITY_TIMEOUT)


def _remove_abandoned(folder: Path) -> None:
    for home in folder.glob("*-*"):
        process = home.name.rpartition("-")[2]
        if process.isdigit() and not psutil.pid_exists(int(process)):
            rmtree(home, ignore_errors=True)
