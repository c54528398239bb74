"""What a relay has done and does, as its spool and its queues tell: for whoever looks on, while it runs or not."""

import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facefleet.errors import NotFound, ServiceError, Unavailable
from facefleet.model import Depth
from facefleet.ports import Queue
from facefleet.wire import GARBAGE
from openstack_relay import statements
from openstack_relay.relay import STALE
from openstack_relay.statements import State

#: Seconds that a look may wait for the relay, which writes.
PATIENCE = 5.0


@dataclass(frozen=True)
class Spooled:
    """`events`: by state; `calls`: by outcome; `aside`: messages that were no events, nor results, by what was wrong.

    `oldest`: when the first of the events that are not over was sent. `beat`: when a relay said last that it lives, and
    `told`: what else it said.
    """

    events: Mapping[str, int]
    calls: Mapping[str, int]
    aside: Mapping[str, int]
    deliveries: int
    results: int
    oldest: float | None
    beat: float
    told: Mapping[str, Any]

    @property
    def received(self) -> int:
        return sum(self.events.values())

    def count(self, state: State) -> int:
        return self.events.get(state, 0)

    def runs(self, now: float) -> bool:
        return "process" in self.told and now - self.beat <= STALE


@dataclass(frozen=True, slots=True)
class Counted:
    """What of a workload went through, for whoever holds it against what was sent.

    `called`: events that a call was answered for, once however often it was tried; None where there are no calls.
    """

    events: int
    called: int | None


def spooled(file: Path) -> Spooled:
    """Raises `NotFound` where no relay has run, and `Unavailable` where its spool cannot be read."""
    with _opened(file) as db:
        return _read(db)


def counted(file: Path, since: float) -> Counted:
    """From that time on; raises as `spooled`."""
    with _opened(file) as db:
        (events,) = db.execute(statements.EVENTS_SINCE, (since,)).fetchone()
        tries, called = db.execute(statements.CALLED_SINCE, (since,)).fetchone()
    return Counted(events, called if tries else None)


@contextmanager
def _opened(file: Path) -> Iterator[sqlite3.Connection]:
    if not file.exists():
        raise NotFound(f"no relay has run here: there is no {file}; set FACEFLEET_DATA to where it keeps its spool")
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=PATIENCE)) as db:
            yield db
    except sqlite3.Error as e:
        raise Unavailable(f"{file} cannot be read ({e}): look as the relay's own user") from e


def _read(db: sqlite3.Connection) -> Spooled:
    beat, told = db.execute(statements.LAST_BEAT).fetchone() or (0.0, "{}")
    return Spooled(
        events=dict(db.execute(statements.BY_STATE)),
        calls=dict(db.execute(statements.CALLS)),
        aside=dict(db.execute(statements.ASIDE)),
        deliveries=db.execute(statements.DELIVERIES).fetchone()[0],
        results=db.execute(statements.RESULTS).fetchone()[0],
        oldest=db.execute(statements.OLDEST).fetchone()[0],
        beat=beat,
        told=_object(told),
    )


def _object(text: str) -> Mapping[str, Any]:
    try:
        return dict(json.loads(text))
    except GARBAGE:
        return {}


def depth_of(open_queue: Callable[[], Queue]) -> Depth | str:
    """Or why it cannot be told."""
    try:
        return open_queue().depth()
    except ServiceError as e:
        return e.detail


def as_json(seen: Spooled, queues: Mapping[str, Depth | str], now: float) -> dict[str, Any]:
    """What `facefleet relay status --json` says."""
    return {
        "runs": seen.runs(now),
        "process": seen.told.get("process") if seen.runs(now) else None,
        "received": seen.received,
        "done": seen.count(State.DONE),
        "handed_over": seen.count(State.HANDED_OVER),
        "gone": seen.count(State.GONE),
        "failed": seen.count(State.FAILED),
        "waiting": seen.count(State.WAITING),
        "at_work": seen.count(State.AT_WORK),
        "results": seen.results,
        "deliveries": seen.deliveries,
        "aside": dict(seen.aside),
        "calls": {"all": sum(seen.calls.values()), **seen.calls},
        "oldest": None if seen.oldest is None else round(max(0.0, now - seen.oldest), 1),
        "pauses": dict(seen.told.get("pauses", {})) if seen.runs(now) else {},
        "queues": {name: _shown(depth) for name, depth in queues.items()},
    }


def _shown(depth: Depth | str) -> dict[str, Any]:
    if isinstance(depth, str):
        return {"error": depth}
    return {"visible": depth.visible, "in_flight": depth.in_flight}


def lines(told: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The same for people, each line with its name."""
    process = told["process"] or {}
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(process.get("since", 0)))
    runs = f"runs since {since}, process {process.get('pid')}" if told["runs"] else "does not run"
    words = ("received", "done", "handed_over", "gone", "failed", "waiting", "at_work")
    counts = [f"{told[word]} {word.replace('_', ' ')}" for word in words if told[word] or word in words[:2]]
    oldest = "" if told["oldest"] is None else f"; the oldest since {told['oldest']:.1f} s"
    shown = [("relay", runs), ("events", ", ".join(counts) + oldest)]
    shown.append(("calls", in_words(told["calls"])))
    shown.append(("results", f"{told['results']} files at home"))
    if told["aside"]:
        shown.append(("aside", in_words(told["aside"])))
    shown += [(f"{name} waits", why) for name, why in told["pauses"].items()]
    return shown + [(name, _queue_in_words(queue)) for name, queue in told["queues"].items()]


def in_words(counts: Mapping[str, int]) -> str:
    """`12 all, 11 done, 1 failed`."""
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def _queue_in_words(queue: Mapping[str, Any]) -> str:
    return str(queue.get("error") or f"{queue['visible']} visible, {queue['in_flight']} in flight")
