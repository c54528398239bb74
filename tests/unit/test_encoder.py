"""Encodings: those that face_recognition makes of the same boxes, always the same, of pixels as fine as need be."""

import json
import subprocess
import sys
import warnings
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pictures import AS_STORED, MAX_PIXELS, PLACES, area_of, face, file_of, overlap, pasted, photo, picture, turned
from PIL import Image, ImageFile

from facefleet.model import Box
from facefleet.recognition.detector import Detector
from facefleet.recognition.encoder import EncodedFace, Encoder, Encoding, open_encoder
from facefleet.recognition.images import Picture, Pixels
from facefleet.recognition.network import load_network
from facefleet.recognition.quality import sharpness
from facefleet.recognition.weights import CHIP_SIDE

USUAL = 0.03
Reference = Callable[[Pixels, Box], Encoding]
PARTIAL = ("obama_partial_face.jpg", "obama_partial_face2.jpg")
#: Between two photos of one person lie 0.18 and more.
HARDLY_ANY = 0.1
#: Prints the faces of a file, to the last bit.
ANOTHER_PROCESS = """
import json, sys
from pathlib import Path
from facefleet.recognition.detector import Detector
from facefleet.recognition.encoder import open_encoder
from facefleet.recognition.images import Picture
encode = open_encoder(Path(sys.argv[1]), smallest_face=float(sys.argv[2]))
faces = encode(Picture(sys.stdin.buffer.read(), max_pixels=50_000_000))
json.dump([[f.box.x_min, f.box.y_min, f.box.x_max, f.box.y_max, f.encoding.tobytes().hex()] for f in faces], sys.stdout)
"""


@pytest.fixture(scope="module")
def encode(models: Path) -> Encoder:
    return open_encoder(models, smallest_face=USUAL)


def only_face(encode: Encoder, data: bytes) -> EncodedFace:
    (face,) = encode(Picture(data, max_pixels=MAX_PIXELS))
    return face


@pytest.fixture(scope="module")
def reference() -> Reference:
    """What face_recognition makes of a box."""
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        # The package imports pkg_resources, which announces its end, and has Pillow fill up whatever was cut short.
        warnings.simplefilter("ignore")
        patch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", False)
        import face_recognition

    def encoding(pixels: Pixels, box: Box) -> Encoding:
        place = (box.y_min, box.x_max - 1, box.y_max - 1, box.x_min)
        return np.asarray(face_recognition.face_encodings(pixels, [place], model="small")[0])

    return encoding


def apart(a: Encoding, b: Encoding) -> float:
    return float(np.linalg.norm(a - b))


def exactly(faces: list[EncodedFace]) -> list[list[object]]:
    """The faces, to the last bit."""
    return [[*area_of(face.box), face.encoding.tobytes().hex()] for face in faces]


@pytest.mark.parametrize("name", [*PLACES, "32bit.png"])
def test_an_encoding_is_the_one_that_face_recognition_makes_of_the_same_box(
    encode: Encoder, reference: Reference, photos: Path, name: str
) -> None:
    """Of a PNG, so that both see the same pixels."""
    image = photo(photos / name)
    face = only_face(encode, file_of(image))
    assert np.abs(face.encoding - reference(np.asarray(image), face.box)).max() < 1e-5


@pytest.mark.parametrize("name", PARTIAL)
def test_a_face_cut_by_the_edge_is_encoded_as_face_recognition_does_it_given_all_of_its_box(
    encode: Encoder, reference: Reference, photos: Path, name: str
) -> None:
    image = photo(photos / name)
    (area,) = Detector(smallest_face=USUAL).find(picture(image))
    face = only_face(encode, file_of(image))
    assert np.abs(face.encoding - reference(np.asarray(image), Box(*map(round, area)))).max() < 1e-5


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("name", PLACES)
def test_an_encoding_from_a_jpeg_decoded_in_part_is_hardly_another(
    encode: Encoder, reference: Reference, photos: Path, name: str, times: int
) -> None:
    """A fraction of the pixels, and a box that was rounded after the face was cut out."""
    image = photo(photos / name)
    data = file_of(image.resize((image.width * times // 8 * 8, image.height * times // 8 * 8)), "JPEG", quality=95)
    face = only_face(encode, data)
    pixels = np.asarray(Image.open(BytesIO(data)))
    assert apart(face.encoding, reference(pixels, face.box)) < HARDLY_ANY


def test_every_face_has_the_chip_that_it_was_encoded_from(encode: Encoder, models: Path, photos: Path) -> None:
    image = pasted((900, 500), (face(photos, "obama.jpg", 200), (0, 0)), (face(photos, "biden.jpg", 100), (600, 0)))
    found = encode(picture(image))
    assert len(found) == 2
    for one in found:
        assert (one.chip.shape, one.chip.dtype.name) == ((CHIP_SIDE, CHIP_SIDE, 3), "uint8")
        assert (one.encoding.shape, one.encoding.dtype.name) == ((128,), "float32")
        assert np.abs(load_network(models)(one.chip[np.newaxis])[0] - one.encoding).max() < 1e-6


def test_the_same_bytes_have_the_same_faces_in_every_encoder_and_every_process(
    encode: Encoder, models: Path, photos: Path
) -> None:
    sides = zip(PLACES, (240, 60, 100, 180), strict=True)
    parts = [(face(photos, name, wide), (500 * i, 0)) for i, (name, wide) in enumerate(sides)]
    data = file_of(pasted((2000, 500), *parts), "JPEG")
    first = exactly(encode(Picture(data, max_pixels=MAX_PIXELS)))
    assert len(first) == 4
    assert exactly(encode(Picture(data, max_pixels=MAX_PIXELS))) == first
    assert exactly(open_encoder(models, smallest_face=USUAL)(Picture(data, max_pixels=MAX_PIXELS))) == first
    command = [sys.executable, "-c", ANOTHER_PROCESS, str(models), str(USUAL)]
    assert json.loads(subprocess.run(command, input=data, capture_output=True, check=True).stdout) == first


@pytest.mark.parametrize(("name", "wide"), [("biden.jpg", 125), ("biden.jpg", 210), ("obama2.jpg", 210)])
def test_a_small_face_in_a_12_megapixel_photo_is_aligned_from_all_of_its_pixels(
    encode: Encoder, photos: Path, name: str, wide: int
) -> None:
    image = pasted((4000, 3000), (face(photos, name, wide), (2400, 1600)))
    found = only_face(encode, file_of(image, "JPEG", quality=95))
    expected = only_face(encode, file_of(image.crop((2300, 1500, 3500, 2700))))
    assert apart(found.encoding, expected.encoding) < HARDLY_ANY
    # From half as many it has nine tenths.
    assert sharpness(found.chip) > 0.95 * sharpness(expected.chip)


@pytest.mark.parametrize("orientation", AS_STORED)
def test_a_turned_photo_has_the_face_of_the_upright_one(encode: Encoder, photos: Path, orientation: int) -> None:
    image = photo(photos / "obama2.jpg")
    expected = exactly(encode(picture(image)))
    assert exactly(encode(Picture(turned(image, orientation), max_pixels=MAX_PIXELS))) == expected


@pytest.mark.parametrize("name", PARTIAL)
def test_a_face_cut_by_the_edge_has_its_box_inside(encode: Encoder, photos: Path, name: str) -> None:
    width, height = photo(photos / name).size
    box = only_face(encode, (photos / name).read_bytes()).box
    assert 0 <= box.x_min < box.x_max <= width
    assert 0 <= box.y_min < box.y_max <= height
    assert 0 in (box.x_min, width - box.x_max)


@pytest.mark.parametrize("smallest_face", [0.01, 0.2, 300])
def test_a_box_is_in_the_pixels_of_the_photo_as_sent_however_small_it_was_looked_at(
    models: Path, photos: Path, smallest_face: float
) -> None:
    encode = open_encoder(models, smallest_face=smallest_face)
    for name in ("obama.jpg", "biden.jpg", "obama3.jpg"):
        face = only_face(encode, (photos / name).read_bytes())
        assert overlap(area_of(face.box), PLACES[name]) > 0.6


def test_where_there_is_no_face_there_is_nothing_to_encode(encode: Encoder) -> None:
    assert encode(picture(Image.new("RGB", (640, 480), "grey"))) == []
