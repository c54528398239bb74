"""The spool's SQL, all of it."""

import sqlite3
from enum import StrEnum
from pathlib import Path

#: Of the tables: who finds another refuses to guess.
VERSION = 1


class State(StrEnum):
    """Of an event. The last four are over, and are what a way says became of it."""

    WAITING = "waiting"
    AT_WORK = "at work"
    DONE = "done"
    HANDED_OVER = "handed over"
    GONE = "gone"
    FAILED = "failed"


OVER = frozenset({State.DONE, State.HANDED_OVER, State.GONE, State.FAILED})

TABLES = """
CREATE TABLE IF NOT EXISTS event (
    identity TEXT PRIMARY KEY,
    keys TEXT NOT NULL,
    state TEXT NOT NULL,
    failures INTEGER NOT NULL DEFAULT 0,
    interrupted INTEGER NOT NULL DEFAULT 0,
    sent_at REAL NOT NULL,
    came_at REAL NOT NULL,
    changed_at REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS event_by_state ON event (state, sent_at);
CREATE INDEX IF NOT EXISTS event_by_change ON event (changed_at);
CREATE TABLE IF NOT EXISTS delivery (
    id INTEGER PRIMARY KEY,
    identity TEXT,
    came_at REAL NOT NULL,
    ended_at REAL,
    outcome TEXT
);
CREATE INDEX IF NOT EXISTS delivery_by_time ON delivery (came_at);
CREATE INDEX IF NOT EXISTS delivery_open ON delivery (id) WHERE ended_at IS NULL;
CREATE TABLE IF NOT EXISTS call (
    id TEXT PRIMARY KEY,
    identity TEXT NOT NULL,
    began_at REAL NOT NULL,
    ended_at REAL,
    outcome TEXT,
    request_id TEXT
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS call_by_time ON call (began_at);
CREATE INDEX IF NOT EXISTS call_by_event ON call (identity);
CREATE INDEX IF NOT EXISTS call_open ON call (id) WHERE ended_at IS NULL;
CREATE TABLE IF NOT EXISTS result (
    file TEXT PRIMARY KEY,
    sent_at REAL NOT NULL,
    brought_at REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS result_by_time ON result (brought_at);
CREATE TABLE IF NOT EXISTS beat (one INTEGER PRIMARY KEY CHECK (one = 1), at REAL NOT NULL, told TEXT NOT NULL);
"""

EVENT = """
SELECT state, failures, interrupted, coalesce(
    (SELECT max(began_at) FROM call WHERE call.identity = event.identity AND outcome IN ('interrupted', 'unanswered')),
    0
) FROM event WHERE identity = ?
"""
COME = "INSERT INTO event (identity, keys, state, sent_at, came_at, changed_at) VALUES (?, ?, ?, ?, ?, ?)"
CHANGE = "UPDATE event SET state = ?, changed_at = ? WHERE identity = ?"
WAIT = "UPDATE event SET state = ?, failures = ?, changed_at = ? WHERE identity = ?"
DELIVER = "INSERT INTO delivery (identity, came_at) VALUES (?, ?)"
SET_ASIDE = "INSERT INTO delivery (came_at, ended_at, outcome) VALUES (?, ?, ?)"
END_DELIVERY = "UPDATE delivery SET ended_at = ?, outcome = ? WHERE id = ?"
CALL = "INSERT INTO call (id, identity, began_at) VALUES (?, ?, ?)"
END_CALL = "UPDATE call SET ended_at = ?, outcome = ?, request_id = ? WHERE id = ?"
BRING = (
    "INSERT INTO result (file, sent_at, brought_at) VALUES (?, ?, ?) "
    "ON CONFLICT (file) DO UPDATE SET sent_at = max(sent_at, excluded.sent_at)"
)
TOUCH = "INSERT INTO beat (one, at, told) VALUES (1, ?, ?) ON CONFLICT (one) DO UPDATE SET at = excluded.at"
BEAT = f"{TOUCH}, told = excluded.told"

INTERRUPT_EVENTS = "UPDATE event SET state = ?, interrupted = interrupted + 1, changed_at = ? WHERE state = ?"
#: Nobody knows what came of what we were killed in.
INTERRUPT_CALLS = "UPDATE call SET ended_at = ?, outcome = 'interrupted' WHERE ended_at IS NULL"
INTERRUPT_DELIVERIES = "UPDATE delivery SET ended_at = ?, outcome = 'interrupted' WHERE ended_at IS NULL"

#: Of each table what is older than the first parameter, so many rows at most as the second says.
FORGET = (
    "DELETE FROM event WHERE identity IN (SELECT identity FROM event WHERE changed_at < ? LIMIT ?)",
    "DELETE FROM delivery WHERE id IN (SELECT id FROM delivery WHERE came_at < ? LIMIT ?)",
    "DELETE FROM call WHERE id IN (SELECT id FROM call WHERE began_at < ? LIMIT ?)",
    "DELETE FROM result WHERE file IN (SELECT file FROM result WHERE brought_at < ? LIMIT ?)",
)

BY_STATE = "SELECT state, count(*) FROM event GROUP BY state"
OLDEST = "SELECT min(sent_at) FROM event WHERE state IN ('waiting', 'at work')"
DELIVERIES = "SELECT count(*) FROM delivery WHERE outcome IS NULL OR outcome NOT LIKE 'output: %'"
CALLS = "SELECT coalesce(outcome, 'under way'), count(*) FROM call GROUP BY 1"
ASIDE = "SELECT outcome, count(*) FROM delivery WHERE identity IS NULL GROUP BY 1"
RESULTS = "SELECT count(*) FROM result"
#: Of a workload, which began at that time: events, and those of them that a call was answered for.
EVENTS_SINCE = "SELECT count(*) FROM event WHERE came_at >= ?"
CALLED_SINCE = (
    "SELECT count(*), count(DISTINCT identity) FILTER (WHERE outcome IN ('done', 'handed over')) "
    "FROM call WHERE began_at >= ?"
)
LAST_BEAT = "SELECT at, told FROM beat"


def open_file(file: Path, *, patience: float) -> sqlite3.Connection:
    """With its tables; raises `sqlite3.Error`."""
    db = sqlite3.connect(file, timeout=patience, check_same_thread=False, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    # A commit is on the disk before it returns: a call is made only after it was noted.
    db.execute("PRAGMA synchronous = FULL")
    found = db.execute("PRAGMA user_version").fetchone()[0]
    if found not in (0, VERSION):
        raise sqlite3.DatabaseError(f"made by another version, {found}; this one knows {VERSION}")
    db.executescript(TABLES)
    db.execute(f"PRAGMA user_version = {VERSION}")
    return db
