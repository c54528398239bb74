"""What a job becomes, where an encoder of three lines sees whatever a test wants it to see."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from clips import clip_of
from PIL import Image

from facefleet.backends import connect
from facefleet.model import Box, Candidate, Face, Failure, Job, JobKind, Person, Photo, Result
from facefleet.ports import Backend
from facefleet.recognition.encoder import EncodedFace
from facefleet.recognition.images import Picture, Pixels
from facefleet.recognition.keeper import Keeper
from facefleet.recognition.processor import Processor
from facefleet.recognition.recogniser import Limits, Recogniser
from facefleet.settings import Settings
from facefleet.wire import result_to_json

BOX = Box(0, 0, 200, 200)
#: As sharp, and neither dark nor bright, as a photo can be.
GOOD = np.random.default_rng(1).integers(0, 256, (150, 150, 3), np.uint8)
DARK = GOOD // 16


@pytest.fixture
def backend(tmp_path: Path) -> Backend:
    return connect(Settings(data=tmp_path))


Enrol = Callable[..., Result]


@pytest.fixture
def enrol(backend: Backend, photos: Path) -> Enrol:
    """Enrols a photo that shows a face in this direction, as a worker does it."""
    image = (photos / "obama.jpg").read_bytes()
    for id in ("paul", "mary"):
        backend.people.put(Person(id, id.title()))

    def enrol(
        direction: int, person: str = "paul", job: str = "1", *, chip: Pixels = GOOD, force: bool = False
    ) -> Result:
        encoding = np.eye(128, dtype=np.float32)[direction]
        keeper = Keeper(backend.people, backend.blobs)
        recogniser = Recogniser(lambda picture: [EncodedFace(BOX, encoding, chip)], keeper, Limits(10**8))
        process = Processor(recogniser, backend.people, backend.blobs)
        return process(Job(job, JobKind.ENROL, "p.jpg", 0.0, person_id=person, force=force), image)

    return enrol


def code(result: Result) -> str | None:
    return result.error.code if result.error else None


def photos_of(backend: Backend, person: str) -> list[Photo]:
    return list(backend.people.get(person).photos)


def test_a_photo_is_enrolled_with_its_encoding(backend: Backend, enrol: Enrol) -> None:
    assert code(enrol(0)) is None
    (photo,) = photos_of(backend, "paul")
    assert (photo.id, np.frombuffer(photo.encoding, "<f4").argmax()) == ("1", 0)


def test_a_dark_photo_is_refused_and_enrolled_with_force(backend: Backend, enrol: Enrol) -> None:
    refused = enrol(0, chip=DARK)
    assert refused.error is not None and refused.error.forcible
    assert code(refused) == "face_too_dark"
    assert photos_of(backend, "paul") == []
    assert code(enrol(0, chip=DARK, force=True)) is None
    assert len(photos_of(backend, "paul")) == 1


def test_a_face_known_as_another_is_refused(backend: Backend, enrol: Enrol) -> None:
    enrol(0, "mary")
    assert code(enrol(0, "paul", "2")) == "nearer_to_another"
    assert photos_of(backend, "paul") == []


def test_a_copy_of_a_photo_that_is_there_is_refused(backend: Backend, enrol: Enrol) -> None:
    enrol(0, job="1")
    assert code(enrol(0, job="2")) == "duplicate_photo"
    assert len(photos_of(backend, "paul")) == 1


def test_an_enrolment_that_comes_twice_is_no_duplicate_of_itself(backend: Backend, enrol: Enrol) -> None:
    enrol(0, job="1")
    assert code(enrol(0, job="1")) is None
    assert len(photos_of(backend, "paul")) == 1


def test_a_person_has_no_more_photos_than_are_kept(
    backend: Backend, enrol: Enrol, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("facefleet.people.MAX_PHOTOS", 2)
    assert [code(enrol(i, job=str(i), force=True)) for i in range(3)] == [None, None, "too_many_photos"]
    assert code(enrol(1, job="1", force=True)) is None, "the same again"


@pytest.fixture
def process(backend: Backend) -> Processor:
    """Sees nobody."""
    recogniser = Recogniser(lambda picture: [], Keeper(backend.people, backend.blobs), Limits(1))
    return Processor(recogniser, backend.people, backend.blobs)


def test_a_result_stands_until_somebody_whom_it_names_is_erased(
    backend: Backend, enrol: Enrol, process: Processor
) -> None:
    enrolled = result_to_json(enrol(0))
    version = backend.people.version()
    face = Face(BOX, 0.5, person_id="paul", candidates=(Candidate("mary", 0.7, 0.1),))
    named = result_to_json(Result("1", "a.jpg", (face,), gallery_version=version))
    why = Failure("nearer_to_another", "mary", person_id="mary")
    refused = result_to_json(Result("1", "a.jpg", error=why, gallery_version=version))
    assert process.stands(named) and process.stands(refused) and process.stands(enrolled)
    backend.people.delete("mary")
    backend.people.put(Person("mary", "Another Mary"))
    assert not process.stands(named) and not process.stands(refused) and process.stands(enrolled)
    assert process.stands(result_to_json(Result("1", "a.jpg")))


def test_an_enrolment_overtaken_by_an_erasure_does_not_stand(
    backend: Backend, enrol: Enrol, process: Processor
) -> None:
    """Even where its gallery's version is of after the erasure."""
    enrolled = result_to_json(enrol(0))
    backend.people.delete("paul")
    assert not process.stands(enrolled | {"gallery_version": backend.people.version()})


def test_a_refusal_names_nobody_but_whom_it_says_it_names(backend: Backend, enrol: Enrol) -> None:
    enrol(0, "mary")
    refused = result_to_json(enrol(0, "paul", "2"))
    assert refused["error"]["person"] == "mary" and "paul" not in json.dumps(refused)
    backend.people.delete("paul")
    assert "paul" not in json.dumps(result_to_json(enrol(1, "paul", "3")))


def test_a_clip_is_answered_by_its_first_frame_with_a_face(backend: Backend) -> None:
    backend.people.put(Person("red", "Red", photos=(Photo("1", BOX, np.eye(128, dtype="<f4")[0].tobytes()),)))
    backend.people.put(Person("blue", "Blue", photos=(Photo("1", BOX, np.eye(128, dtype="<f4")[1].tobytes()),)))
    dark, red, blue = (Image.new("RGB", (64, 48), colour) for colour in ("black", "red", "blue"))
    clip = clip_of((dark, 0.5), (red, 0.5), (blue, 0.5))
    recogniser = Recogniser(by_colour, Keeper(backend.people, backend.blobs), Limits(10**6))
    process = Processor(recogniser, backend.people, backend.blobs)

    first = process(Job("1", JobKind.VIDEO, "a.mp4", 0.0), clip)
    assert (first.answer, first.footage and first.footage.at) == ("red", 0.5)
    assert first.footage is not None and first.footage.appearances == ()
    everybody = result_to_json(process(Job("1", JobKind.VIDEO, "a.mp4", 0.0, everybody=True), clip))
    told = [(one["person"], one["from"], one["to"], one["frames"]) for one in everybody["video"]["appearances"]]
    assert (everybody["answer"], told) == ("red", [("red", 0.5, 0.9, 5), ("blue", 1.0, 1.4, 5)])


def test_a_clip_that_is_none_is_a_failed_result(process: Processor) -> None:
    assert code(process(Job("1", JobKind.VIDEO, "a.mp4", 0.0), b"GIF89a, not a clip")) == "not_a_video"


def by_colour(picture: Picture) -> list[EncodedFace]:
    """A model that takes what is red for one face, what is blue for another, and sees none in the dark."""
    red, _, blue = np.asarray(picture.whole(8)).mean(axis=(0, 1))
    if max(red, blue) < 50:
        return []
    return [EncodedFace(BOX, np.eye(128, dtype=np.float32)[int(blue > red)], GOOD)]
