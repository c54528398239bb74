"""Who is in a clip, by a model of four lines: the first frame that has a face answers, or all of them do."""

from pathlib import Path

import pytest
from clips import clip_of
from pictures import MAX_PIXELS, at_angle, grey_squares
from PIL import Image

from facefleet.backends.embedded.blobs import DirectoryBlobs
from facefleet.backends.embedded.people import SqlitePeople
from facefleet.model import Box, Footage, Person, Photo
from facefleet.recognition.keeper import Keeper
from facefleet.recognition.recogniser import MAX_SEEN, Limits, Recogniser

#: Each square of 10 pixels is a face: one, and a crowd.
BLACK, MANY = (Image.new("RGB", (10 * count, 10), "black") for count in (1, 1600))


@pytest.fixture
def recogniser(tmp_path: Path) -> Recogniser:
    """Knows black."""
    people = SqlitePeople(tmp_path / "people.db")
    photo = Photo("p", Box(0, 0, 1, 1), at_angle(0).astype("<f4").tobytes())
    people.put(Person("black", "Black", {}, (photo,)))
    keeper = Keeper(people, DirectoryBlobs(tmp_path / "blobs", {}))
    return Recogniser(grey_squares, keeper, Limits(MAX_PIXELS, threshold=0.5))


def test_the_first_frame_with_a_face_answers(recogniser: Recogniser) -> None:
    faces, footage = recogniser.watch(clip_of((BLACK, 1.0)))
    assert [face.person_id for face in faces] == ["black"]
    assert footage == Footage(frames=1, until=0.0, seconds=1.0, at=0.0)


def test_everybody_is_looked_for_to_the_end(recogniser: Recogniser) -> None:
    _, footage = recogniser.watch(clip_of((BLACK, 1.0)), everybody=True)
    assert (footage.frames, footage.until, footage.cut) == (10, 0.9, False)
    assert [(one.best.person_id, one.end) for one in footage.appearances] == [("black", 0.9)]


def test_a_crowd_that_is_too_large_to_be_remembered_is_told_to_have_cut_the_clip(recogniser: Recogniser) -> None:
    _, footage = recogniser.watch(clip_of((MANY, 1.0)), everybody=True)
    assert footage.frames == MAX_SEEN // 1600 + 1
    assert (footage.until, footage.cut) == (0.3, True)
