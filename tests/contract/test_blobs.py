"""Bytes under keys: round trips for any name, never a part of a value, nothing outside the place."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from facefleet.errors import NotFound
from facefleet.ports import Blobs

from .conftest import Elsewhere, OpenBackend

#: One store for all examples of a law: each example empties it.
law = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

AREAS = ("in", "out", "results", "photos", "state")
PRINTABLE = st.characters(categories=["L", "M", "N", "P", "S", "Zs"])
#: What file systems, URLs and object stores take for something else.
TRICKY = st.text(st.sampled_from("./%\\ ~#?&+*🙂e\u0301a"), min_size=1, max_size=12)
#: Names that are long enough to be cut by some store, with something tricky at the cut.
LONG = st.builds(
    lambda letter, length, end: (letter * length)[:245] + end,
    st.sampled_from("aé🙂%."),
    st.integers(15, 245),
    st.text(st.sampled_from("./%a🙂"), max_size=4),
)
NAMES = st.one_of(st.text(PRINTABLE, min_size=1, max_size=255), TRICKY, LONG)
KEYS = st.builds(lambda area, name: f"{area}/{name}", st.sampled_from(AREAS), NAMES)

WRITE_FOREVER = """
from itertools import count
for i in count():
    backend.blobs.put(f"in/{i % 5}", bytes([i % 256]) * 300_000)
    print(i, flush=True)
"""


def keys_of(blobs: Blobs, prefix: str) -> list[str]:
    return sorted(info.key for info in blobs.list(prefix))


@contextmanager
def holding(blobs: Blobs, values: dict[str, bytes]) -> Iterator[None]:
    """The store with these values, and no others before or after."""
    assert [info.key for area in AREAS for info in blobs.list(f"{area}/")] == []
    try:
        for key, data in values.items():
            blobs.put(key, data)
        yield
    finally:
        for key in values:
            blobs.delete(key)


@law
@given(values=st.dictionaries(KEYS, st.binary(max_size=50), max_size=6))
@example({"in/a": b"1", "in/a/b": b"2", "in/a/b/c": b"3"})
@example({"in/claims": b"1", "in/claims/x": b"2", "in/claims/": b"3"})
@example({"in/.": b"1", "in/..": b"2", "in/...": b"3", "in/../in/x": b"4", "in//": b"5"})
@example({"in/" + "🙂" * 255: b"1", "in/" + "🙂" * 254: b"2"})
@example({"in/" + "a" * 200: b"1", "in/" + "a" * 201: b"2", "in/" + "a" * 400: b"3"})
@example({"in/a b": b"1", "in/a%20b": b"2", "in/a+b": b"3", "in/a%2520b": b"4"})
@example({"in/A.jpg": b"1", "in/a.jpg": b"2", "in/é": b"3", "in/e\u0301": b"4"})
def test_what_is_put_is_got_and_listed_under_any_name(blobs: Blobs, values: dict[str, bytes]) -> None:
    with holding(blobs, values):
        assert {key: blobs.get(key) for key in values} == values
        listed = {info.key: info.size for area in AREAS for info in blobs.list(f"{area}/")}
        assert listed == {key: len(data) for key, data in values.items()}


@pytest.mark.parametrize("end", [".", "..", "./", "../x", "%", "%2E", "/", "/.."])
def test_a_name_may_end_anyhow_wherever_a_store_cuts_it(blobs: Blobs, end: str) -> None:
    """The embedded store keeps 200 bytes in a name, and others have other limits: each length is tried."""
    for length in (198, 199, 200, 201, 202, 250):
        values = {f"in/{'a' * length}": b"whole", f"in/{'a' * length}{end}": b"with an end"}
        with holding(blobs, values):
            assert {key: blobs.get(key) for key in values} == values
            assert keys_of(blobs, "in/") == sorted(values)
            assert [blobs.delete(key) for key in values] == [True, True]


@law
@given(keys=st.sets(KEYS, max_size=8), data=st.data())
def test_a_list_by_prefix_gives_exactly_the_keys_that_begin_so(
    blobs: Blobs, keys: set[str], data: st.DataObject
) -> None:
    with holding(blobs, dict.fromkeys(keys, b"x")):
        key = data.draw(st.sampled_from(sorted(keys)) if keys else st.just("in/nothing"))
        area = key.index("/") + 1
        prefix = key[: data.draw(st.integers(area, len(key)))]
        assert keys_of(blobs, prefix) == sorted(k for k in keys if k.startswith(prefix))


@pytest.mark.parametrize(
    ("prefix", "found"),
    [
        ("photos/paul/", ["photos/paul/1", "photos/paul/2"]),
        ("photos/paul", ["photos/paul/1", "photos/paul/2", "photos/paula/1"]),
        ("photos/.", ["photos/..", "photos/.hidden"]),
        ("photos/" + "🙂" * 40, ["photos/" + "🙂" * 60]),
        ("photos/paul/3", []),
        ("results/", []),
    ],
)
def test_a_prefix_may_end_anywhere(blobs: Blobs, prefix: str, found: list[str]) -> None:
    names = ("paul/1", "paul/2", "paula/1", "..", ".hidden", "🙂" * 60)
    with holding(blobs, {f"photos/{name}": b"x" for name in names}):
        assert keys_of(blobs, prefix) == found


@law
@given(key=KEYS)
def test_nothing_is_under_a_name_that_was_not_put_or_was_deleted(blobs: Blobs, key: str) -> None:
    with pytest.raises(NotFound):
        blobs.get(key)
    assert blobs.delete(key) is False
    blobs.put(key, b"x")
    assert blobs.delete(key) is True
    assert blobs.delete(key) is False
    with pytest.raises(NotFound):
        blobs.get(key)


@pytest.mark.parametrize("data", [b"", b"\0\xff", bytes(3_000_000)], ids=["empty", "binary", "large"])
def test_any_bytes_are_kept(blobs: Blobs, data: bytes) -> None:
    blobs.put("in/x", data)
    assert blobs.get("in/x") == data
    assert [info.size for info in blobs.list("in/")] == [len(data)]


def test_a_second_put_replaces_the_first(blobs: Blobs) -> None:
    blobs.put("in/x", b"a long first value")
    blobs.put("in/x", b"short")
    assert blobs.get("in/x") == b"short"
    assert keys_of(blobs, "in/") == ["in/x"]


def test_a_newcomer_finds_what_was_put_before(blobs: Blobs, open_backend: OpenBackend) -> None:
    blobs.put("in/x", b"kept")
    assert open_backend().blobs.get("in/x") == b"kept"


def test_the_time_of_a_listed_blob_is_that_of_its_last_put(blobs: Blobs) -> None:
    blobs.put("in/old", b"x")
    blobs.put("in/x", b"first")
    blobs.put("in/x", b"second")
    times = {info.key: info.modified for info in blobs.list("in/")}
    assert times["in/old"] <= times["in/x"] <= times["in/old"] + 60


def test_a_reader_sees_one_value_or_another_and_never_a_mix(blobs: Blobs) -> None:
    blobs.put("in/x", bytes(200_000))
    done = Event()

    def write(letter: int) -> None:
        while not done.is_set():
            blobs.put("in/x", bytes([letter]) * 200_000)

    with ThreadPoolExecutor(3) as pool:
        writers = [pool.submit(write, letter) for letter in range(3)]
        try:
            seen = [blobs.get("in/x") for _ in range(300)]
        finally:
            done.set()
        assert [writer.result() for writer in writers] == [None] * 3
    assert {len(data) for data in seen} == {200_000}
    assert {len(set(data)) for data in seen} == {1}


def test_a_listing_goes_on_while_blobs_come_and_go(blobs: Blobs) -> None:
    blobs.put("in/stays", b"x")
    done = Event()

    def churn() -> None:
        while not done.is_set():
            blobs.put("in/comes", b"x")
            blobs.delete("in/comes")

    with ThreadPoolExecutor(1) as pool:
        churning = pool.submit(churn)
        try:
            listed = [keys_of(blobs, "in/") for _ in range(200)]
        finally:
            done.set()
        churning.result()
    assert all("in/stays" in keys and set(keys) <= {"in/stays", "in/comes"} for keys in listed)


def test_a_killed_writer_leaves_whole_blobs_only(blobs: Blobs, elsewhere: Elsewhere) -> None:
    writer = elsewhere(WRITE_FOREVER)
    seen = [writer.stdout.readline() for _ in range(20)]
    os.kill(writer.pid, signal.SIGKILL)
    assert "19\n" in seen
    writer.wait()
    found = {info.key: info.size for info in blobs.list("in/")}
    assert found == {f"in/{i}": 300_000 for i in range(5)}
    assert {len(set(blobs.get(key))) for key in found} == {1}


@pytest.mark.parametrize("key", ["nothing", "in/", "", "/x", "../in/x", "./x", "in x/y"])
def test_what_is_no_key_is_refused(blobs: Blobs, key: str) -> None:
    for use in (blobs.get, blobs.delete, lambda k: blobs.put(k, b"x")):
        with pytest.raises(ValueError, match=r"key is|area is"):
            use(key)


def test_several_are_put_at_once(blobs: Blobs) -> None:
    wanted = {"in/a.jpg": b"image", "out/a": b"paul", "results/a.json": b"{}"}
    with holding(blobs, {"in/a.jpg": b"old"}):
        blobs.put_all(wanted)
        assert {key: blobs.get(key) for key in wanted} == wanted
        blobs.put_all({})
    for key in wanted:
        blobs.delete(key)


def test_a_file_becomes_a_blob(blobs: Blobs) -> None:
    with holding(blobs, {"state/a": b"old"}):
        blobs.put_file("state/a", lambda path: path.write_bytes(b"new"))
        assert blobs.get("state/a") == b"new"


def test_a_file_whose_making_fails_leaves_the_blob_as_it_was(blobs: Blobs) -> None:
    def fill(path: Path) -> None:
        path.write_bytes(b"half")
        raise ZeroDivisionError

    with holding(blobs, {"state/a": b"old"}):
        with pytest.raises(ZeroDivisionError):
            blobs.put_file("state/a", fill)
        assert blobs.get("state/a") == b"old"


def test_a_blob_held_open_stays_as_it_was(blobs: Blobs) -> None:
    with holding(blobs, {"state/a": b"old"}), blobs.local("state/a").open("rb") as held:
        blobs.put("state/a", b"new")
        blobs.delete("state/a")
        assert held.read() == b"old"


def test_what_is_not_there_has_no_local_file(blobs: Blobs) -> None:
    with pytest.raises(NotFound):
        blobs.local("state/nothing")
