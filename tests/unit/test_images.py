"""From bytes to upright RGB pixels: what is refused, with which code, and what becomes of the rest."""

import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from facefleet import imagefile
from facefleet.errors import BadImage
from facefleet.recognition.images import Pixels, decode, shrink

MAX_PIXELS = 1_000_000
ORIENTATION = 0x0112
#: Red above left, green above right, blue below left, white below right: how it should look, upright.
CORNERS = np.kron(np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], np.uint8), np.ones((8, 12, 1)))
UPRIGHT = Image.fromarray(CORNERS.astype(np.uint8))
#: How a sensor lies for each of EXIF's orientations: what makes the file out of the upright image.
AS_STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def encoded(image: Image.Image, format: str = "PNG", **options: Any) -> bytes:
    file = BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def turned(orientation: int, format: str = "PNG", **options: Any) -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    turn = AS_STORED[orientation]
    return encoded(UPRIGHT if turn is None else UPRIGHT.transpose(turn), format, exif=exif, **options)


def png_header(width: int, height: int) -> bytes:
    """A file that ends where its pixels should begin."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    checked = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + checked + struct.pack(">I", 999) + b"IDAT"


def code_of(data: bytes, *, max_pixels: int = MAX_PIXELS) -> str:
    """What the worker says; the door says the same, where a header is enough to know."""
    with pytest.raises(BadImage) as refused:
        decode(data, max_pixels=max_pixels)
    return refused.value.code


@pytest.mark.parametrize("orientation", AS_STORED)
@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
def test_a_photo_stands_upright_however_the_camera_was_held(orientation: int, format: str) -> None:
    options = {} if format == "PNG" else {"quality": 100}
    pixels = decode(turned(orientation, format, **options), max_pixels=MAX_PIXELS)
    assert pixels.shape == (16, 24, 3)
    # The middles of the four corners: lossy formats smear their edges.
    assert np.abs(pixels[4::8, 6::12].astype(int) - CORNERS[4::8, 6::12]).max() < 40


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_there_is_not_turns_nothing(orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    assert np.array_equal(decode(encoded(UPRIGHT, exif=exif), max_pixels=MAX_PIXELS), CORNERS)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "MPO"])
def test_every_format_that_we_promise_is_read(format: str) -> None:
    data = encoded(UPRIGHT, format, **({"save_all": True, "append_images": [UPRIGHT]} if format == "MPO" else {}))
    imagefile.check(data, max_pixels=MAX_PIXELS)
    assert decode(data, max_pixels=MAX_PIXELS).shape == (16, 24, 3)


@pytest.mark.parametrize("format", ["TIFF", "PPM", "ICO", "TGA", "PDF"])
def test_a_format_that_we_do_not_promise_is_no_image(format: str) -> None:
    assert code_of(encoded(UPRIGHT, format)) == "not_an_image"


@pytest.mark.parametrize("check", [imagefile.check, decode], ids=["door", "worker"])
@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty_file"),
        (b"hello, I am a text", "not_an_image"),
        (b"\xff\xd8", "not_an_image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not_an_image"),
        (bytes(5000), "not_an_image"),
        (png_header(60_000, 60_000), "too_many_pixels"),
        (png_header(1_000, 1_001), "too_many_pixels"),
    ],
    ids=["empty", "text", "two bytes", "svg", "zeros", "bomb", "a row too many"],
)
def test_what_is_no_image_of_ours_says_why(check: Any, data: bytes, code: str) -> None:
    with pytest.raises(BadImage) as refused:
        check(data, max_pixels=MAX_PIXELS)
    assert refused.value.code == code


def test_as_many_pixels_as_allowed_are_allowed() -> None:
    imagefile.check(png_header(1_000, 1_000), max_pixels=MAX_PIXELS)


def test_the_door_reads_the_header_alone() -> None:
    """Pixels that are missing are for the worker to find."""
    imagefile.check(png_header(24, 16), max_pixels=MAX_PIXELS)
    assert code_of(png_header(24, 16)) == "damaged_image"


@pytest.mark.parametrize("name", ["obama.jpg", "32bit.png"])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.99])
def test_a_photo_that_was_cut_short_is_damaged(photos: Path, name: str, share: float) -> None:
    data = (photos / name).read_bytes()
    assert code_of(data[: int(len(data) * share)], max_pixels=50_000_000) == "damaged_image"


@pytest.mark.parametrize(
    ("mode", "format"),
    [("RGB", "PNG"), ("RGBA", "PNG"), ("P", "PNG"), ("L", "PNG"), ("LA", "PNG"), ("CMYK", "JPEG"), ("P", "GIF")],
)
def test_every_mode_becomes_rgb(mode: str, format: str) -> None:
    grey = Image.new("RGB", (8, 6), (153, 153, 153)).convert(mode)
    pixels = decode(encoded(grey, format), max_pixels=MAX_PIXELS)
    assert (pixels.dtype, pixels.shape) == (np.uint8, (6, 8, 3))
    assert np.abs(pixels.astype(int) - 153).max() <= 2


@pytest.mark.parametrize("value", [0, 64, 128, 255])
def test_sixteen_bits_keep_their_brightness(value: int) -> None:
    """Scanners and scientific cameras write these; 257 times a byte is the same grey."""
    deep = Image.fromarray(np.full((6, 8), value * 257, np.uint16))
    pixels = decode(encoded(deep), max_pixels=MAX_PIXELS)
    assert np.abs(pixels.astype(int) - value).max() <= 1


@given(data=st.binary(max_size=2000))
@example(b"\xff\xd8\xff\xe1\0\x08Exif\0\0")
@example(b"RIFF\x10\0\0\0WEBPVP8 ")
@example(b"GIF89a\0\0\0\0\0\0\0")
@example(b"BM" + bytes(60))
def test_bytes_by_chance_are_a_bad_image_and_nothing_else(data: bytes) -> None:
    with pytest.raises(BadImage):
        decode(data, max_pixels=MAX_PIXELS)


FILES = {
    "JPEG": turned(6, "JPEG"),
    "PNG": turned(6, "PNG"),
    "WEBP": turned(6, "WEBP"),
    "GIF": encoded(UPRIGHT, "GIF"),
    "BMP": encoded(UPRIGHT, "BMP"),
}
CHANGES = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=4)


# Pillow says on stderr what it thinks of a damaged header; to us it is an image or it is not.
@pytest.mark.filterwarnings("ignore::UserWarning")
@given(format=st.sampled_from(sorted(FILES)), changes=CHANGES)
def test_a_damaged_file_is_an_image_or_a_bad_one_and_nothing_else(format: str, changes: list[tuple[int, int]]) -> None:
    data = bytearray(FILES[format])
    for at, value in changes:
        data[at % len(data)] = value
    try:
        pixels = decode(bytes(data), max_pixels=MAX_PIXELS)
    except BadImage:
        return
    assert (pixels.dtype, pixels.ndim, pixels.shape[2]) == (np.uint8, 3, 3)


def exif_entry(tag: int, kind: int, value: bytes) -> bytes:
    """A tag with a value that fits its entry, little-endian; kinds by their number in TIFF 6.0."""
    size = {1: 1, 2: 1, 3: 2, 4: 4, 7: 1, 11: 4}[kind]
    return struct.pack("<HHI4s", tag, kind, len(value) // size, value)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(("tag", "kind"), [(0x010F, 11), (0x011A, 2), (0x0213, 7), (0x0100, 1), (0x9000, 11)])
def test_a_photo_with_nonsense_in_its_exif_is_turned_all_the_same(tag: int, kind: int) -> None:
    """Tags of a wrong type, as some phones and editors write them, beside an orientation that is fine."""
    entries = sorted([exif_entry(ORIENTATION, 3, b"\6\0"), exif_entry(tag, kind, b"\0\0\1\0")])
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 2) + b"".join(entries) + bytes(4)
    data = encoded(UPRIGHT.transpose(Image.Transpose.ROTATE_90), "JPEG", exif=exif)
    assert decode(data, max_pixels=MAX_PIXELS).shape == (16, 24, 3)


@given(rows=st.integers(1, 300), columns=st.integers(1, 300), longest=st.integers(1, 200))
def test_a_shrunk_image_has_its_longer_side_as_asked_and_its_shape(rows: int, columns: int, longest: int) -> None:
    small, scale = shrink(np.zeros((rows, columns, 3), np.uint8), longest)
    assert max(small.shape[:2]) == min(longest, max(rows, columns))
    assert scale == max(1.0, max(rows, columns) / longest)
    wanted: Pixels = np.array([rows, columns]) / scale
    assert np.abs(np.array(small.shape[:2]) - wanted).max() <= 1
