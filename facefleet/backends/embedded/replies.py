"""A response queue for each web process: one that is shared lets processes swallow each other's answers."""

import os
import platform
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from shutil import rmtree

from facefleet.backends.embedded.queue import QueueFile, SqliteQueue
from facefleet.errors import AlreadyRunning, NotFound
from facefleet.lock import exclusively, only_one
from facefleet.ports import Queue

#: Answers have faces but no images; 1 MiB holds thousands.
MAX_REPLY_BYTES = 1_048_576
VISIBILITY_TIMEOUT = 30.0
#: A reply that nobody fetched in a day has no waiter any more; the result lies in its blob.
KEEP = 86_400.0
#: A worker answers to the web processes of its machine: more than a few are leftovers.
MAX_OPEN = 64

#: A reply is a kilobyte or two.
PAGE_SIZE = 4096
OWNER = "owner.lock"
FILE = "queue.db"


class ReplyQueues:
    """Each in a folder of its own, which its process keeps locked: a lock dies with its holder, however that dies."""

    def __init__(self, folder: Path, prefix: str) -> None:
        self._folder = folder
        self._prefix = prefix
        # By name and file, so that a new process of an old number is not taken for the old one.
        self._open: dict[tuple[str, int], SqliteQueue] = {}
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    @contextmanager
    def own(self) -> Iterator[Queue]:
        """This process's queue, removed at the end. Those of processes that are gone are removed first."""
        name = f"{self._prefix}-{platform.node() or 'localhost'}-{os.getpid()}"
        home = self._folder / name
        with ExitStack() as held:
            # One at a time: a queue that is being made is not locked yet, and must not look abandoned.
            with exclusively(self._folder / "making.lock"):
                self._remove_abandoned()
                home.mkdir(mode=0o700)
                held.enter_context(only_one(home / OWNER, name))
            held.callback(rmtree, home, ignore_errors=True)
            yield _queue(home, name)

    def existing(self, name: str) -> Queue:
        """Raises `NotFound` once its process is gone: the answer then waits in the result blob alone."""
        return self._existing(name)

    def _existing(self, name: str) -> SqliteQueue:
        home = self._folder / name
        try:
            identity = name, (home / FILE).stat().st_ino
        except OSError:
            raise NotFound(f"no response queue {name}") from None
        if identity not in self._open:
            if len(self._open) >= MAX_OPEN:
                self._open.clear()
            self._open[identity] = _queue(home, name)
        return self._open[identity]

    def tidy(self) -> None:
        """Overwrites the answers that were delivered."""
        for home in self._folder.glob("*/"):
            with suppress(NotFound):
                self._existing(home.name).scrub()

    def _remove_abandoned(self) -> None:
        for home in self._folder.iterdir():
            if home.is_dir() and _is_abandoned(home):
                rmtree(home, ignore_errors=True)


def _is_abandoned(home: Path) -> bool:
    try:
        with only_one(home / OWNER, home.name):
            return True
    except (AlreadyRunning, FileNotFoundError):
        # Its owner lives, or has just removed it.
        return False


def _queue(home: Path, name: str) -> SqliteQueue:
    # A power cut ends the process that waits: its client finds the result, which is stored, and no reply.
    file = QueueFile(home / FILE, max_message_bytes=MAX_REPLY_BYTES, keep=KEEP, page_size=PAGE_SIZE, durable=False)
    return SqliteQueue(file, name, visibility_timeout=VISIBILITY_TIMEOUT)
