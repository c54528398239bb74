"""The gallery: the nearest person by the nearest photo, and a value that follows changes."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facefleet.model import Box, Changes, Person, Photo
from facefleet.recognition.encoder import Encoding
from facefleet.recognition.gallery import Gallery, similarity

THRESHOLD = 0.5
IDS = "abcdef"


def at(*coordinates: float) -> Encoding:
    """An encoding whose first numbers are these; distances between such are as easy as on paper."""
    encoding = np.zeros(128, np.float32)
    encoding[: len(coordinates)] = coordinates
    return encoding


def person(id: str, *encodings: Encoding, version: int = 1) -> Person:
    photos = tuple(Photo(str(i), Box(0, 0, 1, 1), e.astype("<f4").tobytes()) for i, e in enumerate(encodings))
    return Person(id, id.upper(), {}, photos, version)


def nearest(gallery: Gallery, probe: Encoding, limit: int = 9) -> list[tuple[str, float]]:
    return [(c.person_id, c.distance) for c in gallery.nearest(probe, limit=limit, threshold=THRESHOLD)]


def test_in_an_empty_gallery_is_nobody() -> None:
    assert Gallery().nearest(at(1), limit=3, threshold=THRESHOLD) == ()
    assert Gallery.of([person("a")], 1).nearest(at(1), limit=3, threshold=THRESHOLD) == ()


def test_people_stand_nearest_first_each_by_the_nearest_of_their_photos() -> None:
    gallery = Gallery.of([person("far", at(3), at(0, 4)), person("near", at(9), at(1)), person("none")], 1)
    assert nearest(gallery, at(0)) == [("near", 1.0), ("far", 3.0)]


@pytest.mark.parametrize(("limit", "found"), [(1, "a"), (2, "ab"), (9, "abc")])
def test_no_more_than_asked_for_are_found(limit: int, found: str) -> None:
    gallery = Gallery.of([person("c", at(3)), person("a", at(1)), person("b", at(2))], 1)
    assert "".join(id for id, _ in nearest(gallery, at(0), limit)) == found


def test_one_photo_under_two_names_is_the_same_persons_in_every_worker() -> None:
    """Whoever was changed last, and in whatever order a worker heard of them."""
    a, b = person("a", at(1)), person("b", at(1))
    first = Gallery().after(Changes(2, (a, b), complete=True))
    renamed = replace(a, name="A II", version=3)
    followed = first.after(Changes(3, (renamed,)))
    anew = Gallery().after(Changes(3, (b, renamed), complete=True))
    assert nearest(first, at(0)) == nearest(followed, at(0)) == nearest(anew, at(0))


def test_a_gallery_without_changes_is_itself() -> None:
    gallery = Gallery.of([person("a", at(1))], 7)
    assert gallery.after(Changes(7, ())) is gallery


def test_the_gallery_before_a_change_stays_as_it_was() -> None:
    before = Gallery.of([person("a", at(1))], 1)
    before.after(Changes(2, (person("b", at(0)),), ("a",)))
    assert nearest(before, at(0)) == [("a", 1.0)]
    assert (before.version, set(before.people)) == (1, {"a"})


PEOPLE = st.dictionaries(st.sampled_from(IDS), st.lists(st.integers(0, 9), max_size=3), max_size=6)


def of(people: dict[str, list[int]]) -> dict[str, Person]:
    return {id: person(id, *(at(x) for x in places)) for id, places in people.items()}


@given(before=PEOPLE, changed=PEOPLE, removed=st.sets(st.sampled_from(IDS)), complete=st.booleans())
def test_to_follow_changes_is_to_build_anew(
    before: dict[str, list[int]], changed: dict[str, list[int]], removed: set[str], complete: bool
) -> None:
    old, new = of(before), of(changed)
    changes = Changes(2, tuple(new.values()), tuple(sorted(removed)), complete)
    followed = Gallery.of(old.values(), 1).after(changes)
    kept = {} if complete else {id: p for id, p in old.items() if id not in removed}
    anew = Gallery.of((kept | new).values(), 2)
    assert (followed.version, followed.people) == (2, anew.people)
    assert nearest(followed, at(0)) == nearest(anew, at(0))


@given(people=PEOPLE, probe=st.integers(0, 9), limit=st.integers(1, 7))
def test_the_nearest_are_those_that_a_plain_search_finds(people: dict[str, list[int]], probe: int, limit: int) -> None:
    best = {id: min(abs(x - probe) for x in places) for id, places in people.items() if places}
    plain = sorted(best.items(), key=lambda item: (item[1], item[0]))[:limit]
    assert nearest(Gallery.of(of(people).values(), 1), at(probe), limit) == plain


def test_a_photo_kept_as_bytes_is_the_encoding_it_was() -> None:
    encoding = np.random.default_rng(1).normal(size=128).astype(np.float32)
    gallery = Gallery.of([person("a", encoding)], 1)
    assert np.array_equal(gallery.rows[0], encoding)
    assert nearest(gallery, encoding) == [("a", 0.0)]


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


def test_a_candidate_carries_the_similarity_of_its_distance() -> None:
    (candidate,) = Gallery.of([person("a", at(0.5))], 1).nearest(at(0), limit=1, threshold=THRESHOLD)
    assert (candidate.distance, candidate.similarity) == (0.5, 0.5)
