"""SQLite opened the way that we need it: WAL, durable when it must be, few connections."""

import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from facefleet.errors import Unavailable
from facefleet.lock import exclusively

#: Other processes hold the write lock for milliseconds; beyond this something is wrong.
BUSY_TIMEOUT = 30.0
#: Bytes alive in a file up to which it is rewritten to scrub it: well under a second.
MAX_REWRITTEN = 100_000_000
#: Connections kept open while nobody uses them.
MAX_IDLE = 4


class Database:
    """One file. Threads may share it; a thread that waits for an answer holds no connection.

    What SQLite cannot do now, because the disk is full or a lock is not to be had, raises `Unavailable`.
    """

    def __init__(self, path: Path, schema: str, *, page_size: int = 4096, quick: bool = False) -> None:
        """`page_size`: of a new file, in bytes; what is written at once is best not much more, or less.

        `quick`: for what just passes through. What is deleted is overwritten only where that costs no further writing,
        and others may read what is not on disk yet; it is when `write` returns.
        """
        self.path = path
        quickly = "secure_delete = FAST; PRAGMA synchronous = NORMAL"
        surely = "secure_delete = ON; PRAGMA synchronous = FULL"
        self._pragmas = f"PRAGMA page_size = {page_size}; PRAGMA {quickly if quick else surely}"
        self._idle: deque[sqlite3.Connection] = deque()
        # Threads of a process queue up here, and wait for other processes one at a time.
        self._writing = threading.Lock()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Two processes that switch a new file to WAL at once get "locked", whatever their time-out.
        with exclusively(path.with_suffix(".lock")), self.read() as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(schema)

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A connection outside any transaction: each statement sees the newest state."""
        connection = self._connection()
        try:
            yield connection
        except sqlite3.OperationalError as e:
            connection.close()
            raise Unavailable(f"{self.path} cannot be used now ({e}): is the disk full?") from e
        except BaseException:
            connection.close()
            raise
        if len(self._idle) < MAX_IDLE:
            self._idle.append(connection)
        else:
            connection.close()

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """Several statements that see one and the same state."""
        with self.read() as connection:
            connection.execute("BEGIN")
            yield connection
            connection.execute("COMMIT")

    @contextmanager
    def write(self, *, durable: bool) -> Iterator[sqlite3.Connection]:
        """A transaction. Durable: on disk when this returns; otherwise a power cut may undo the last ones, in order."""
        with self._turn(), self.read() as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")
        if durable:
            # SQLite itself would do so before others may write, who would wait for the disk as well.
            self._sync()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._writing.acquire(timeout=BUSY_TIMEOUT):
            raise Unavailable(f"{self.path} is being written all the time: try again later")
        try:
            yield
        finally:
            self._writing.release()

    def _sync(self) -> None:
        try:
            with Path(f"{self.path}-wal").open("rb") as log:
                os.fdatasync(log.fileno())
        except FileNotFoundError:
            # The last of the others closed the file, which brought everything into it.
            return
        except OSError as e:
            raise Unavailable(f"{self.path} cannot be written ({e.strerror}): is the disk full?") from e

    def scrub(self) -> None:
        """Leaves nothing of what was deleted: copies stay in gaps of pages, and pages in the write-ahead log.

        A file in which much is alive is not rewritten: that would take its size in memory, and everybody's time.
        """
        with self._turn(), self.read() as connection:
            pages, free, size = (
                connection.execute(f"PRAGMA {what}").fetchone()[0]
                for what in ("page_count", "freelist_count", "page_size")
            )
            if (pages - free) * size <= MAX_REWRITTEN:
                # Else the copy that VACUUM makes would lie on disk, in a folder of other people's.
                connection.execute("PRAGMA temp_store = MEMORY")
                connection.execute("VACUUM")
            self._empty_log(connection)

    def _empty_log(self, connection: sqlite3.Connection) -> None:
        """SQLite waits for readers of the log, yet not for another process that is just emptying it: so we do."""
        deadline = time.monotonic() + BUSY_TIMEOUT
        while connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            if time.monotonic() > deadline:
                raise Unavailable(f"{self.path} is in use all the time, and what was deleted stays: try again later")
            time.sleep(0.01)

    def _connection(self) -> sqlite3.Connection:
        try:
            return self._idle.pop()
        except IndexError:
            pass
        try:
            return self._connect()
        except sqlite3.OperationalError as e:
            raise Unavailable(f"{self.path} cannot be opened ({e}): are there too many open files?") from e

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False, cached_statements=32
        )
        connection.executescript(self._pragmas)
        return connection


def now() -> float:
    """Seconds since the epoch: leases are compared between processes, so no monotonic clock will do."""
    return time.time()
