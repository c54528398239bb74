"""Faces of a clip's frames become appearances: who was there, from when to when."""

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from pictures import at_angle

from facefleet.model import Appearance, Box, Face
from facefleet.recognition.appearances import GAP, merged


def face(person: str | None, angle: float = 0.0, *, wide: int = 10, distance: float = 0.3) -> Face:
    named = {} if person is None else {"person_id": person, "distance": distance}
    return Face(Box(0, 0, wide, wide), 0.5, encoding=at_angle(angle).astype("<f4").tobytes(), **named)  # type: ignore[arg-type]


def told(appearances: tuple[Appearance, ...]) -> list[tuple[str | None, float, float, int]]:
    return [(one.best.person_id, one.start, one.end, one.frames) for one in appearances]


def test_a_person_on_frame_after_frame_appears_once() -> None:
    assert told(merged([(at / 10, [face("paul")]) for at in range(5)])) == [("paul", 0.0, 0.4, 5)]


def test_who_is_out_of_sight_for_longer_than_a_gap_appears_anew() -> None:
    frames = [(0.0, [face("paul")]), (GAP, [face("paul")]), (2 * GAP + 0.1, [face("paul")])]
    assert told(merged(frames)) == [("paul", 0.0, GAP, 2), ("paul", 2 * GAP + 0.1, 2 * GAP + 0.1, 1)]


def test_two_people_at_once_are_two_appearances() -> None:
    frames = [(0.0, [face("paul")]), (0.1, [face("mary", 90), face("paul")]), (0.2, [face("mary", 90)])]
    assert told(merged(frames)) == [("paul", 0.0, 0.1, 2), ("mary", 0.1, 0.2, 2)]


def test_strangers_are_told_apart_by_their_faces() -> None:
    frames = [(0.0, [face(None, 0), face(None, 90)]), (0.1, [face(None, 91), face(None, 1)])]
    assert told(merged(frames)) == [(None, 0.0, 0.1, 2)] * 2


def test_a_face_that_is_not_recognised_in_between_is_the_same_persons() -> None:
    frames = [(0.0, [face("paul")]), (0.1, [face(None, 10)]), (0.2, [face("paul")])]
    assert told(merged(frames)) == [("paul", 0.0, 0.2, 3)]


def test_somebody_recognised_at_last_was_there_before() -> None:
    assert told(merged([(0.0, [face(None, 10)]), (0.1, [face("paul")])])) == [("paul", 0.0, 0.1, 2)]


def test_a_stranger_is_never_given_the_name_of_who_stands_beside_them() -> None:
    frames = [(0.0, [face("paul"), face(None, 90)]), (0.1, [face(None, 90)]), (0.2, [face(None, 89)])]
    assert told(merged(frames)) == [(None, 0.0, 0.2, 3), ("paul", 0.0, 0.0, 1)]


def test_two_names_for_like_faces_stay_two() -> None:
    frames = [(0.0, [face("paul")]), (0.1, [face("peter", 1)])]
    assert told(merged(frames)) == [("paul", 0.0, 0.0, 1), ("peter", 0.1, 0.1, 1)]


def test_the_best_frame_of_a_person_is_where_they_were_nearest() -> None:
    frames = [(at, [face("paul", distance=distance)]) for at, distance in ((0.0, 0.4), (0.1, 0.2), (0.2, 0.3))]
    assert merged(frames)[0].best_at == 0.1


def test_the_best_frame_of_a_stranger_is_where_their_face_was_largest() -> None:
    frames = [(at, [face(None, wide=wide)]) for at, wide in ((0.0, 10), (0.1, 30), (0.2, 20))]
    assert merged(frames)[0].best_at == 0.1


def test_a_clip_without_a_face_has_no_appearances() -> None:
    assert merged([(0.0, []), (0.1, [])]) == ()


FACES = st.builds(face, st.sampled_from([None, "paul", "mary", "peter"]), st.floats(0, 360))


@given(st.lists(st.lists(FACES, max_size=4, unique_by=lambda one: one.person_id or id(one)), max_size=12))
def test_every_face_belongs_to_one_appearance(frames: list[list[Face]]) -> None:
    timed = [(0.1 * number, faces) for number, faces in enumerate(frames)]
    found = merged(timed)
    assert sum(one.frames for one in found) == sum(map(len, frames))
    assert {one.best.person_id for one in found} >= {f.person_id for faces in frames for f in faces} - {None}
    assert all(one.start <= one.best_at <= one.end for one in found)
    assert list(found) == sorted(found, key=lambda one: one.start)


@given(st.floats(0.1, 10.0))
def test_only_an_encodings_direction_counts(length: float) -> None:
    long = replace(face(None), encoding=(at_angle(0) * length).astype("<f4").tobytes())
    assert np.isfinite(length)
    assert told(merged([(0.0, [face(None)]), (0.1, [long])])) == [(None, 0.0, 0.1, 2)]
