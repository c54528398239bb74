"""What of a workload went through a relay, for whoever holds it against what was sent."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from facefleet.errors import NotFound, Unavailable
from openstack_relay import statements

#: Seconds that a look may wait for the relay, which writes.
PATIENCE = 5.0


@dataclass(frozen=True, slots=True)
class Counted:
    """`called`: events that a call was answered for, once however often it was tried; None where there are no calls."""

    events: int
    called: int | None


def counted(file: Path, since: float) -> Counted:
    """From that time on. Raises `NotFound` where no relay has run, `Unavailable` where its spool cannot be read."""
    if not file.exists():
        raise NotFound(f"no relay has run here: there is no {file}; set FACEFLEET_DATA to where it keeps its spool")
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=PATIENCE)) as db:
            (events,) = db.execute(statements.EVENTS_SINCE, (since,)).fetchone()
            tries, called = db.execute(statements.CALLED_SINCE, (since,)).fetchone()
    except sqlite3.Error as e:
        raise Unavailable(f"{file} cannot be read ({e}): look as the relay's own user") from e
    return Counted(events, called if tries else None)
