"""Who is on these photos, by the real model: the sample photos, a stranger, and what is made of them."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facefleet.backends.embedded.people import SqlitePeople
from facefleet.errors import BadImage
from facefleet.model import Box, Changes, Face, Person, Photo
from facefleet.recognition.encoder import EncodedFace, Encoder, dlib_encoder
from facefleet.recognition.images import Pixels, decode
from facefleet.recognition.recogniser import Limits, Recogniser

LIMITS = Limits(max_pixels=50_000_000, threshold=0.5)
ORIENTATION = 0x0112
#: How the file lies for each orientation that cameras write: what undoes what EXIF asks for.
SENSOR = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}


@pytest.fixture(scope="module")
def encode() -> Encoder:
    return dlib_encoder(longest_side=1024)


@pytest.fixture
def people(tmp_path: Path) -> SqlitePeople:
    return SqlitePeople(tmp_path / "people.db")


@pytest.fixture
def recogniser(encode: Encoder, people: SqlitePeople, photos: Path) -> Recogniser:
    """Knows obama, and nobody else yet."""
    recogniser = Recogniser(encode, people.changes, LIMITS)
    enrol(recogniser, people, "obama", photos / "obama.jpg")
    return recogniser


def enrol(recogniser: Recogniser, people: SqlitePeople, id: str, photo: Path) -> None:
    face = recogniser.the_face(photo.read_bytes())
    encoding = face.encoding.astype("<f4").tobytes()
    people.put(Person(id, id.title(), {"of": photo.name}, (Photo("p", face.box, encoding),)))
    recogniser.refresh()


def answers(recogniser: Recogniser, data: bytes | Path) -> list[str | None]:
    return [face.person_id for face in recogniser.recognise(data if isinstance(data, bytes) else data.read_bytes())]


def as_png(image: Image.Image) -> bytes:
    file = BytesIO()
    image.save(file, "PNG", compress_level=1)
    return file.getvalue()


def side_by_side(left: Path, right: Path, *, right_scale: float) -> bytes:
    """One image with two people, the second so much smaller."""
    a, b = Image.open(left).convert("RGB"), Image.open(right).convert("RGB")
    b = b.resize((round(b.width * right_scale), round(b.height * right_scale)))
    both = Image.new("RGB", (a.width + b.width, max(a.height, b.height)), "grey")
    both.paste(a, (0, 0))
    both.paste(b, (a.width, 0))
    return as_png(both)


def test_another_photo_of_somebody_enrolled_is_recognised(recogniser: Recogniser, photos: Path) -> None:
    (face,) = recogniser.recognise((photos / "obama2.jpg").read_bytes())
    assert (face.person_id, face.name, face.attributes) == ("obama", "Obama", {"of": "obama.jpg"})
    assert face.distance is not None
    assert face.distance <= face.threshold == 0.5
    assert face.similarity is not None
    assert face.similarity > 0.5


def test_a_stranger_is_unknown_and_one_still_sees_how_near(recogniser: Recogniser, stranger: Path) -> None:
    (face,) = recogniser.recognise(stranger.read_bytes())
    assert (face.person_id, face.name, face.attributes) == (None, None, {})
    assert face.distance is not None
    assert face.distance > face.threshold


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
    obama, biden = photos / "obama2.jpg", photos / "biden.jpg"
    faces = recogniser.recognise(side_by_side(biden, obama, right_scale=0.5))
    assert [face.person_id for face in faces] == ["biden", "obama"]
    assert faces[0].box.area > faces[1].box.area
    assert answers(recogniser, side_by_side(obama, biden, right_scale=0.4)) == ["obama", "biden"]


def test_where_there_is_no_face_there_is_no_answer(recogniser: Recogniser) -> None:
    assert recogniser.recognise(as_png(Image.new("RGB", (640, 480), "grey"))) == ()


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


def test_a_photo_to_enrol_has_one_face(recogniser: Recogniser, photos: Path) -> None:
    with pytest.raises(BadImage, match="no face") as nobody:
        recogniser.the_face(as_png(Image.new("RGB", (640, 480), "grey")))
    assert nobody.value.code == "no_face"
    with pytest.raises(BadImage, match="2 faces") as several:
        recogniser.the_face(side_by_side(photos / "obama2.jpg", photos / "biden.jpg", right_scale=0.5))
    assert several.value.code == "several_faces"


def test_what_is_no_image_is_said_to_be_none(recogniser: Recogniser) -> None:
    with pytest.raises(BadImage):
        recogniser.recognise(b"hello")
    with pytest.raises(BadImage):
        recogniser.the_face(b"")


def overlap(a: Box, b: Box) -> float:
    """Shared area by joint area: 1 where they are the same box."""
    shared = Box(max(a.x_min, b.x_min), max(a.y_min, b.y_min), min(a.x_max, b.x_max), min(a.y_max, b.y_max)).area
    return shared / (a.area + b.area - shared)


@pytest.mark.parametrize("orientation", SENSOR)
def test_a_box_is_in_the_pixels_of_the_upright_photo(recogniser: Recogniser, photos: Path, orientation: int) -> None:
    upright = Image.open(photos / "obama2.jpg").convert("RGB")
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    file = BytesIO()
    upright.transpose(SENSOR[orientation]).save(file, "PNG", exif=exif, compress_level=1)
    (expected,) = recogniser.recognise(as_png(upright))
    (found,) = recogniser.recognise(file.getvalue())
    assert found == expected


@pytest.mark.parametrize("longest_side", [500, 1024, 4000])
@pytest.mark.parametrize("name", ["obama.jpg", "biden.jpg", "obama3.jpg"])
def test_a_box_is_in_the_pixels_of_the_photo_as_sent_however_small_it_was_looked_at(
    photos: Path, encode: Encoder, name: str, longest_side: int
) -> None:
    pixels = decode((photos / name).read_bytes(), max_pixels=LIMITS.max_pixels)
    face = largest(dlib_encoder(longest_side=longest_side)(pixels))
    rows, columns = pixels.shape[:2]
    assert 0 <= face.box.x_min < face.box.x_max <= columns
    assert 0 <= face.box.y_min < face.box.y_max <= rows
    assert overlap(face.box, largest(encode(pixels)).box) > 0.6


def largest(faces: list[EncodedFace]) -> EncodedFace:
    return max(faces, key=lambda face: face.box.area)


def test_a_face_cut_by_the_edge_has_its_box_inside(photos: Path, encode: Encoder) -> None:
    for name in ("obama_partial_face.jpg", "obama_partial_face2.jpg"):
        pixels = decode((photos / name).read_bytes(), max_pixels=LIMITS.max_pixels)
        for face in encode(pixels):
            assert 0 <= face.box.x_min < face.box.x_max <= pixels.shape[1]
            assert 0 <= face.box.y_min < face.box.y_max <= pixels.shape[0]


# The package imports pkg_resources, which announces its end.
@pytest.mark.filterwarnings("ignore:pkg_resources")
@pytest.mark.parametrize("name", ["obama.jpg", "obama2.jpg", "biden.jpg", "obama3.jpg"])
def test_an_encoding_is_the_one_that_face_recognition_makes_of_the_same_box(photos: Path, name: str) -> None:
    import face_recognition

    pixels = decode((photos / name).read_bytes(), max_pixels=LIMITS.max_pixels)
    face = largest(dlib_encoder(longest_side=4000)(pixels))
    place = (face.box.y_min, face.box.x_max - 1, face.box.y_max - 1, face.box.x_min)
    (theirs,) = face_recognition.face_encodings(pixels, [place], model="small")
    assert np.abs(face.encoding - theirs).max() < 1e-5


def three_grey_squares(pixels: Pixels) -> list[EncodedFace]:
    """A model of three lines: every square of 10 pixels is a face, and its grey is who it is."""
    greys = [pixels[0, 10 * i, 0] / 255 for i in range(pixels.shape[1] // 10)]
    return [EncodedFace(Box(10 * i, 0, 10 * i + 9 + i, 9), np.full(128, g, np.float32)) for i, g in enumerate(greys)]


@pytest.fixture
def grey(tmp_path: Path) -> Iterator[Recogniser]:
    """By the model above: who is black is known."""
    black = Person("black", "Black", {}, (Photo("p", Box(0, 0, 1, 1), bytes(512)),), 1)
    yield Recogniser(three_grey_squares, lambda since: Changes(1, (black,), complete=True), LIMITS)


def greys(*values: int) -> bytes:
    return as_png(Image.fromarray(np.repeat(np.array([values], np.uint8), 10, axis=1).repeat(9, axis=0)))


def test_who_was_never_refreshed_knows_nobody(grey: Recogniser) -> None:
    assert answers(grey, greys(0)) == [None]
    grey.refresh()
    assert answers(grey, greys(0)) == ["black"]


@pytest.mark.parametrize(("value", "person"), [(0, "black"), (11, "black"), (12, None), (255, None)])
def test_beyond_the_threshold_is_nobody(grey: Recogniser, value: int, person: str | None) -> None:
    """Distance is grey / 255 × √128: 0.488 at 11, and 0.532 at 12."""
    grey.refresh()
    (face,) = grey.recognise(greys(value))
    assert isinstance(face, Face)
    assert face.person_id == person


def test_faces_stand_by_size_whatever_order_the_model_finds_them_in(grey: Recogniser) -> None:
    grey.refresh()
    faces = grey.recognise(greys(0, 128, 0))
    assert [face.box.x_min for face in faces] == [20, 10, 0]
    assert [face.person_id for face in faces] == ["black", None, "black"]
