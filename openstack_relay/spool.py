"""What the relay was told, whom it called, and what it brought home: safe on the disk before anything is done.

Ids, object keys, file names, times and states: no image, no answer. It survives `kill -9` and a plug pulled.
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from facefleet.errors import ServiceError, Unavailable
from openstack_relay import statements
from openstack_relay.doing import Fate
from openstack_relay.incoming import Event
from openstack_relay.statements import State

#: In the data folder.
FILE = "relay.db"
#: Seconds that a reader, as `facefleet relay status`, may keep a writer waiting.
PATIENCE = 10.0
#: Rows that are forgotten in one go: others wait meanwhile.
AT_ONCE = 1000


class Damaged(ServiceError, RuntimeError):
    """The spool cannot be read: move it away; what was not finished comes again from the queues."""

    code = "spool_damaged"


@dataclass(frozen=True, slots=True)
class Known:
    """What was known of an event when it came. `interrupted`: how often its work had no end, since we were killed.

    `called_at`: when the last call began of which nobody knows what came; who was called may be at it still.
    """

    state: State
    failures: int = 0
    interrupted: int = 0
    called_at: float = 0.0

    @property
    def is_over(self) -> bool:
        return self.state in statements.OVER


class Spool:
    """For one process, whose every thread may call every verb; each returns once it is safe."""

    def __init__(self, file: Path, *, clock: Callable[[], float] = time.time) -> None:
        """Opens it, and closes what an earlier process left open; raises `Unavailable` or `Damaged`."""
        self._file, self._clock, self._lock = file, clock, threading.Lock()
        with self._told():
            self._db = statements.open_file(file, patience=PATIENCE)
        with self._writing() as db:
            db.execute(statements.INTERRUPT_EVENTS, (State.WAITING, clock(), State.AT_WORK))
            db.execute(statements.INTERRUPT_CALLS, (clock(),))
            db.execute(statements.INTERRUPT_DELIVERIES, (clock(),))

    def close(self) -> None:
        self._db.close()

    def received(self, event: Event, *, sent_at: float) -> tuple[int, Known]:
        """Notes a delivery, and that it is at work unless it is over; returns the delivery and what was known."""
        keys = "\n".join(f"{one.bucket}/{one.key}" for one in event.arrivals)
        now = self._clock()
        with self._writing() as db:
            row = db.execute(statements.EVENT, (event.identity,)).fetchone()
            known = Known(State(row[0]), *row[1:]) if row else Known(State.WAITING)
            delivery = db.execute(statements.DELIVER, (event.identity, now)).lastrowid or 0
            if row is None:
                db.execute(statements.COME, (event.identity, keys, State.AT_WORK, sent_at, now, now))
            elif not known.is_over:
                db.execute(statements.CHANGE, (State.AT_WORK, now, event.identity))
        return delivery, known

    def set_aside(self, outcome: str) -> None:
        """Notes a delivery of what is no event: nothing to do, or none of ours."""
        with self._writing() as db:
            db.execute(statements.SET_ASIDE, (self._clock(), self._clock(), outcome))

    def ended(self, delivery: int, event: Event, fate: Fate) -> None:
        """It is over: from now on it is acked wherever it comes again."""
        with self._writing() as db:
            db.execute(statements.CHANGE, (State(fate.value), self._clock(), event.identity))
            db.execute(statements.END_DELIVERY, (self._clock(), fate.value, delivery))

    def came_again(self, delivery: int) -> None:
        """What is over, or at work already."""
        with self._writing() as db:
            db.execute(statements.END_DELIVERY, (self._clock(), "again", delivery))

    def waits(self, delivery: int, event: Event, *, tries: int, why: str) -> None:
        """It is to come again; `tries`: those that it has had by now, and that count."""
        with self._writing() as db:
            db.execute(statements.WAIT, (State.WAITING, tries, self._clock(), event.identity))
            db.execute(statements.END_DELIVERY, (self._clock(), why, delivery))

    def call_begins(self, identity: str) -> str:
        call = uuid4().hex
        with self._writing() as db:
            db.execute(statements.CALL, (call, identity, self._clock()))
        return call

    def call_ended(self, call: str, outcome: str, *, request_id: str = "") -> None:
        with self._writing() as db:
            db.execute(statements.END_CALL, (self._clock(), outcome, request_id, call))

    def brought(self, file: str, *, sent_at: float) -> None:
        """Notes a result at home, once for each file."""
        with self._writing() as db:
            db.execute(statements.BRING, (file, sent_at, self._clock()))

    def refused(self, code: str) -> None:
        """Notes a message of the output queue that is no result."""
        with self._writing() as db:
            db.execute(statements.SET_ASIDE, (self._clock(), self._clock(), f"output: {code}"))

    def beats(self, told: str) -> None:
        """What this process says of itself, in JSON."""
        with self._writing() as db:
            db.execute(statements.BEAT, (self._clock(), told))

    def forget(self, before: float) -> int:
        """What changed last before then; returns how many rows went."""
        gone = 0
        for statement in statements.FORGET:
            while True:
                with self._writing() as db:
                    went = db.execute(statement, (before, AT_ONCE)).rowcount
                gone += went
                if went < AT_ONCE:
                    break
        return gone

    def ask(self) -> None:
        """Raises `Unavailable` as long as nothing can be noted."""
        with self._writing() as db:
            db.execute(statements.TOUCH, (self._clock(), "{}"))

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._told(), self._db:
            self._db.execute("BEGIN IMMEDIATE")
            yield self._db

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as e:
            raise Unavailable(f"{self._file} cannot be written ({e}): make room there; it goes on by itself") from e
        except sqlite3.DatabaseError as e:
            raise Damaged(f"{self._file} cannot be read ({e}): move it away, and start again") from e
