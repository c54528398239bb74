"""Which photos may be enrolled: what is refused with which code and figure, and what force may overrule."""

import re
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from facefleet.errors import BadImage
from facefleet.model import Box, Face
from facefleet.recognition import quality
from facefleet.recognition.encoder import EncodedFace, Encoder, open_encoder
from facefleet.recognition.identification import LENGTH
from facefleet.recognition.images import Picture

NOBODY = np.empty((0, 128), np.float32)
#: A good chip: detail of every size, of middle brightness.
CHIP = np.random.default_rng(0).integers(60, 200, (150, 150, 3)).astype(np.uint8)
PHOTOS = ("obama.jpg", "obama2.jpg", "obama3.jpg", "biden.jpg", "obama_partial_face.jpg", "obama_partial_face2.jpg")


@pytest.fixture(scope="module")
def encode(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return open_encoder(tmp_path_factory.mktemp("models"), smallest_face=0.03)


def face(side: int = 100, chip: NDArray[np.uint8] = CHIP) -> EncodedFace:
    return EncodedFace(Box(0, 0, side, side), np.zeros(128, np.float32), chip)


def at(angle: float) -> NDArray[np.float32]:
    """An encoding at this angle to the first axis, in a plane."""
    return np.array([np.cos(angle), np.sin(angle), *[0] * 126], np.float32)


def apart(distance: float) -> NDArray[np.float32]:
    """An encoding so far from `at(0)`, both made as long as identification makes them."""
    return at(2 * np.arcsin(distance / 2 / LENGTH))


def faces_of(image: Image.Image, encode: Encoder) -> list[EncodedFace]:
    file = BytesIO()
    image.save(file, "JPEG", quality=92)
    return encode(Picture(file.getvalue(), max_pixels=10_000_000))


def refusal(check: Callable[[], object]) -> BadImage:
    with pytest.raises(BadImage) as refused:
        check()
    return refused.value


def times(image: Image.Image, factor: float) -> Image.Image:
    return Image.fromarray((np.asarray(image, np.float64) * factor).clip(0, 255).astype(np.uint8))


def soft(image: Image.Image, radius: float) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(radius))


def shaken(image: Image.Image, radius: float) -> Image.Image:
    """Moved sideways while it was taken."""
    return image.filter(ImageFilter.BoxBlur((radius, 0)))


def smaller(image: Image.Image, factor: float) -> Image.Image:
    return image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.LANCZOS)


def side_by_side(left: Image.Image, right: Image.Image) -> Image.Image:
    both = Image.new("RGB", (left.width + right.width, max(left.height, right.height)), "grey")
    both.paste(left, (0, 0))
    both.paste(right, (left.width, 0))
    return both


@pytest.fixture(scope="module")
def obama(photos: Path) -> Image.Image:
    """His face is 305 pixels wide."""
    return Image.open(photos / "obama2.jpg").convert("RGB")


@pytest.fixture(scope="module")
def biden(photos: Path) -> Image.Image:
    """Head and shoulders; his face is 295 pixels wide."""
    return Image.open(photos / "biden.jpg").convert("RGB").crop((250, 0, 1020, 970))


@pytest.mark.parametrize("name", PHOTOS)
def test_a_good_photo_passes(photos: Path, encode: Encoder, name: str) -> None:
    quality.check_quality(quality.the_subject(faces_of(Image.open(photos / name).convert("RGB"), encode), force=False))


@pytest.mark.parametrize(
    ("code", "spoil"),
    [
        ("face_too_small", lambda image: smaller(image, 17 / 305)),
        ("face_too_dark", lambda image: times(image, 0.08)),
        ("face_too_bright", lambda image: times(image, 6)),
        ("face_too_blurred", lambda image: soft(image, 12)),
        ("face_too_blurred", lambda image: shaken(image, 20)),
        ("face_too_blurred", lambda image: smaller(smaller(image, 12 / 305), 305 / 12)),
    ],
    ids=["small", "dark", "bright", "out of focus", "shaken", "enlarged"],
)
def test_a_spoilt_photo_is_refused_for_what_is_wrong_with_it(
    obama: Image.Image, encode: Encoder, code: str, spoil: Callable[[Image.Image], Image.Image]
) -> None:
    (spoilt,) = faces_of(spoil(obama), encode)
    refused = refusal(lambda: quality.check_quality(spoilt))
    assert (refused.code, refused.forcible) == (code, True)
    assert refused.detail.endswith("or enrol it all the same with force")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda image: smaller(image, 30 / 305),
        lambda image: times(image, 0.25),
        lambda image: times(image, 1.6),
        lambda image: soft(image, 3),
        lambda image: shaken(image, 6),
    ],
    ids=["small", "dark", "bright", "out of focus", "shaken"],
)
def test_a_photo_a_little_spoilt_passes(
    obama: Image.Image, encode: Encoder, spoil: Callable[[Image.Image], Image.Image]
) -> None:
    quality.check_quality(quality.the_subject(faces_of(spoil(obama), encode), force=False))


@pytest.mark.parametrize(
    ("spoilt", "told"),
    [
        (face(19), (19, quality.SMALLEST_WIDTH)),
        (face(chip=np.full_like(CHIP, 13)), (13, 255, quality.DARKEST)),
        (face(chip=np.full_like(CHIP, 236)), (236, 255, quality.BRIGHTEST)),
        (face(chip=np.full_like(CHIP, 100)), (0, quality.SOFTEST)),
    ],
)
def test_a_refusal_tells_what_was_measured_and_what_is_needed(spoilt: EncodedFace, told: tuple[int, ...]) -> None:
    detail = refusal(lambda: quality.check_quality(spoilt)).detail
    assert tuple(int(figure) for figure in re.findall(r"\d+", detail)) == told


def test_what_is_just_enough_passes() -> None:
    quality.check_quality(face(quality.SMALLEST_WIDTH))
    faint = CHIP // 8
    for level in (quality.DARKEST, quality.BRIGHTEST):
        chip = (faint.astype(int) + level - quality.brightness(faint)).astype(np.uint8)
        assert quality.brightness(chip) == level
        quality.check_quality(face(chip=chip))


def test_a_face_cut_by_the_edge_is_as_wide_as_it_was() -> None:
    quality.check_quality(EncodedFace(Box(0, 0, 12, 24), np.zeros(128, np.float32), CHIP))


def test_background_is_not_judged() -> None:
    framed = np.zeros_like(CHIP)
    framed[25:125, 25:125] = CHIP[25:125, 25:125]
    assert quality.brightness(framed) == quality.brightness(CHIP)
    assert quality.sharpness(framed) == quality.sharpness(CHIP)


@given(st.floats(0.2, 1.2), st.integers(0, 15))
def test_sharpness_is_the_same_in_any_light(contrast: float, light: int) -> None:
    assert abs(quality.sharpness((CHIP * contrast + light).astype(np.uint8)) / quality.sharpness(CHIP) - 1) < 0.1


def test_the_more_blurred_the_less_sharp() -> None:
    values = [quality.sharpness(np.asarray(soft(Image.fromarray(CHIP), radius))) for radius in range(8)]
    assert values == sorted(set(values), reverse=True)


def test_where_there_is_no_face_force_does_not_help() -> None:
    for force in (False, True):
        refused = refusal(lambda force=force: quality.the_subject([], force=force))
        assert (refused.code, refused.forcible) == ("no_face", False)


def test_a_second_face_of_half_the_size_is_a_rival_whom_force_passes_over() -> None:
    faces = [face(20), face(71), face(100)]
    refused = refusal(lambda: quality.the_subject(faces, force=False))
    assert (refused.code, refused.forcible) == ("several_faces", True)
    assert refused.detail.startswith("3 faces found, the second 50 % as large")
    assert quality.the_subject(faces, force=True) is faces[2]


@given(st.permutations([100, 70, 70, 1]))
def test_among_much_smaller_faces_the_largest_is_the_subject(sides: list[int]) -> None:
    faces = [face(side) for side in sides]
    assert quality.the_subject(faces, force=False) is faces[sides.index(100)]


def test_somebody_small_behind_does_not_matter(obama: Image.Image, biden: Image.Image, encode: Encoder) -> None:
    alone = quality.the_subject(faces_of(biden, encode), force=False)
    faces = faces_of(side_by_side(smaller(obama, 0.5), biden), encode)
    assert len(faces) == 2
    assert np.linalg.norm(quality.the_subject(faces, force=False).encoding - alone.encoding) < 0.15
    faces = faces_of(side_by_side(obama, biden), encode)
    assert refusal(lambda: quality.the_subject(faces, force=False)).code == "several_faces"


def test_a_copy_of_a_photo_is_a_duplicate_and_another_is_none(
    obama: Image.Image, photos: Path, encode: Encoder
) -> None:
    others = (Image.open(photos / name).convert("RGB") for name in ("obama.jpg", "obama3.jpg"))
    first, *rest = (faces_of(image, encode)[0].encoding for image in (obama, *others))
    quality.check_novelty(first, NOBODY)
    quality.check_novelty(first, np.stack(rest))
    (again,) = faces_of(smaller(obama.crop((10, 20, obama.width - 20, obama.height - 30)), 0.8), encode)
    refused = refusal(lambda: quality.check_novelty(again.encoding, np.stack([*rest, first])))
    assert (refused.code, refused.forcible) == ("duplicate_photo", True)


def test_a_duplicate_is_told_with_its_distance() -> None:
    detail = refusal(lambda: quality.check_novelty(apart(0.14), np.stack([at(2), at(0)]))).detail
    assert re.findall(r"\d\.\d+", detail) == ["0.14", "0.15"]
    quality.check_novelty(apart(0.15), np.stack([at(2), at(0)]))


def found(person_id: str | None, distance: float) -> Face:
    return Face(Box(0, 0, 100, 100), 0.6, person_id=person_id, distance=distance)


def test_who_is_identified_as_another_is_refused_with_both_distances() -> None:
    refused = refusal(lambda: quality.check_identity(apart(0.7), "ann", at(0)[np.newaxis], found("bob", 0.31)))
    assert (refused.code, refused.forcible) == ("nearer_to_another", True)
    assert re.findall(r"\d\.\d+", refused.detail) == ["0.31", "0.70"]
    first = refusal(lambda: quality.check_identity(at(0), "ann", NOBODY, found("bob", 0.31)))
    assert "bob, at distance 0.31" in first.detail


@pytest.mark.parametrize(
    ("own", "person_id", "distance"),
    [(0.9, None, 0.62), (0.9, "ann", 0.2), (0.9, "bob", quality.ALIKE + 0.01), (0.3, "bob", 0.31)],
    ids=["nobody", "the same", "only in a small gallery", "nearer to their own"],
)
def test_who_is_like_nobody_else_passes_however_unlike_their_other_photos(
    own: float, person_id: str | None, distance: float
) -> None:
    quality.check_identity(apart(own), "ann", at(0)[np.newaxis], found(person_id, distance))
    quality.check_identity(apart(own), "ann", np.stack([at(0), at(2)]), found(person_id, distance))
