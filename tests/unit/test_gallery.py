"""The gallery: the nearest person by the nearest of their centres, and a value that follows changes."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from facefleet.model import Box, Changes, Person, Photo, Rejection
from facefleet.recognition.entries import Entry, entry
from facefleet.recognition.gallery import SPARE, Gallery, similarity
from facefleet.recognition.identification import LENGTH, centres, scaled
from facefleet.recognition.index import Exact, Row
from facefleet.recognition.snapshot import load, write

IDS = "abcdef"
FILES = count()
law = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def at(degrees: float, length: float = 1.0) -> Row:
    """An encoding on an arc: the fewer degrees, the nearer."""
    encoding = np.zeros(128, np.float32)
    encoding[:2] = length * np.cos(np.radians(degrees)), length * np.sin(np.radians(degrees))
    return encoding


def apart(degrees: float) -> float:
    """How far encodings are from each other that lie at so many degrees."""
    return pytest.approx(2 * LENGTH * np.sin(np.radians(degrees / 2)), abs=1e-6)


def person(id: str, *encodings: Row, rejected: Iterable[Row] = (), version: int = 1) -> Person:
    photos = tuple(Photo(str(i), Box(0, 0, 1, 1), e.astype("<f4").tobytes()) for i, e in enumerate(encodings))
    rejections = tuple(Rejection(str(i), e.astype("<f4").tobytes()) for i, e in enumerate(rejected))
    return Person(id, id.upper(), {}, photos, version, rejections)


def centred(id: str, *centres: Row) -> Entry:
    """Somebody with several centres."""
    return replace(entry(person(id)), rows=scaled(np.array(centres, np.float32).reshape(-1, 128)))


def in_memory(people: Iterable[Person], version: int = 1) -> Gallery:
    return Gallery.of(map(entry, people), version)


def on_disk(entries: Iterable[Entry], folder: Path, version: int = 1) -> Gallery:
    path = folder / f"{next(FILES)}"
    write(sorted(entries, key=lambda one: one.id), path, version=version, model="ours")
    return Gallery.on(load(path, model="ours"))


def nearest(gallery: Gallery, probe: Row, limit: int = 9) -> list[tuple[str, float]]:
    return [(person.id, distance) for person, distance in gallery.nearest(probe, limit)]


def test_in_an_empty_gallery_is_nobody() -> None:
    assert Gallery().nearest(at(10), 3) == ()
    assert in_memory([person("a")]).nearest(at(10), 3) == ()
    assert (len(in_memory([person("a")])), Gallery().person("a")) == (0, None)


def test_people_stand_nearest_first_each_by_the_nearest_of_their_centres() -> None:
    gallery = Gallery.of([centred("far", at(30), at(-40)), centred("near", at(90), at(10)), centred("none")], 1)
    assert nearest(gallery, at(0)) == [("near", apart(10)), ("far", apart(30))]


def test_a_persons_photos_count_by_their_centres() -> None:
    photos = [at(10), at(12), at(70)]
    (hit,) = nearest(in_memory([person("a", *photos)]), at(0))
    assert hit == ("a", pytest.approx(np.linalg.norm(centres(np.array(photos)) - scaled(at(0)), axis=1).min()))


def test_an_encodings_length_says_nothing() -> None:
    gallery = in_memory([person("a", at(20, length=1.2)), person("b", at(10, length=1.6))])
    for length in (1.0, 1.5, 2.0):
        assert nearest(gallery, at(0, length)) == [("b", apart(10)), ("a", apart(20))]


@pytest.mark.parametrize(("limit", "found"), [(0, ""), (1, "a"), (2, "ab"), (9, "abc")])
def test_no_more_than_asked_for_are_found(limit: int, found: str) -> None:
    gallery = in_memory([person("c", at(30)), person("a", at(10)), person("b", at(20))])
    assert "".join(id for id, _ in nearest(gallery, at(0), limit)) == found


def test_a_person_with_many_near_centres_hides_nobody(tmp_path: Path) -> None:
    crowd = centred("crowd", *(at(10 + i / 100) for i in range(50)))
    others = [person("b", at(30)), person("c", at(40))]
    plain = [("crowd", apart(10)), ("b", apart(30)), ("c", apart(40))]
    assert nearest(Gallery.of([crowd, *map(entry, others)], 1), at(0), 3) == plain
    assert nearest(on_disk([crowd], tmp_path).after(Changes(2, tuple(others))), at(0), 3) == plain


def test_a_person_behind_anothers_many_centres_is_not_passed_over(tmp_path: Path) -> None:
    crowd, behind = centred("crowd", *(at(10 + i / 100) for i in range(50))), centred("b", at(20))
    others = Changes(2, (person("c", at(30)), person("d", at(40))))
    found = nearest(on_disk([crowd, behind], tmp_path).after(others), at(0), 3)
    assert found == [("crowd", apart(10)), ("b", apart(20)), ("c", apart(30))]


def test_one_photo_under_many_names_is_the_same_persons_in_every_worker(tmp_path: Path) -> None:
    """Whoever was changed last, in whatever order a worker heard of them, and wherever it has them."""
    people = [person(f"{i:02}", at(1)) for i in range(5 * SPARE)]
    first = [(f"{i:02}", apart(1)) for i in range(3)]
    assert nearest(in_memory(people), at(0), 3) == first
    assert nearest(in_memory(reversed(people)), at(0), 3) == first
    half = on_disk(map(entry, people[1::2]), tmp_path).after(Changes(2, tuple(people[::2])))
    assert nearest(half, at(0), 3) == first


def test_a_gallery_without_changes_is_itself() -> None:
    gallery = in_memory([person("a", at(1))], 7)
    assert gallery.after(Changes(7, ())) is gallery


def test_changes_that_do_not_tell_everything_are_refused() -> None:
    with pytest.raises(ValueError, match="read everybody"):
        Gallery().after(Changes(7, read_everybody=True))


def test_the_gallery_before_a_change_stays_as_it_was() -> None:
    before = in_memory([person("a", at(1))])
    before.after(Changes(2, (person("b", at(0)),), ("a",)))
    assert nearest(before, at(0)) == [("a", apart(1))]
    assert (before.version, len(before), before.person("b")) == (1, 1, None)


def test_a_person_is_known_without_their_photos() -> None:
    """So that nobody leans on what a snapshot cannot have."""
    paul = replace(person("paul", at(1), rejected=[at(2)], version=3), attributes={"major": "physics", "tags": [1]})
    assert in_memory([paul]).person("paul") == replace(paul, photos=(), version=0)


PEOPLE = st.dictionaries(st.sampled_from(IDS), st.lists(st.integers(0, 9), max_size=3), max_size=6)


def of(people: Mapping[str, list[int]]) -> dict[str, Person]:
    return {id: person(id, *(at(10 * x) for x in places)) for id, places in people.items()}


@law
@given(before=PEOPLE, changed=PEOPLE, removed=st.sets(st.sampled_from(IDS)), mapped=st.booleans())
def test_to_follow_changes_is_to_build_anew(
    tmp_path: Path, before: dict[str, list[int]], changed: dict[str, list[int]], removed: set[str], mapped: bool
) -> None:
    old, new = of(before), of(changed)
    changes = Changes(2, tuple(new.values()), tuple(sorted(removed)))
    start = on_disk(map(entry, old.values()), tmp_path) if mapped else in_memory(old.values())
    followed = start.after(changes)
    anew = in_memory(({id: p for id, p in old.items() if id not in removed} | new).values(), 2)
    assert same(followed, anew, at(0))


STEPS = st.lists(st.tuples(PEOPLE, st.sets(st.sampled_from(IDS))), max_size=4)


@law
@given(start=PEOPLE, steps=STEPS, probe=st.integers(0, 9))
def test_people_over_a_snapshot_are_found_as_if_there_were_none(
    tmp_path: Path, start: dict[str, list[int]], steps: list[tuple[dict[str, list[int]], set[str]]], probe: int
) -> None:
    plain, mapped = in_memory(of(start).values()), on_disk(map(entry, of(start).values()), tmp_path)
    for version, (changed, removed) in enumerate(steps, 2):
        changes = Changes(version, tuple(of(changed).values()), tuple(removed))
        plain, mapped = plain.after(changes), mapped.after(changes)
    assert same(mapped, plain, at(10 * probe))
    # And a snapshot made of the two holds the same again.
    assert same(on_disk(mapped.everybody(), tmp_path, mapped.version), plain, at(10 * probe))


def same(one: Gallery, other: Gallery, probe: Row) -> bool:
    return (
        (one.version, len(one)) == (other.version, len(other))
        and [one.person(id) for id in IDS] == [other.person(id) for id in IDS]
        and all(nearest(one, probe, limit) == nearest(other, probe, limit) for limit in (1, 2, 9))
    )


@given(people=PEOPLE, probe=st.integers(0, 9), limit=st.integers(1, 7))
def test_the_nearest_are_those_that_a_plain_search_finds(people: dict[str, list[int]], probe: int, limit: int) -> None:
    entries = [centred(id, *(at(10 * x) for x in places)) for id, places in people.items()]
    asked = scaled(at(10 * probe))
    best = {one.id: float(np.linalg.norm(one.rows - asked, axis=1).min()) for one in entries if len(one.rows)}
    plain = sorted(best.items(), key=lambda item: (item[1], item[0]))[:limit]
    assert nearest(Gallery.of(entries, 1), at(10 * probe), limit) == plain


def test_an_encoding_is_as_far_away_wherever_it_stands(tmp_path: Path) -> None:
    """To the last bit, so that a tie is one in memory, on disk, and alone."""
    rows = np.random.default_rng(1).normal(size=(60, 128)).astype(np.float32)
    people, probe = [person(f"{i:02}", row) for i, row in enumerate(rows[1:])], rows[0]
    plain = nearest(in_memory(people), probe, 60)
    assert nearest(on_disk(map(entry, people), tmp_path), probe, 60) == plain
    assert sorted(nearest(in_memory([p]), probe)[0] for p in people) == sorted(plain)


def test_a_photo_kept_as_bytes_is_the_encoding_it_was() -> None:
    encoding = np.random.default_rng(1).normal(size=128).astype(np.float32)
    assert nearest(in_memory([person("a", encoding)]), encoding) == [("a", apart(0))]


@pytest.mark.parametrize("mapped", [False, True], ids=["in memory", "on disk"])
def test_whom_a_face_was_rejected_for_is_left_out_for_a_face_nearer_to_that(tmp_path: Path, mapped: bool) -> None:
    people = [person("a", at(0), rejected=[at(90), at(10, length=1.7)]), person("b", at(30))]
    gallery = on_disk(map(entry, people), tmp_path) if mapped else in_memory(people)
    assert nearest(gallery, at(6), 1) == [("b", apart(24))]
    assert nearest(gallery, at(4), 1) == [("a", apart(4))]


def test_behind_many_who_were_rejected_the_next_is_found() -> None:
    twins = [person(f"{i:03}", at(10), rejected=[at(0)]) for i in range(20 * SPARE)]
    assert nearest(in_memory([*twins, person("z", at(50))]), at(0), 1) == [("z", apart(50))]


def test_a_large_matrix_is_searched_as_if_each_row_were_looked_at() -> None:
    rng = np.random.default_rng(2)
    rows = (rng.normal(size=(3000, 128)) + 200).astype(np.float32)
    rows[2000:] = rows[:1000]
    for probe in rows[:20] + rng.normal(size=(20, 128)).astype(np.float32) / 2:
        plain = np.linalg.norm(rows - probe, axis=1)
        order = np.lexsort((np.arange(3000), plain))
        numbers, distances = Exact.of(rows).nearest(probe, 10)
        assert numbers.tolist() == order[: len(numbers)].tolist()
        assert np.array_equal(distances, plain[numbers])
        assert len(numbers) == np.count_nonzero(plain <= plain[order[9]])


@given(threshold=st.floats(0.01, 2))
def test_similarity_is_one_half_at_the_threshold(threshold: float) -> None:
    assert similarity(threshold, threshold) == 0.5


@given(a=st.floats(0, 2), b=st.floats(0, 2), threshold=st.floats(0.1, 1))
def test_similarity_falls_with_distance_and_stays_between_zero_and_one(a: float, b: float, threshold: float) -> None:
    near, far = sorted((a, b))
    assert 0 <= similarity(far, threshold) <= similarity(near, threshold) <= 1
    if far - near > 0.01:
        assert similarity(far, threshold) < similarity(near, threshold)


def test_the_same_image_is_nearly_one_and_a_stranger_nearly_zero() -> None:
    assert similarity(0.0, 0.5) > 0.99
    assert similarity(0.9, 0.5) < 0.01
