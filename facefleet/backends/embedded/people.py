"""People in one SQLite file, with one version that every change raises."""

from dataclasses import replace
from pathlib import Path
from sqlite3 import Connection

from facefleet.backends.embedded.sqlite import Database, now
from facefleet.errors import Conflict, NotFound
from facefleet.model import Changes, Person
from facefleet.ports import MAX_CHANGES
from facefleet.wire import dump_person, load_person

#: The name of somebody erased is kept this long, so that workers learn of it; then it is erased as well.
KEEP_REMOVED = 3600.0

SCHEMA = """
CREATE TABLE IF NOT EXISTS people (id TEXT PRIMARY KEY, version INTEGER NOT NULL, body TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS changed ON people (version);
CREATE TABLE IF NOT EXISTS removed (id TEXT PRIMARY KEY, version INTEGER NOT NULL, at REAL NOT NULL) WITHOUT ROWID;
-- `floor`: changes since an earlier version cannot be told any more.
CREATE TABLE IF NOT EXISTS gallery (only INTEGER PRIMARY KEY CHECK (only = 1), version INTEGER, floor INTEGER);
INSERT OR IGNORE INTO gallery VALUES (1, 0, 0);
"""
VERSION = "SELECT version, floor FROM gallery"
RAISE_VERSION = "UPDATE gallery SET version = version + 1 RETURNING version"
VERSION_OF = "SELECT version FROM people WHERE id = ?"
PUT = "INSERT OR REPLACE INTO people VALUES (?, ?, ?)"
GET = "SELECT id, version, body FROM people WHERE id = ?"
LIST = "SELECT id, version, body FROM people WHERE id > ? ORDER BY id LIMIT ?"
CHANGED = "SELECT id, version, body FROM people WHERE version > ? ORDER BY version LIMIT ?"
DELETE = "DELETE FROM people WHERE id = ?"
REMOVED = "SELECT id FROM removed WHERE version > ? ORDER BY version"
REMOVE = "INSERT OR REPLACE INTO removed VALUES (?, ?, ?)"
DELETE_ALL = "DELETE FROM people"
REMOVE_ALL = "INSERT OR REPLACE INTO removed SELECT id, ?, ? FROM people"
RAISE_FLOOR = "UPDATE gallery SET floor = MAX(floor, COALESCE((SELECT MAX(version) FROM removed WHERE at < ?), 0))"
FORGET_REMOVED = "DELETE FROM removed WHERE at < ?"


class SqlitePeople:
    def __init__(self, path: Path) -> None:
        self._database = Database(path, SCHEMA)

    def put(self, person: Person) -> Person:
        with self._database.write(durable=True) as connection:
            row = connection.execute(VERSION_OF, (person.id,)).fetchone()
            if (row[0] if row else 0) != person.version:
                raise Conflict(f"person {person.id} was changed by somebody else: read again")
            version = _raise_version(connection)
            connection.execute(PUT, (person.id, version, dump_person(person)))
        return replace(person, version=version)

    def get(self, person_id: str) -> Person:
        with self._database.read() as connection:
            row = connection.execute(GET, (person_id,)).fetchone()
        if row is None:
            raise NotFound(f"no person {person_id}")
        return load_person(*row)

    def delete(self, person_id: str) -> Person | None:
        with self._database.write(durable=True) as connection:
            row = connection.execute(GET, (person_id,)).fetchone()
            if row is not None:
                connection.execute(DELETE, (person_id,))
                connection.execute(REMOVE, (person_id, _raise_version(connection), now()))
        # Also where nobody was: an erasure that was cut short is asked for again.
        self.tidy()
        return None if row is None else load_person(*row)

    def clear(self) -> int:
        with self._database.write(durable=True) as connection:
            connection.execute(REMOVE_ALL, (_raise_version(connection), now()))
            count = connection.execute(DELETE_ALL).rowcount
        self.tidy()
        return count

    def list(self, *, after: str = "", limit: int = 100) -> tuple[Person, ...]:
        with self._database.read() as connection:
            return tuple(load_person(*row) for row in connection.execute(LIST, (after, limit)))

    def version(self) -> int:
        with self._database.read() as connection:
            return int(connection.execute(VERSION).fetchone()[0])

    def changes(self, since: int) -> Changes:
        if since == (version := self.version()):
            return Changes(version)
        with self._database.snapshot() as connection:
            version, floor = connection.execute(VERSION).fetchone()
            # A version from before the data folder was emptied, or from before what is still remembered.
            if since < floor or since > version:
                return Changes(version, read_everybody=True)
            rows = connection.execute(CHANGED, (since, MAX_CHANGES + 1)).fetchall()
            removed = tuple(r[0] for r in connection.execute(REMOVED, (since,)))
        if max(len(rows), len(removed)) > MAX_CHANGES:
            return Changes(version, read_everybody=True)
        return Changes(version, tuple(load_person(*row) for row in rows), removed)

    def tidy(self) -> None:
        """Leaves nothing of people erased: of their names, once every worker had the time to learn of it."""
        before = now() - KEEP_REMOVED
        with self._database.write(durable=True) as connection:
            connection.execute(RAISE_FLOOR, (before,))
            connection.execute(FORGET_REMOVED, (before,))
        self._database.scrub()


def _raise_version(connection: Connection) -> int:
    (version,) = connection.execute(RAISE_VERSION).fetchone()
    return int(version)
