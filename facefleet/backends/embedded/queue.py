"""A queue with SQS's rules in one SQLite file; a queue and its dead letters share the file, so a move is atomic."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import Connection
from threading import Event
from typing import TypeVar
from uuid import uuid4

from facefleet.backends.embedded.bell import Bell
from facefleet.backends.embedded.sqlite import Database, now
from facefleet.errors import TooLarge
from facefleet.model import Depth, Message

T = TypeVar("T")

#: A bell may be missed when the machine sleeps; this long a receiver sleeps at most.
FALLBACK_POLL = 1.0
#: A message is some 100 KB to 1 MB: with pages of 4 KB it takes half as much CPU time again to send.
PAGE_SIZE = 16_384
#: How often messages older than `keep` are looked for.
FORGET_EVERY = 3600.0

SCHEMA = """
CREATE TABLE IF NOT EXISTS messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    queue TEXT NOT NULL,
    visible_at REAL NOT NULL,   -- waiting when past; on lease, or released for later, when to come
    receipt TEXT,
    receives INTEGER NOT NULL DEFAULT 0,
    sent_at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS waiting ON messages (queue, visible_at);
-- Apart, because SQLite writes a whole row again when one column changes: a lease must not cost a copy of the image.
CREATE TABLE IF NOT EXISTS bodies (id INTEGER PRIMARY KEY, body TEXT NOT NULL);
CREATE TRIGGER IF NOT EXISTS gone AFTER DELETE ON messages BEGIN DELETE FROM bodies WHERE id = old.id; END;
"""
SEND = "INSERT INTO messages (queue, visible_at, sent_at) VALUES (:queue, :now, :now) RETURNING id"
SEND_BODY = "INSERT INTO bodies VALUES (?, ?)"
ANY_VISIBLE = "SELECT 1 FROM messages WHERE queue = :queue AND visible_at <= :now LIMIT 1"
REDRIVE = """
UPDATE messages SET queue = :dead, visible_at = :now, receipt = NULL, receives = 0
WHERE queue = :queue AND visible_at <= :now AND receives >= :max_receives
"""
TAKE = """
UPDATE messages SET receipt = id || :lease, receives = receives + 1, visible_at = :until WHERE id IN
    (SELECT id FROM messages WHERE queue = :queue AND visible_at <= :now ORDER BY visible_at, id LIMIT :limit)
RETURNING (SELECT body FROM bodies WHERE bodies.id = messages.id), receipt, receives, sent_at
"""
#: A receipt dies with its lease: after `visible_at` it names nothing.
ON_LEASE = "WHERE receipt = :receipt AND queue = :queue AND visible_at > :now AND id = CAST(:receipt AS INTEGER)"
ACK = "DELETE FROM messages " + ON_LEASE  # noqa: S608  # constants, both
#: Giving back ends the lease, so the receipt goes too.
RELEASE = "UPDATE messages SET visible_at = :until, receipt = NULL " + ON_LEASE  # noqa: S608  # constants, both
EXTEND = "UPDATE messages SET visible_at = :until " + ON_LEASE  # noqa: S608  # constants, both
NEXT_VISIBLE = "SELECT MIN(visible_at) FROM messages WHERE queue = :queue"
#: The next is taken for the oldest, though one that was received before may be older: to find that reads all rows.
DEPTH = """
SELECT COUNT(*), COALESCE(SUM(visible_at <= :now), 0),
    (SELECT sent_at FROM messages WHERE queue = :queue AND visible_at <= :now ORDER BY visible_at, id LIMIT 1)
FROM messages WHERE queue = :queue
"""
PURGE = "DELETE FROM messages WHERE queue = :queue"
FORGET = "DELETE FROM messages WHERE sent_at < :before"


@dataclass(frozen=True)
class DeadLetters:
    """Where a message goes instead of being received once more."""

    queue: str
    max_receives: int


class QueueFile:
    """The file that queues share, with its limits."""

    def __init__(
        self, path: Path, *, max_message_bytes: int, keep: float, page_size: int = PAGE_SIZE, durable: bool = True
    ) -> None:
        """`durable`: what was sent survives a power cut."""
        # Images pass through here: to overwrite each would be to write it twice. `scrub` does so for many at once.
        self.database = Database(path, SCHEMA, page_size=page_size, quick=True)
        self.durable = durable
        self.bell = Bell(path.with_suffix(".bell"))
        self.max_message_bytes = max_message_bytes
        self._keep = keep
        self._forget_at = 0.0

    def forget(self, connection: Connection) -> None:
        """Deletes what was sent longer ago than it may be kept; SQS calls this the retention period."""
        if time.monotonic() >= self._forget_at:
            connection.execute(FORGET, {"before": now() - self._keep})
            self._forget_at = time.monotonic() + FORGET_EVERY

    def tidy(self) -> None:
        """Deletes what is too old, and overwrites what was deleted: images that were answered leave traces here."""
        with self.database.write(durable=True) as connection:
            connection.execute(FORGET, {"before": now() - self._keep})
        self.database.scrub()


class SqliteQueue:
    """Durable once sent, if its file is.

    Leases and acks may be undone by a power cut: the message then comes twice, as on SQS.
    """

    def __init__(
        self, file: QueueFile, name: str, *, visibility_timeout: float, dead_letters: DeadLetters | None = None
    ) -> None:
        self.name = name
        self._file = file
        self._database = file.database
        self._visibility_timeout = visibility_timeout
        self._dead_letters = dead_letters

    @property
    def max_message_bytes(self) -> int:
        return self._file.max_message_bytes

    def send(self, body: str) -> None:
        if (size := _bytes(body)) > self.max_message_bytes:
            raise TooLarge(f"message of {size} bytes, the queue takes {self.max_message_bytes}")
        with self._database.write(durable=self._file.durable) as connection:
            (id,) = connection.execute(SEND, {"queue": self.name, "now": now()}).fetchone()
            connection.execute(SEND_BODY, (id, body))
        self._file.bell.ring()

    def receive(self, *, wait: float = 0.0, limit: int = 1, stop: Event | None = None) -> list[Message]:
        messages = self._take(limit)
        if messages or wait <= 0:
            return messages
        return self._awaited(lambda: self._take(limit), wait, stop)

    def await_any(self, *, wait: float, stop: Event | None = None) -> bool:
        return self._awaited(self._any_visible, wait, stop)

    def _awaited(self, look: Callable[[], T], wait: float, stop: Event | None) -> T:
        """What a look finds, as soon as that is something."""
        deadline = time.monotonic() + wait
        with self._file.bell.listen() as ear:
            while not (found := look()):
                left = deadline - time.monotonic()
                if left <= 0 or (stop and stop.is_set()):
                    break
                ear.wait(min(left, self._until_next()), stop)
        return found

    def _any_visible(self) -> bool:
        with self._database.read() as connection:
            return connection.execute(ANY_VISIBLE, {"queue": self.name, "now": now()}).fetchone() is not None

    def _take(self, limit: int) -> list[Message]:
        # Most looks find nothing: those need no write lock.
        if not self._any_visible():
            return []
        with self._database.write(durable=False) as connection:
            self._file.forget(connection)
            self._redrive(connection)
            at = now()
            rows = connection.execute(
                TAKE,
                {
                    "queue": self.name,
                    "now": at,
                    "until": at + self._visibility_timeout,
                    "lease": f"-{uuid4().hex}",
                    "limit": limit,
                },
            ).fetchall()
        return [Message(*row) for row in rows]

    def _redrive(self, connection: Connection) -> None:
        if self._dead_letters is None:
            return
        connection.execute(
            REDRIVE,
            {
                "queue": self.name,
                "now": now(),
                "dead": self._dead_letters.queue,
                "max_receives": self._dead_letters.max_receives,
            },
        )

    def _until_next(self) -> float:
        """Seconds until the first lease ends: its message may be received then, and nobody rings."""
        with self._database.read() as connection:
            (at,) = connection.execute(NEXT_VISIBLE, {"queue": self.name}).fetchone()
        return FALLBACK_POLL if at is None else min(FALLBACK_POLL, max(0.0, at - now()))

    def ack(self, message: Message) -> bool:
        return self._on_lease(ACK, message)

    def ack_all(self, messages: Sequence[Message]) -> int:
        with self._database.write(durable=False) as connection:
            return sum(connection.execute(ACK, self._names(message)).rowcount for message in messages)

    def release(self, message: Message, *, after: float = 0.0) -> bool:
        released = self._on_lease(RELEASE, message, after)
        self._file.bell.ring()
        return released

    def extend(self, message: Message, *, seconds: float) -> bool:
        return self._on_lease(EXTEND, message, seconds)

    def _on_lease(self, statement: str, message: Message, seconds: float = 0.0) -> bool:
        with self._database.write(durable=False) as connection:
            return connection.execute(statement, self._names(message, seconds)).rowcount == 1

    def _names(self, message: Message, seconds: float = 0.0) -> dict[str, object]:
        at = now()
        return {"queue": self.name, "receipt": message.receipt, "now": at, "until": at + seconds}

    def depth(self) -> Depth:
        with self._database.read() as connection:
            total, visible, oldest = connection.execute(DEPTH, {"queue": self.name, "now": now()}).fetchone()
        return Depth(visible=visible, in_flight=total - visible, oldest=oldest)

    def purge(self) -> int:
        with self._database.write(durable=True) as connection:
            removed = connection.execute(PURGE, {"queue": self.name}).rowcount
        self.scrub()
        return removed

    def scrub(self) -> None:
        """Overwrites what was deleted."""
        self._database.scrub()


def _bytes(text: str) -> int:
    """How many it is in UTF-8; of plain ASCII, as an image in base64 is, Python knows without a copy."""
    return len(text) if text.isascii() else len(text.encode())
