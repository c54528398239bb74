"""A gallery as one file: what is written is found again, and what is not a gallery is refused."""

import json
import sys
from collections.abc import Iterable
from dataclasses import replace
from hashlib import sha256
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from facefleet.errors import Unavailable
from facefleet.model import Box, Person, Photo, Rejection
from facefleet.recognition import index
from facefleet.recognition.entries import entry
from facefleet.recognition.snapshot import HEADER_BYTES, MAGIC, BadSnapshot, Snapshot, load, write

FILES = count()
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
law = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def person(id: str, *, photos: int = 1, seed: int = 0) -> Person:
    rows = np.random.default_rng(seed).normal(size=(photos, 128)).astype("<f4")
    return Person(id, id, {}, tuple(Photo(str(i), Box(0, 0, 1, 1), row.tobytes()) for i, row in enumerate(rows)), 1)


def snapshot_of(people: Iterable[Person], folder: Path, version: int = 1) -> Snapshot:
    return load(file_of(people, folder, version), model="ours")


def file_of(people: Iterable[Person], folder: Path, version: int = 1) -> Path:
    path = folder / f"snapshot-{next(FILES)}"
    write((entry(p) for p in sorted(people, key=lambda p: p.id)), path, version=version, model="ours")
    return path


@law
@given(
    people=st.dictionaries(
        TEXT, st.tuples(TEXT, st.dictionaries(TEXT, JSON, max_size=3), st.integers(0, 3)), max_size=6
    ),
    others=st.lists(TEXT, max_size=3),
)
def test_whatever_people_are_called_they_are_found_again(
    tmp_path: Path, people: dict[str, tuple[str, dict[str, object], int]], others: list[str]
) -> None:
    written = [
        replace(person(id, photos=photos), name=name, attributes=attributes)
        for id, (name, attributes, photos) in people.items()
    ]
    snapshot = snapshot_of(written, tmp_path, 7)
    assert (snapshot.version, len(snapshot), snapshot.enrolled) == (
        7,
        len(people),
        sum(n > 0 for *_, n in people.values()),
    )
    for one in written:
        number = snapshot.number(one.id)
        assert number is not None
        assert snapshot.person(number) == replace(one, photos=(), version=0)
        assert snapshot.is_enrolled(number) == bool(one.photos)
    assert all((snapshot.number(id) is None) == (id not in people) for id in others)


def test_people_stand_by_id_with_their_rows(tmp_path: Path) -> None:
    people = [
        person("c", seed=1),
        person("a", seed=2),
        person("b", photos=0),
        person("ä", seed=3),
        person("🙂", seed=4),
    ]
    snapshot = snapshot_of(people, tmp_path)
    found = [(number, one.id, one.rows.tobytes()) for number, one in snapshot.entries()]
    order = sorted(people, key=lambda p: p.id)
    assert found == [(i, p.id, entry(p).rows.tobytes()) for i, p in enumerate(order)]


def test_entries_are_whole_where_a_block_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("facefleet.recognition.snapshot.BLOCK", 3)
    people = [person(f"{i}", photos=i % 2, seed=i) for i in range(8)]
    entries = [one for _, one in snapshot_of(people, tmp_path).entries()]
    assert [(one.id, one.rows.tobytes()) for one in entries] == [(p.id, entry(p).rows.tobytes()) for p in people]


def test_rejections_are_kept(tmp_path: Path) -> None:
    paul = replace(person("paul"), rejections=(Rejection("r1", bytes(range(256)) * 2),))
    assert snapshot_of([paul], tmp_path).person(0).rejections == paul.rejections


def test_people_out_of_order_are_not_written(tmp_path: Path) -> None:
    for ids in ("ba", "aa"):
        with pytest.raises(ValueError, match="in order of their ids"):
            write(map(entry, map(person, ids)), tmp_path / ids, version=1, model="ours")


def test_a_snapshot_stays_as_it_was_opened(tmp_path: Path) -> None:
    """Whatever becomes of its name."""
    path = file_of([person("a"), person("b", seed=1)], tmp_path)
    snapshot = load(path, model="ours")
    file_of([person("x")], tmp_path).replace(path)
    assert [one.id for _, one in snapshot.entries()] == ["a", "b"]
    path.unlink()
    assert snapshot.number("b") == 1


@pytest.fixture
def quantised(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are quantised already where they are few."""
    monkeypatch.setattr(index, "QUANTISED_FROM", 1000)


@pytest.mark.usefixtures("quantised")
def test_many_rows_are_found_by_their_codes_as_if_each_were_looked_at(tmp_path: Path) -> None:
    people = [person(f"{i:04}", seed=i) for i in range(2000)]
    rows = np.concatenate([entry(one).rows for one in people])
    snapshot = snapshot_of(people, tmp_path)
    assert isinstance(snapshot.index, index.Quantised)
    for row in rows[:50]:
        probe = row + np.float32(0.02)
        plain = np.linalg.norm(rows - probe, axis=1)
        numbers, distances = snapshot.index.nearest(probe, 5)
        assert numbers.tolist() == np.argsort(plain, kind="stable")[:5].tolist()
        assert np.array_equal(distances, plain[numbers])


@pytest.mark.usefixtures("quantised")
def test_all_rows_are_found_by_their_codes_where_all_are_asked_for(tmp_path: Path) -> None:
    snapshot = snapshot_of((person(f"{i:04}", seed=i) for i in range(1200)), tmp_path)
    numbers, distances = snapshot.index.nearest(np.ones(128, np.float32), 1200)
    assert sorted(numbers) == list(range(1200))
    assert (np.diff(distances) >= 0).all()


@pytest.mark.usefixtures("quantised")
def test_the_same_people_make_the_same_file(tmp_path: Path) -> None:
    one, other = (file_of((person(f"{i:04}", seed=i) for i in range(1200)), tmp_path) for _ in range(2))
    assert one.read_bytes() == other.read_bytes()


def forged(**fields: object) -> bytes:
    """A header that is whole, and says something else."""
    known = {"version": 1, "model": "ours", "people": 2, "enrolled": 2, "rows": 2, "text": 9, "codes": 0, "format": 1}
    body = json.dumps(known | fields).encode()
    return (MAGIC + sha256(body).digest() + body).ljust(HEADER_BYTES)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda data: b"", "not a gallery"),
        (lambda data: data[:100], "not a gallery"),
        (lambda data: b"GIF89a" + data, "not a gallery"),
        (lambda data: bytes(len(data)), "not a gallery"),
        (lambda data: data[:70] + b"?" + data[71:], "header"),
        (lambda data: data[:-1], "damaged"),
        (lambda data: data + b"x", "damaged"),
        (lambda data: data[:HEADER_BYTES], "damaged"),
        (lambda data: forged(format=99) + data[HEADER_BYTES:], "format 99"),
        (lambda data: forged(model="theirs") + data[HEADER_BYTES:], "theirs"),
    ],
    ids=["empty", "cut in the header", "foreign", "zeros", "a byte", "short", "long", "header only", "format", "model"],
)
def test_what_is_not_a_whole_gallery_of_ours_is_refused(tmp_path: Path, damage, words: str) -> None:  # type: ignore[no-untyped-def]
    path = file_of([person("a"), person("b")], tmp_path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(BadSnapshot, match=words):
        load(path, model="ours")


@pytest.mark.usefixtures("quantised")
def test_codes_that_are_none_are_refused(tmp_path: Path) -> None:
    path = file_of((person(f"{i:04}") for i in range(1200)), tmp_path)
    data = path.read_bytes()
    codes = data.rindex(b"IPfs")
    path.write_bytes(data[:codes] + b"none" + data[codes + 4 :])
    with pytest.raises(BadSnapshot, match="damaged"):
        load(path, model="ours")


def test_without_faiss_a_large_gallery_is_searched_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a function, whose image has none: one that workers wrote, and one of its own, which they take for none."""
    monkeypatch.setattr(index, "QUANTISED_FROM", 100)
    everybody = [person(f"{i:03}", seed=i) for i in range(200)]
    theirs = file_of(everybody, tmp_path)
    probe = np.frombuffer(everybody[7].photos[0].encoding, "<f4")
    expected = load(theirs, model="ours").index.nearest(probe, 1)
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "faiss", None)
        ours = file_of(everybody, tmp_path)
        for path in (theirs, ours):
            found = load(path, model="ours").index
            assert isinstance(found, index.Exact)
            assert found.nearest(probe, 1) == expected
        without.setattr(index, "MOST_EXACT", 199)
        with pytest.raises(Unavailable, match="200 encodings, and without faiss only 199"):
            load(ours, model="ours")
    with pytest.raises(BadSnapshot, match="without codes"):
        load(ours, model="ours")
