"""Who is on these photos, by the real model: the sample photos, a stranger, and what is made of them."""

from pathlib import Path

import pytest
from pictures import MAX_PIXELS, at_angle, face, file_of, grey_squares, greys, pasted, photo, turned

from facefleet.backends.embedded.blobs import DirectoryBlobs
from facefleet.backends.embedded.people import SqlitePeople
from facefleet.errors import BadImage
from facefleet.model import Box, Changes, Job, JobKind, Person, Photo, Result
from facefleet.ports import People
from facefleet.recognition.encoder import EncodedFace, Encoder, Encoding, open_encoder
from facefleet.recognition.identification import base_threshold
from facefleet.recognition.images import Picture
from facefleet.recognition.keeper import Keeper
from facefleet.recognition.processor import Processor
from facefleet.recognition.recogniser import Limits, Recogniser

FIXED = Limits(MAX_PIXELS, threshold=0.5)


@pytest.fixture(scope="module")
def encode(models: Path) -> Encoder:
    return open_encoder(models, smallest_face=0.03)


@pytest.fixture
def people(tmp_path: Path) -> SqlitePeople:
    return SqlitePeople(tmp_path / "people.db")


@pytest.fixture
def blobs(tmp_path: Path) -> DirectoryBlobs:
    return DirectoryBlobs(tmp_path / "blobs", {})


@pytest.fixture
def recogniser(encode: Encoder, people: SqlitePeople, blobs: DirectoryBlobs, photos: Path) -> Recogniser:
    """Knows obama, and nobody else yet."""
    recogniser = Recogniser(encode, Keeper(people, blobs), FIXED)
    enrol(recogniser, people, "obama", photos / "obama.jpg")
    return recogniser


def enrol(recogniser: Recogniser, people: People, id: str, path: Path) -> None:
    (face,) = recogniser.faces(path.read_bytes())
    put(people, id, face.encoding, of=path.name)
    recogniser.refresh()


def put(people: People, id: str, encoding: Encoding, **attributes: str) -> None:
    photo = Photo("p", Box(0, 0, 1, 1), encoding.astype("<f4").tobytes())
    people.put(Person(id, id.title(), attributes, (photo,)))


def answers(recogniser: Recogniser, data: bytes | Path) -> list[str | None]:
    return [face.person_id for face in recogniser.recognise(data if isinstance(data, bytes) else data.read_bytes())]


def test_another_photo_of_somebody_enrolled_is_recognised(recogniser: Recogniser, photos: Path) -> None:
    data = (photos / "obama2.jpg").read_bytes()
    (face,), (encoded,) = recogniser.recognise(data), recogniser.faces(data)
    assert (face.person_id, face.name, face.attributes) == ("obama", "Obama", {"of": "obama.jpg"})
    assert (face.box, face.encoding) == (encoded.box, encoded.encoding.astype("<f4").tobytes())
    assert face.distance is not None and face.similarity is not None
    assert face.distance <= face.threshold == 0.5 < face.similarity


def test_a_stranger_is_unknown_and_one_still_sees_how_near(recogniser: Recogniser, stranger: Path) -> None:
    (face,) = recogniser.recognise(stranger.read_bytes())
    assert (face.person_id, face.name, face.attributes) == (None, None, {})
    assert face.distance is not None and face.similarity is not None
    assert face.distance > face.threshold == 0.5 > face.similarity


def test_somebody_is_unknown_until_enrolled_and_known_from_then_on(
    recogniser: Recogniser, people: SqlitePeople, photos: Path
) -> None:
    assert answers(recogniser, photos / "biden.jpg") == [None]
    enrol(recogniser, people, "biden", photos / "biden.jpg")
    assert answers(recogniser, photos / "biden.jpg") == ["biden"]
    assert answers(recogniser, photos / "obama2.jpg") == ["obama"]


def test_somebody_erased_is_unknown_again(recogniser: Recogniser, people: SqlitePeople, photos: Path) -> None:
    people.delete("obama")
    recogniser.refresh()
    (face,) = recogniser.recognise((photos / "obama2.jpg").read_bytes())
    assert (face.person_id, face.distance, face.candidates) == (None, None, ())


def test_the_largest_face_stands_first(recogniser: Recogniser, people: SqlitePeople, photos: Path) -> None:
    enrol(recogniser, people, "biden", photos / "biden.jpg")
    for biden, obama, order in ((240, 120, ["biden", "obama"]), (100, 200, ["obama", "biden"])):
        both = (face(photos, "biden.jpg", biden), (0, 0)), (face(photos, "obama2.jpg", obama), (500, 0))
        faces = recogniser.recognise(file_of(pasted((1000, 500), *both)))
        assert [face.person_id for face in faces] == order
        assert faces[0].box.area > faces[1].box.area


def test_where_there_is_no_face_there_is_no_answer(recogniser: Recogniser) -> None:
    assert recogniser.recognise(file_of(pasted((640, 480)))) == ()


@pytest.mark.parametrize(
    ("top_k", "found"), [(0, []), (1, ["obama"]), (2, ["obama", "biden"]), (9, ["obama", "biden"])]
)
def test_as_many_candidates_as_asked_for_stand_with_a_face(
    recogniser: Recogniser, people: SqlitePeople, photos: Path, top_k: int, found: list[str]
) -> None:
    enrol(recogniser, people, "biden", photos / "biden.jpg")
    (face,) = recogniser.recognise((photos / "obama2.jpg").read_bytes(), top_k=top_k)
    assert [candidate.person_id for candidate in face.candidates] == found
    assert face.person_id == "obama"


@pytest.mark.parametrize("data", [b"", b"hello"])
def test_what_is_no_image_is_said_to_be_none(recogniser: Recogniser, data: bytes) -> None:
    with pytest.raises(BadImage):
        recogniser.recognise(data)


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_a_box_is_in_the_pixels_of_the_upright_photo(recogniser: Recogniser, photos: Path, orientation: int) -> None:
    upright = photo(photos / "obama2.jpg")
    assert recogniser.recognise(turned(upright, orientation)) == recogniser.recognise(file_of(upright))


@pytest.mark.parametrize("name", ["obama_partial_face.jpg", "obama_partial_face2.jpg"])
def test_a_face_at_the_edge_is_recognised_too(recogniser: Recogniser, photos: Path, name: str) -> None:
    assert answers(recogniser, photos / name) == ["obama"]


def by_grey(people: People, blobs: DirectoryBlobs, limits: Limits = FIXED) -> Recogniser:
    """Knows everybody in the store, and takes grey squares for faces."""
    recogniser = Recogniser(grey_squares, Keeper(people, blobs), limits)
    recogniser.refresh()
    return recogniser


@pytest.fixture
def black(people: SqlitePeople) -> SqlitePeople:
    """A store that knows who is black."""
    put(people, "black", at_angle(0))
    return people


def test_who_was_never_refreshed_knows_nobody(black: SqlitePeople, blobs: DirectoryBlobs) -> None:
    recogniser = Recogniser(grey_squares, Keeper(black, blobs), FIXED)
    (face,) = recogniser.faces(greys(0))
    assert (recogniser.identify(face).person_id, recogniser.gallery_version) == (None, 0)
    recogniser.refresh()
    assert (recogniser.identify(face).person_id, recogniser.gallery_version) == ("black", black.version())


@pytest.mark.parametrize(("value", "person"), [(0, "black"), (20, "black"), (21, None), (180, None)])
def test_beyond_the_threshold_is_nobody(
    black: SqlitePeople, blobs: DirectoryBlobs, value: int, person: str | None
) -> None:
    """Encodings are made 1.43 long: at 20 degrees they are 0.497 apart, at 21 0.521."""
    (face,) = by_grey(black, blobs).recognise(greys(value))
    assert (face.person_id, face.threshold) == (person, 0.5)


@pytest.mark.parametrize(
    ("others", "rate", "person"),
    [("", 0.01, "black"), ("abcd", 0.01, None), ("abcd", 0.05, "black"), ("", 0.001, None)],
)
def test_the_threshold_follows_the_stranger_rate_and_the_gallerys_size(
    black: SqlitePeople, blobs: DirectoryBlobs, others: str, rate: float, person: str | None
) -> None:
    """At 24 degrees, 0.595 apart."""
    for number, id in enumerate(others, start=1):
        put(black, id, at_angle(60 * number))
    (face,) = by_grey(black, blobs, Limits(MAX_PIXELS, stranger_rate=rate)).recognise(greys(24))
    assert (face.person_id, face.threshold) == (person, round(base_threshold(1 + len(others), rate), 4))


@pytest.mark.parametrize(("angle", "person"), [(120, "black"), (46, None)])
def test_the_threshold_falls_where_a_second_person_is_as_near(
    black: SqlitePeople, blobs: DirectoryBlobs, angle: float, person: str | None
) -> None:
    put(black, "second", at_angle(angle))
    (face,) = by_grey(black, blobs, Limits(MAX_PIXELS)).recognise(greys(23))
    assert face.person_id == person
    assert (face.threshold < round(base_threshold(2, 0.01), 4)) == (person is None)


def test_faces_stand_by_size_whatever_order_the_model_finds_them_in(black: SqlitePeople, blobs: DirectoryBlobs) -> None:
    faces = by_grey(black, blobs).recognise(greys(0, 128, 0))
    assert [face.box.x_min for face in faces] == [20, 10, 0]
    assert [face.person_id for face in faces] == ["black", None, "black"]


def test_the_version_is_that_of_the_gallery_that_identified(black: SqlitePeople, blobs: DirectoryBlobs) -> None:
    recogniser = by_grey(black, blobs)
    (face,) = recogniser.faces(greys(0))
    then = black.version()
    black.delete("black")
    assert (recogniser.identify(face).person_id, recogniser.gallery_version) == ("black", then)
    assert (answers(recogniser, greys(0)), recogniser.gallery_version) == ([None], black.version())
    assert then < black.version()


def result(people: People, blobs: DirectoryBlobs, encode: Encoder, image: bytes, enrol: str | None = None) -> Result:
    """What becomes of a job: to recognise this image, or to enrol it as somebody."""
    process = Processor(Recogniser(encode, Keeper(people, blobs), FIXED), people, blobs)
    kind = JobKind.RECOGNISE if enrol is None else JobKind.ENROL
    return process(Job("j", kind, "j.png", 0.0, person_id=enrol, force=True), image)


def test_who_is_enrolled_or_erased_while_an_image_is_encoded_is_told_as_they_are_then(
    black: SqlitePeople, blobs: DirectoryBlobs
) -> None:
    def encode(picture: Picture) -> list[EncodedFace]:
        put(black, "white", at_angle(90))
        black.delete("black")
        return grey_squares(picture)

    found = result(black, blobs, encode, greys(90, 0))
    assert [face.person_id for face in found.faces] == [None, "white"]
    assert found.gallery_version == black.version()


class Hasty(SqlitePeople):
    """A store in which somebody is erased as soon as it has told what changed."""

    def changes(self, since: int) -> Changes:
        changes = super().changes(since)
        self.delete("black")
        return changes


def test_a_result_that_names_somebody_erased_since_has_an_older_version(tmp_path: Path, blobs: DirectoryBlobs) -> None:
    people = Hasty(tmp_path / "hasty.db")
    put(people, "black", at_angle(0))
    then = people.version()
    found = result(people, blobs, grey_squares, greys(0))
    assert (found.answer, found.gallery_version) == ("black", then)
    assert then < people.version()


def test_an_enrolment_has_the_version_that_knows_its_photo(people: SqlitePeople, blobs: DirectoryBlobs) -> None:
    people.put(Person("white", "White"))
    found = result(people, blobs, grey_squares, greys(90), enrol="white")
    assert (found.error, found.answer) == (None, "white")
    assert found.gallery_version == people.version() == people.get("white").version
