"""From bytes to upright RGB pixels: what is refused, with which code, and where the pixels of the rest stand."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pictures
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pictures import UPRIGHT, centre_of_red, file_of, picture, turned
from PIL import Image

from facefleet import imagefile
from facefleet.errors import BadImage
from facefleet.recognition.images import Picture, Pixels

MAX_PIXELS = 1_000_000
#: How long a JPEG may be that is decoded at first at this fraction of its size.
LENGTHS = {1: 897, 2: 2001, 4: 4003, 8: 8001}
#: The side of the one red square of a picture whose geometry is looked at.
MARK = 32
PLAIN = picture(Image.new("RGB", (200, 100)))
law = settings(deadline=None)

Point = tuple[float, float]
Margins = tuple[int, ...]


def pixels_of(data: bytes) -> Pixels:
    """All of it, at full size."""
    picture = Picture(data, max_pixels=MAX_PIXELS)
    return np.asarray(picture.whole(picture.longer_side))


def look_at(data: bytes) -> None:
    """All that one may do with an image: it gives RGB pixels, or raises `BadImage`."""
    picture = Picture(data, max_pixels=MAX_PIXELS)
    middle = (picture.width / 4, picture.height / 4, picture.width * 3 / 4, picture.height)
    for pixels in (np.asarray(picture.whole(20)), picture.part(middle, 0.7)[0], picture.cut(middle, 1)[0]):
        assert (pixels.dtype.name, pixels.ndim, pixels.shape[2]) == ("uint8", 3, 3)


@pytest.mark.parametrize("orientation", pictures.AS_STORED)
@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
def test_a_photo_stands_upright_however_the_camera_was_held(orientation: int, format: str) -> None:
    pixels = pixels_of(turned(UPRIGHT, orientation, format, quality=100))
    assert pixels.shape == (16, 24, 3)
    # The middles of the four corners: lossy formats smear their edges.
    assert np.abs(pixels[4::8, 6::12].astype(int) - pictures.CORNERS[4::8, 6::12]).max() < 40


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_there_is_not_turns_nothing(orientation: int) -> None:
    assert np.array_equal(pixels_of(turned(UPRIGHT, orientation)), pictures.CORNERS)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "MPO"])
def test_every_format_that_we_promise_is_read(format: str) -> None:
    data = file_of(UPRIGHT, format, **({"save_all": True, "append_images": [UPRIGHT]} if format == "MPO" else {}))
    imagefile.check(data, max_pixels=MAX_PIXELS)
    assert pixels_of(data).shape == (16, 24, 3)


@pytest.mark.parametrize("format", ["TIFF", "PPM", "ICO", "TGA", "PDF"])
def test_a_format_that_we_do_not_promise_is_no_image(format: str) -> None:
    with pytest.raises(BadImage, match="not an image"):
        look_at(file_of(UPRIGHT, format))


@pytest.mark.parametrize("check", [imagefile.check, Picture], ids=["door", "worker"])
@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty_file"),
        (b"hello, I am a text", "not_an_image"),
        (b"\xff\xd8", "not_an_image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not_an_image"),
        (bytes(5000), "not_an_image"),
        (pictures.png_header(60_000, 60_000), "too_many_pixels"),
        (pictures.png_header(1_000, 1_000 // imagefile.WHOLE + 1), "too_many_pixels"),
        (file_of(Image.new("L", (1_000, 1_001)), "JPEG"), "too_many_pixels"),
    ],
    ids=["empty", "text", "two bytes", "svg", "zeros", "bomb", "a row too many", "a row too many for a JPEG"],
)
def test_what_is_no_image_of_ours_says_why(check: Any, data: bytes, code: str) -> None:
    with pytest.raises(BadImage) as refused:
        check(data, max_pixels=MAX_PIXELS)
    assert refused.value.code == code


def test_the_door_reads_the_header_alone_and_lets_in_as_many_pixels_as_allowed() -> None:
    """Pixels that are missing are for the worker to find."""
    jpeg = file_of(Image.new("L", (1_000, 1_000)), "JPEG")[:600]
    for data in (jpeg, pictures.png_header(1_000, 1_000 // imagefile.WHOLE)):
        imagefile.check(data, max_pixels=MAX_PIXELS)
        with pytest.raises(BadImage, match="damaged"):
            look_at(data)


@pytest.mark.parametrize("name", ["obama.jpg", "biden.jpg", "32bit.png"])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.99])
def test_a_photo_that_was_cut_short_is_damaged_however_one_looks_at_it(photos: Path, name: str, share: float) -> None:
    data = (photos / name).read_bytes()
    for verb, *arguments in (("whole", 99), ("part", (0, 0, 9, 9), 1), ("cut", (0, 0, 9, 9), 0.1)):
        with pytest.raises(BadImage, match="damaged"):
            getattr(Picture(data[: int(len(data) * share)], max_pixels=50_000_000), verb)(*arguments)


@pytest.mark.parametrize(
    ("mode", "format"),
    [(mode, "PNG") for mode in ("RGB", "RGBA", "P", "L", "LA", "1")]
    + [("RGB", "JPEG"), ("L", "JPEG"), ("CMYK", "JPEG"), ("P", "GIF")],
)
def test_every_mode_becomes_rgb(mode: str, format: str) -> None:
    grey = Image.new("RGB", (8, 6), (255, 255, 255) if mode == "1" else (153, 153, 153))
    pixels = pixels_of(file_of(grey.convert(mode), format))
    assert (pixels.dtype.name, pixels.shape) == ("uint8", (6, 8, 3))
    assert np.abs(pixels.astype(int) - grey.getpixel((0, 0))).max() <= 2


@pytest.mark.parametrize("value", [0, 64, 128, 255])
def test_sixteen_bits_keep_their_brightness(value: int) -> None:
    """Scanners and scientific cameras write these; 257 times a byte is the same grey."""
    pixels = pixels_of(file_of(Image.fromarray(np.full((6, 8), value * 257, np.uint16))))
    assert np.abs(pixels.astype(int) - value).max() <= 1


@given(data=st.binary(max_size=2000))
@example(b"\xff\xd8\xff\xe1\0\x08Exif\0\0")
@example(b"RIFF\x10\0\0\0WEBPVP8 ")
@example(b"GIF89a\0\0\0\0\0\0\0")
@example(b"BM" + bytes(60))
def test_bytes_by_chance_are_a_bad_image_and_nothing_else(data: bytes) -> None:
    with pytest.raises(BadImage):
        look_at(data)


FILES = {format: turned(UPRIGHT, 6, format) for format in ("JPEG", "PNG", "WEBP")}
FILES |= {format: file_of(UPRIGHT, format) for format in ("GIF", "BMP")}
CHANGE = st.tuples(st.integers(0, 400), st.integers(0, 255))


# Pillow says on stderr what it thinks of a damaged header; to us it is an image or it is not.
@pytest.mark.filterwarnings("ignore::UserWarning")
@law
@given(format=st.sampled_from(sorted(FILES)), changes=st.lists(CHANGE, min_size=1, max_size=4))
def test_a_damaged_file_is_an_image_or_a_bad_one_and_nothing_else(format: str, changes: list[tuple[int, int]]) -> None:
    data = bytearray(FILES[format])
    for at, value in changes:
        data[at % len(data)] = value
    with suppress(BadImage):
        look_at(bytes(data))


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(("tag", "kind"), [(0x010F, 11), (0x011A, 2), (0x0213, 7), (0x0100, 1), (0x9000, 11)])
def test_a_photo_with_nonsense_in_its_exif_is_turned_all_the_same(tag: int, kind: int) -> None:
    """Tags of a wrong type, as some phones and editors write them, beside an orientation that is fine."""
    exif = pictures.exif_of((pictures.ORIENTATION, 3, b"\6\0"), (tag, kind, b"\0\0\1\0"))
    data = file_of(UPRIGHT.transpose(Image.Transpose.ROTATE_90), "JPEG", exif=exif)
    assert pixels_of(data).shape == (16, 24, 3)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("exif", [b"", b"nonsense", b"II*\0", b"II+\0\x08\0\0\0\1\0"])
def test_an_exif_that_is_none_turns_nothing(format: str, exif: bytes) -> None:
    assert pixels_of(file_of(UPRIGHT, format, exif=b"Exif\0\0" + exif)).shape == (16, 24, 3)


@pytest.mark.parametrize(("fraction", "length"), LENGTHS.items())
def test_a_jpeg_is_decoded_as_coarsely_as_will_do_and_again_where_need_be(fraction: int, length: int) -> None:
    jpeg, png = (picture(Image.new("RGB", (length, 16)), format) for format in ("JPEG", "PNG"))
    factors = [jpeg.cut((0, 0, 9, 9), scale)[2] for scale in (0.01, 0.01, 0.3, 0.5, 0.51, 0.01)]
    assert factors == [max(1 / fraction, least) for least in (0, 0, 0.5, 0.5, 1, 1)], "and it is kept as fine as it was"
    assert png.cut((0, 0, 9, 9), 0.01)[2] == 1, "other formats have no fractions"


def test_a_jpeg_of_many_pixels_is_never_decoded_in_full() -> None:
    assert picture(Image.new("L", (6000, 4000)), "JPEG").cut((0, 0, 9, 9), 1)[2] == 0.5


@given(width=st.integers(1, 300), height=st.integers(1, 300), longer_side=st.integers(1, 400))
def test_the_whole_has_its_longer_side_as_asked_and_its_shape(width: int, height: int, longer_side: int) -> None:
    seen = picture(Image.new("L", (width, height))).whole(longer_side)
    assert max(seen.size) == longer_side
    wanted = np.array([width, height]) * longer_side / max(width, height)
    assert np.abs(np.array(seen.size) - wanted).max() <= (0.5 if wanted.min() >= 0.5 else 1)


@given(
    start=st.tuples(st.floats(-500, 500), st.floats(-500, 500)),
    size=st.tuples(st.floats(0.1, 900), st.floats(0.1, 900)),
    scale=st.floats(0.02, 2),
)
def test_a_part_is_what_of_an_area_lies_inside_and_at_least_a_pixel(start: Point, size: Point, scale: float) -> None:
    asked = (*start, start[0] + size[0], start[1] + size[1])
    seen, (left, top, right, bottom) = PLAIN.part(asked, scale)
    assert 0 <= left <= right - 1 + 1e-9 <= 200 and 0 <= top <= bottom - 1 + 1e-9 <= 100
    shared = np.clip(asked, 0, [200, 100, 200, 100])
    if (shared[2:] - shared[:2]).min() >= 1:
        assert (left, top, right, bottom) == tuple(shared)
    assert seen.shape == (round((bottom - top) * scale) or 1, round((right - left) * scale) or 1, 3)


@settings(deadline=None, max_examples=150)
@given(
    fraction=st.sampled_from(sorted(LENGTHS)),
    format=st.sampled_from(["JPEG", "PNG"]),
    orientation=st.sampled_from(sorted(pictures.AS_STORED)),
    tall=st.booleans(),
    at=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    margins=st.tuples(*[st.integers(0, 99)] * 4),
    finer=st.floats(0.01, 1),
    scale=st.floats(0.1, 2),
)
def test_a_mark_stands_where_it_should_whatever_one_looks_at(
    fraction: int, format: str, orientation: int, tall: bool, at: Point, margins: Margins, finer: float, scale: float
) -> None:
    size = np.array([LENGTHS[fraction], 67])[:: -1 if tall else 1]
    corner = np.round(at * (size - MARK)).astype(int)
    image = pictures.pasted(tuple(size), (Image.new("RGB", (MARK, MARK), "red"), tuple(corner)))
    it = Picture(turned(image, orientation, format, quality=95, subsampling=0), max_pixels=10**7)
    centre = corner + MARK / 2
    area = (*(corner - margins[:2]), *(corner + MARK + margins[2:]))
    pixels, start, factor = it.cut(area, finer)
    assert factor >= finer
    assert np.abs((centre_of_red(pixels) + start) / factor - centre).max() < 1 / factor
    pixels, (left, top, right, bottom) = it.part(area, scale)
    step = np.array([right - left, bottom - top]) / pixels.shape[1::-1]
    assert np.abs(centre_of_red(pixels) * step + (left, top) - centre).max() < 1 / factor + 0.5 / scale
    whole = np.asarray(it.whole(400))
    assert np.abs(centre_of_red(whole) * size / whole.shape[1::-1] - centre).max() < size.max() / 400


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1)])
def test_a_picture_of_one_pixel_or_a_single_row_has_all_that_others_have(size: tuple[int, int], format: str) -> None:
    line = picture(Image.new("RGB", size, "grey"), format)
    seen = np.asarray(line.whole(640))
    part, inside = line.part((-9, -9, 9999, 9999), 0.1)
    pixels, start, _ = line.cut((-9, -9, 9999, 9999), 1)
    assert (max(seen.shape), min(seen.shape[:2])) == (640, 640 if size == (1, 1) else 1)
    assert (inside, start) == ((0, 0, *size), (0, 0))
    assert part.shape == (max(1, size[1] // 10), max(1, size[0] // 10), 3)
    assert pixels.shape == (*size[::-1], 3)
    assert (seen == 128).all() and (part == 128).all() and (pixels == 128).all()
