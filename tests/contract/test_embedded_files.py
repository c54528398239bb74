"""What only the embedded backend promises: nothing outside its folder, and nothing left of what was erased."""

import base64
import errno
import multiprocessing
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from multiprocessing.synchronize import Barrier
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as law
from hypothesis import strategies as st

from facefleet import answers
from facefleet.backends import connect
from facefleet.errors import Unavailable
from facefleet.model import Box, Depth, Job, JobKind, Person, Photo, Result
from facefleet.ports import Backend
from facefleet.settings import Settings

from .conftest import Elsewhere

TRICKY = st.text(st.sampled_from("./%\\ ~🙂a\0\n"), min_size=1, max_size=260)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path / "data", visibility_timeout=600.0)


@pytest.fixture
def backend(settings: Settings) -> Backend:
    return connect(settings)


def files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def everything_in(folder: Path) -> bytes:
    """The raw bytes of every file, so of every page, log and leftover."""
    return b"\0".join(path.read_bytes() for path in files(folder))


@law(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=TRICKY)
def test_no_key_leaves_the_folder_of_its_area(backend: Backend, settings: Settings, name: str) -> None:
    backend.blobs.put(f"results/{name}", b"inside")
    outside = [p for p in files(settings.data.parent) if settings.data / "blobs" / "results" not in p.parents]
    assert [p for p in outside if p.read_bytes() == b"inside"] == []
    assert [p.name for p in files(settings.data / "blobs" / ".making")] == []
    assert backend.blobs.delete(f"results/{name}")


def test_what_a_killed_process_was_writing_goes_at_the_next_start_and_what_a_living_one_writes_stays(
    backend: Backend, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("facefleet.backends.embedded.blobs.UNLOCKED", -1.0)
    making = settings.data / "blobs" / ".making"
    (making / "abandoned").write_bytes(b"half an image")

    def fill(path: Path) -> None:
        path.write_bytes(b"whole")
        connect(settings)
        assert path.exists()

    backend.blobs.put_file("state/a", fill)
    assert list(making.iterdir()) == []
    assert backend.blobs.get("state/a") == b"whole"
    (making / "abandoned").write_bytes(b"half an image")
    backend.tidy()
    assert list(making.iterdir()) == []


def test_the_result_is_stored_last(backend: Backend, settings: Settings) -> None:
    """A worker that finds it takes the job as done."""
    out = settings.data / "blobs" / settings.output_bucket
    out.write_text("a file where the folder should be")
    with pytest.raises(Unavailable):
        answers.store(backend.blobs, Job("j", JobKind.RECOGNISE, "a.jpg", 0.0), Result("j", "a.jpg"), b"image")
    assert answers.stored(backend.blobs, "j") is None


@pytest.mark.parametrize("call", ["fsync", "fdatasync"])
def test_what_the_disk_does_not_take_is_not_said_to_be_safe(
    backend: Backend, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def broken(fd: int) -> None:
        raise OSError(errno.EIO, "input/output error")

    monkeypatch.setattr(os, call, broken)
    with pytest.raises(Unavailable):
        backend.requests.send("message") if call == "fdatasync" else backend.blobs.put("state/a", b"data")


def test_input_and_output_lie_under_the_names_that_the_settings_say(backend: Backend, settings: Settings) -> None:
    backend.blobs.put("in/test_00.jpg", b"image")
    backend.blobs.put("out/test_00", b"Paul")
    blobs = settings.data / "blobs"
    assert (blobs / settings.input_bucket / "test_00.jpg").read_bytes() == b"image"
    assert (blobs / settings.output_bucket / "test_00").read_bytes() == b"Paul"


def test_the_folder_is_its_owners_alone(backend: Backend, settings: Settings) -> None:
    assert settings.data.stat().st_mode & 0o077 == 0


def test_no_piece_of_an_erased_encoding_is_in_any_file(backend: Backend, settings: Settings) -> None:
    """Many come and go, so that the store has moved what it keeps from page to page before it is erased."""
    chance = Random(29)
    photos = [Photo("p", Box(0, 0, 1, 1), chance.randbytes(512)) for _ in range(180)]
    people = [
        Person(f"{chance.randrange(10**6)}", "N", {}, tuple(photos[3 * i : 3 * i + 1 + i % 3])) for i in range(60)
    ]
    for person in people:
        backend.people.put(person)
    chance.shuffle(people)
    assert pieces_left(settings.data, people[0]) > 0
    left = {person.id: erase_and_look(backend, settings, person) for person in people}
    assert left == dict.fromkeys(left, 0)


def erase_and_look(backend: Backend, settings: Settings, person: Person) -> int:
    backend.people.delete(person.id)
    return pieces_left(settings.data, person)


def pieces_left(folder: Path, person: Person) -> int:
    """How many pieces of 12 bytes, three numbers of an encoding, can be found, raw or as base64."""
    found = everything_in(folder)
    pieces = [p.encoding[at : at + 12] for p in person.photos for at in range(0, 500, 12)]
    return sum(piece in found or base64.b64encode(piece) in found for piece in pieces)


def test_a_photo_taken_from_a_person_is_gone_once_the_person_is(backend: Backend, settings: Settings) -> None:
    chance = Random(7)
    photos = tuple(Photo(str(i), Box(0, 0, 9, 9), chance.randbytes(512)) for i in range(20))
    person = backend.people.put(Person("paul", "Paul", {}, photos))
    backend.people.put(replace(person, photos=photos[:1]))
    backend.people.delete("paul")
    assert pieces_left(settings.data, person) == 0


def test_the_names_of_the_erased_are_forgotten_after_a_while(backend: Backend, settings: Settings) -> None:
    (first,) = [backend.people.put(Person("zacharias", "Z"))]
    backend.people.delete("zacharias")
    an_hour_passes(settings.data / "people.db")
    backend.people.put(Person("other", "O"))
    backend.people.delete("other")
    assert b"zacharias" not in everything_in(settings.data)
    # Who knew him still can not be told that he is gone: they get everybody.
    assert backend.people.changes(first.version).read_everybody


def an_hour_passes(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE removed SET at = at - 3601")


def test_a_purged_message_is_in_no_file_any_more(backend: Backend, settings: Settings) -> None:
    bodies = [Random(i).randbytes(9000).hex() for i in range(20)]
    for body in bodies:
        backend.requests.send(body)
    backend.requests.receive(limit=5)
    assert backend.requests.purge() == 20
    found = everything_in(settings.data)
    assert [i for i, body in enumerate(bodies) if body[4000:4200].encode() in found] == []


def test_messages_older_than_they_may_be_kept_are_forgotten(backend: Backend, settings: Settings) -> None:
    backend.requests.send("old")
    newcomer = connect(replace(settings, keep_days=0.0)).requests
    assert newcomer.receive() == []
    assert backend.requests.depth() == Depth(0, 0)


def test_messages_are_kept_as_long_as_they_may_be(backend: Backend, settings: Settings) -> None:
    backend.requests.send("recent")
    newcomer = connect(replace(settings, keep_days=1.0)).requests
    assert [m.body for m in newcomer.receive()] == ["recent"]


def test_many_who_open_a_new_folder_at_once_all_can(tmp_path: Path) -> None:
    """Each tier does when a machine starts, and SQLite by itself would tell some of them that it is locked."""
    spawn = multiprocessing.get_context("spawn")
    start = spawn.Barrier(6)
    openers = [spawn.Process(target=open_all, args=(tmp_path, start)) for _ in range(6)]
    for opener in openers:
        opener.start()
    for opener in openers:
        opener.join()
    assert [opener.exitcode for opener in openers] == [0] * 6


def open_all(folder: Path, start: Barrier) -> None:
    for i in range(40):
        start.wait(10)
        connect(Settings(data=folder / str(i)))


#: In WAL mode, who empties the log locks this byte of the shared memory: https://sqlite.org/walformat.html
HOLD_CHECKPOINT = """
import fcntl, time
with open(settings.data / "people.db-shm", "r+b") as shared:
    fcntl.lockf(shared, fcntl.LOCK_EX, 1, 121)
    print("holds", flush=True)
    time.sleep(0.5)
"""


def test_what_was_deleted_is_scrubbed_once_another_process_has_emptied_the_log(
    backend: Backend, elsewhere: Elsewhere
) -> None:
    """SQLite itself does not wait for that process, whatever its time-out."""
    backend.people.put(Person("paul", "Paul"))
    emptying = elsewhere(HOLD_CHECKPOINT)
    assert emptying.stdout is not None
    assert emptying.stdout.readline() == "holds\n"
    assert backend.people.delete("paul") is not None
    assert emptying.wait(20) == 0, "it was waited for"
