"""Where the faces are: all that dlib's detector finds, small ones too, at their place in the upright picture."""

from itertools import combinations
from pathlib import Path

import dlib
import numpy as np
import pytest
from numpy.typing import NDArray
from pictures import AS_STORED, MAX_PIXELS, PLACES, face, overlap, pasted, photo, picture, turned
from PIL import Image

from facefleet.recognition.detector import MAX_FACES, Detector
from facefleet.recognition.images import Area, Picture

#: What is usual: 3 % of the picture's longer side.
USUAL = 0.03
PHOTOS = (*PLACES, "obama_partial_face.jpg", "obama_partial_face2.jpg", "32bit.png")
CHANCE = np.random.default_rng(0)
Corner = tuple[int, int]


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector(smallest_face=USUAL)


def by_dlib(image: Image.Image) -> list[Area]:
    """What dlib's detector finds all over, upsampling once."""
    places = dlib.get_frontal_face_detector()(np.asarray(image), 1)
    return [(place.left(), place.top(), place.right() + 1, place.bottom() + 1) for place in places]


def is_there(area: Area, found: list[Area], *, by: float = 0.5) -> bool:
    return any(overlap(area, other) > by for other in found)


def place_of(part: Image.Image, corner: Corner, wide: int) -> Area:
    """Where a face made by `face` is, once pasted there."""
    left, top = corner[0] + (part.width - wide) / 2, corner[1] + (part.height - wide) / 2
    return left, top, left + wide, top + wide


def one_large_and_many_small(photos: Path) -> tuple[Image.Image, list[Area]]:
    """A face of 400 pixels beside sixteen of 50 to 120, and their places."""
    wanted = [("obama.jpg", 400, (0, 100))]
    wanted += [
        (n, w, (820 + 190 * j, 10 + 240 * i)) for i, w in enumerate((50, 60, 80, 90)) for j, n in enumerate(PLACES)
    ]
    parts = [(face(photos, name, wide), corner, wide) for name, wide, corner in wanted]
    image = pasted((1600, 1000), *((part, corner) for part, corner, _ in parts))
    return image, [place_of(*part) for part in parts]


@pytest.mark.parametrize("name", PHOTOS)
def test_every_face_that_dlib_finds_is_found(detector: Detector, photos: Path, name: str) -> None:
    expected = by_dlib(photo(photos / name))
    found = detector.find(Picture((photos / name).read_bytes(), max_pixels=MAX_PIXELS))
    assert expected
    assert len(found) == len(expected)
    assert all(is_there(area, found) for area in expected)


def test_a_face_that_nobody_enrols_is_found_too(detector: Detector, stranger: Path) -> None:
    (found,) = detector.find(Picture(stranger.read_bytes(), max_pixels=MAX_PIXELS))
    assert is_there(found, by_dlib(photo(stranger)))


@pytest.mark.parametrize(("format", "options"), [("PNG", {}), ("JPEG", {"quality": 85})])
def test_small_faces_beside_a_large_one_are_all_found_and_each_told_once(
    detector: Detector, photos: Path, format: str, options: dict[str, int]
) -> None:
    image, places = one_large_and_many_small(photos)
    found = detector.find(picture(image, format, **options))
    assert len(found) == len(places)
    assert all(is_there(place, found) for place in places)


@pytest.mark.parametrize(("around", "side"), [(0.1, 64), (0.2, 64), (0.3, 64), (0.5, 64), (0, 30)])
@pytest.mark.parametrize("name", PLACES)
def test_a_face_in_an_image_64_pixels_wide_is_found_and_in_one_of_30_that_it_fills(
    detector: Detector, photos: Path, name: str, around: float, side: int
) -> None:
    wide = round(side / (1 + 2 * around))
    image = face(photos, name, wide, around=around).resize((side, side))
    (found,) = detector.find(picture(image, "JPEG", quality=90))
    assert overlap(found, place_of(image, (0, 0), wide)) > 0.5


@pytest.mark.parametrize("name", PLACES)
def test_a_face_is_found_whatever_its_size(detector: Detector, photos: Path, name: str) -> None:
    for wide in range(50, 600, 75):
        part = face(photos, name, wide)
        (found,) = detector.find(picture(pasted((1500, 1200), (part, (200, 0))), "JPEG"))
        assert overlap(found, place_of(part, (200, 0), wide)) > 0.5, wide


@pytest.mark.parametrize("name", PLACES)
def test_a_photo_enlarged_to_12_megapixels_has_the_same_face(detector: Detector, photos: Path, name: str) -> None:
    image = photo(photos / name)
    scale = (12e6 / image.width / image.height) ** 0.5
    large = image.resize((round(image.width * scale) // 8 * 8, round(image.height * scale) // 8 * 8))
    (found,) = detector.find(picture(large, "JPEG", quality=85))
    assert overlap(found, tuple(edge * scale for edge in PLACES[name])) > 0.5


@pytest.mark.parametrize("orientation", AS_STORED)
@pytest.mark.parametrize("format", ["PNG", "JPEG"])
def test_a_face_is_told_where_it_stands_upright(
    detector: Detector, photos: Path, orientation: int, format: str
) -> None:
    image = pasted((2400, 800), (face(photos, "biden.jpg", 150), (1700, 300)))
    (found,) = detector.find(Picture(turned(image, orientation, format), max_pixels=MAX_PIXELS))
    assert overlap(found, (1775, 375, 1925, 525)) > 0.6


@pytest.mark.parametrize(
    ("smallest_face", "in_one", "in_twice_as_large"), [(0.04, 2, 2), (0.1, 1, 1), (48, 2, 2), (110, 1, 2)]
)
def test_the_smallest_face_is_a_share_of_the_longer_side_below_1_and_pixels_from_there(
    photos: Path, smallest_face: float, in_one: int, in_twice_as_large: int
) -> None:
    """In a picture of 1200 pixels with faces of 260 and 60."""
    detector = Detector(smallest_face=smallest_face)
    image = pasted((1200, 600), (face(photos, "obama.jpg", 260), (0, 0)), (face(photos, "biden.jpg", 60), (800, 300)))
    assert len(detector.find(picture(image))) == in_one
    assert len(detector.find(picture(image.resize((2400, 1200))))) == in_twice_as_large


def test_where_no_face_is_so_large_smaller_ones_are_looked_for(photos: Path) -> None:
    small = face(photos, "biden.jpg", 60)
    for size, corner in (((1200, 600), (800, 300)), ((300, 200), (100, 50))):
        (found,) = Detector(smallest_face=100).find(picture(pasted(size, (small, corner))))
        assert overlap(found, place_of(small, corner, 60)) > 0.5


SIZES = ((640, 480), (64, 64), (1, 1), (1, 5000), (5000, 1), (2000, 300))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("of", ["noise", "grey", "clouds"])
def test_where_there_is_no_face_none_is_found(detector: Detector, size: Corner, of: str) -> None:
    images: dict[str, NDArray[np.uint8]] = {
        "noise": CHANCE.integers(0, 256, (size[1], size[0], 3), np.uint8),
        "grey": np.full((size[1], size[0], 3), 128, np.uint8),
        "clouds": CHANCE.integers(0, 256, (-(-size[1] // 16), -(-size[0] // 16), 3), np.uint8),
    }
    assert detector.find(picture(Image.fromarray(images[of]).resize(size))) == []


def test_a_crowd_is_found_up_to_a_bound_and_nobody_twice(detector: Detector, photos: Path) -> None:
    tiles = [face(photos, name, 50, around=0.4) for name in PLACES]
    places = [(90 * (i % 15), 90 * (i // 15)) for i in range(225)]
    crowd = pasted((1350, 1350), *((tiles[i % 4], place) for i, place in enumerate(places)))
    found = detector.find(picture(crowd))
    assert len(found) == MAX_FACES < len(places)
    assert max(overlap(a, b) for a, b in combinations(found, 2)) < 0.33
    assert sum(is_there(place_of(tiles[0], place, 50), found) for place in places) == MAX_FACES
