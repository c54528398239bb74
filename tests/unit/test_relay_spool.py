"""What the relay writes down, and what of it there is after it was killed."""

import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from relays import told_of

from facefleet.errors import Unavailable
from openstack_relay import statements
from openstack_relay.__main__ import alone_on
from openstack_relay.doing import Fate
from openstack_relay.incoming import Event, read
from openstack_relay.spool import AT_ONCE, Damaged, Known, Spool
from openstack_relay.statements import State
from openstack_relay.status import spooled

#: Writes events and calls until it is killed, and says of each that it is safe.
WRITER = """
import sys
from pathlib import Path
from openstack_relay.doing import Fate
from openstack_relay.incoming import read
from openstack_relay.spool import Spool
sys.path.insert(0, "tests"), sys.path.insert(0, "tests/unit")
from relays import told_of
spool = Spool(Path(sys.argv[1]))
for n in range(10_000):
    event = read(told_of(f"{sys.argv[2]}-{n}.mp4"))
    delivery, _ = spool.received(event, sent_at=1.0)
    call = spool.call_begins(event.identity)
    print("call", call, flush=True)
    spool.call_ended(call, "done", request_id="r")
    spool.ended(delivery, event, Fate.DONE)
    print("done", event.identity, flush=True)
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path / "data" / "relay.db"


@pytest.fixture
def spool(file: Path) -> Iterator[Spool]:
    spool = Spool(file)
    yield spool
    spool.close()


def event(key: str = "test_0.mp4") -> Event:
    found = read(told_of(key))
    assert found is not None
    return found


def test_an_event_that_is_over_is_known_wherever_it_comes_again(spool: Spool) -> None:
    delivery, known = spool.received(event(), sent_at=1.0)
    assert known == Known(State.WAITING) and not known.is_over
    spool.ended(delivery, event(), Fate.DONE)
    again, known = spool.received(event(), sent_at=1.0)
    assert known.is_over and again != delivery
    assert spooled(spool_file(spool)).count(State.DONE) == 1


def spool_file(spool: Spool) -> Path:
    return spool._file


def test_failures_are_counted_and_outages_are_not(spool: Spool) -> None:
    for tries in (1, 1, 2):
        delivery, _ = spool.received(event(), sent_at=1.0)
        spool.waits(delivery, event(), tries=tries, why="x")
    assert spool.received(event(), sent_at=1.0)[1].failures == 2


@pytest.mark.parametrize(("outcome", "may"), [("unanswered", True), ("done", False), ("failed", False)])
def test_of_a_call_without_an_answer_it_knows_when_it_began(file: Path, outcome: str, may: bool) -> None:
    now = [50.0]
    spool = Spool(file, clock=lambda: now[0])
    spool.received(event(), sent_at=1.0)
    call = spool.call_begins(event().identity)
    now[0] = 60.0
    spool.call_ended(call, outcome)
    assert spool.received(event(), sent_at=1.0)[1].called_at == (50.0 if may else 0.0)
    spool.close()


def test_what_a_killed_process_was_at_is_interrupted_and_waits(spool: Spool, file: Path) -> None:
    spool.received(event(), sent_at=1.0)
    call = spool.call_begins(event().identity)
    spool.close()
    after = Spool(file)
    known = after.received(event(), sent_at=1.0)[1]
    assert (known.state, known.interrupted, known.called_at > 0) == (State.WAITING, 1, True)
    with sqlite3.connect(file) as db:
        assert db.execute("SELECT id, outcome FROM call").fetchall() == [(call, "interrupted")]
        assert db.execute("SELECT outcome FROM delivery ORDER BY id").fetchall() == [("interrupted",), (None,)]
    db.close()
    after.close()


def test_whatever_moment_it_is_killed_at_it_knows_what_it_said_was_safe(file: Path) -> None:
    said: list[str] = []
    for life in range(4):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(file), str(life)], stdout=subprocess.PIPE, text=True
        ) as writer:
            assert writer.stdout is not None
            for _ in range(20 + 7 * life):
                said.append(writer.stdout.readline().strip())
            writer.send_signal(signal.SIGKILL)
            # What it said meanwhile was safe as well.
            said += writer.stdout.read().splitlines()
    Spool(file).close()
    with sqlite3.connect(file) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        calls = {id for (id,) in db.execute("SELECT id FROM call WHERE ended_at IS NOT NULL")}
        done = {identity for (identity,) in db.execute("SELECT identity FROM event WHERE state = 'done'")}
    db.close()
    assert {words.split()[1] for words in said if words.startswith("call ")} <= calls
    assert {words.split()[1] for words in said if words.startswith("done ")} <= done


def test_what_it_says_is_safe_is_on_the_disk(file: Path) -> None:
    """A plug cannot be pulled here; SQLite promises that of these two: https://sqlite.org/pragma.html#pragma_synchronous"""
    db = statements.open_file(file.parent.parent / "it.db", patience=1.0)
    told = [db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
    db.close()
    assert told == ["wal", 2]


def test_what_is_old_is_forgotten_and_what_changed_since_stays(file: Path) -> None:
    now = [100.0]
    spool = Spool(file, clock=lambda: now[0])
    for n in range(AT_ONCE + 5):
        delivery, _ = spool.received(event(f"{n}.mp4"), sent_at=1.0)
        if n < 3:
            spool.call_ended(spool.call_begins("x"), "done")
            spool.brought(f"{n}.txt", sent_at=1.0)
    now[0] = 200.0
    spool.ended(delivery, event(f"{n}.mp4"), Fate.DONE)
    assert spool.forget(150.0) == (AT_ONCE + 4) + (AT_ONCE + 5) + 3 + 3
    assert spooled(file).received == 1
    spool.close()


def test_a_file_that_is_no_spool_is_named(file: Path) -> None:
    file.write_bytes(b"no database" * 1000)
    with pytest.raises(Damaged, match="move it away"):
        Spool(file)


def test_a_spool_of_another_version_is_not_guessed_at(file: Path) -> None:
    Spool(file).close()
    with sqlite3.connect(file) as db:
        db.execute(f"PRAGMA user_version = {statements.VERSION + 1}")
    db.close()
    with pytest.raises(Damaged, match="another version"):
        Spool(file)


@pytest.mark.parametrize("folder", ["file", "file/relay"])
def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, folder: str) -> None:
    (tmp_path / "file").write_text("a file")
    with pytest.raises(Unavailable, match="FACEFLEET_DATA"), alone_on(tmp_path / folder):
        pass


def test_a_result_that_is_brought_twice_is_one_file(spool: Spool, file: Path) -> None:
    for _ in range(2):
        spool.brought("test_0.txt", sent_at=1.0)
    assert spooled(file).results == 1


def test_a_beat_says_what_the_relay_does(spool: Spool, file: Path) -> None:
    spool.beats(json.dumps({"process": {"pid": 7}}))
    seen = spooled(file)
    assert seen.told == {"process": {"pid": 7}}
    assert seen.runs(seen.beat + 1) and not seen.runs(seen.beat + 60)
    spool.ask()
    assert spooled(file).told == seen.told
