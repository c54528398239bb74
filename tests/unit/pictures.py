"""Image files for the tests of recognition: in every format, turned as cameras turn them, with faces where one asks."""

import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facefleet.model import Box
from facefleet.recognition.encoder import EncodedFace, Encoding
from facefleet.recognition.images import Area, Picture, Pixels

MAX_PIXELS = 50_000_000
ORIENTATION = 0x0112
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
#: Red above left, green above right, blue below left, white below right: how it should look, upright.
CORNERS = np.kron(np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], np.uint8), np.ones((8, 12, 1)))
UPRIGHT = Image.fromarray(CORNERS.astype(np.uint8))
#: Where dlib's detector, upsampling once, sees the one face of each photo.
PLACES = {
    "obama.jpg": (349, 142, 618, 410),
    "obama2.jpg": (171, 290, 439, 559),
    "obama3.jpg": (633, 277, 955, 599),
    "biden.jpg": (419, 241, 741, 563),
}


def file_of(image: Image.Image, format: str = "PNG", **options: Any) -> bytes:
    file = BytesIO()
    image.save(file, format, **({"compress_level": 1} if format == "PNG" else {}) | options)
    return file.getvalue()


def turned(image: Image.Image, orientation: int, format: str = "PNG", **options: Any) -> bytes:
    """A file that shows this image once it is turned as its EXIF says."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    turn = AS_STORED.get(orientation)
    return file_of(image if turn is None else image.transpose(turn), format, exif=exif, **options)


def picture(image: Image.Image, format: str = "PNG", **options: Any) -> Picture:
    return Picture(file_of(image, format, **options), max_pixels=MAX_PIXELS)


def png_header(width: int, height: int) -> bytes:
    """A file that ends where its pixels should begin."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    checked = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + checked + struct.pack(">I", 999) + b"IDAT"


def exif_of(*entries: tuple[int, int, bytes]) -> bytes:
    """EXIF with these tags, each with a value that fits its entry; kinds by their number in TIFF 6.0."""
    size = {1: 1, 2: 1, 3: 2, 4: 4, 7: 1, 11: 4}
    packed = [struct.pack("<HHI4s", tag, kind, len(value) // size[kind], value) for tag, kind, value in sorted(entries)]
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(entries)) + b"".join(packed) + bytes(4)


def centre_of_red(pixels: Pixels) -> NDArray[np.float64]:
    """Where what is red stands in a grey image, across and down."""
    red = (pixels[..., 0].astype(float) - pixels[..., 1]).clip(60) - 60
    down, across = np.indices(red.shape) + 0.5
    return np.asarray([(red * across).sum(), (red * down).sum()]) / float(red.sum())


def photo(path: Path) -> Image.Image:
    return Image.open(path).convert("RGB")


def face(photos: Path, name: str, wide: int, *, around: float = 0.5) -> Image.Image:
    """The photo's face, so many pixels wide, with so many of its widths around it."""
    left, top, right, bottom = PLACES[name]
    more = round(around * (right - left))
    cut = photo(photos / name).crop((left - more, top - more, right + more, bottom + more))
    scale = wide / (right - left)
    return cut.resize((round(cut.width * scale), round(cut.height * scale)), Image.Resampling.LANCZOS)


def pasted(size: tuple[int, int], *parts: tuple[Image.Image, tuple[int, int]]) -> Image.Image:
    """A grey image with these upon it, each with its left and top edge where it says."""
    canvas = Image.new("RGB", size, "grey")
    for part, corner in parts:
        canvas.paste(part, corner)
    return canvas


def at_angle(degrees: float) -> Encoding:
    """Places on an arc."""
    encoding = np.zeros(128, np.float32)
    encoding[:2] = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return encoding


def grey_squares(picture: Picture) -> list[EncodedFace]:
    """A model of four lines: every square of 10 pixels is a face, and its grey is who it is, as an angle."""
    pixels = np.asarray(picture.whole(picture.longer_side))
    values = [int(pixels[0, 10 * i, 0]) for i in range(picture.width // 10)]
    chip = np.zeros((150, 150, 3), np.uint8)
    return [EncodedFace(Box(10 * i, 0, 10 * i + 9 + i, 9), at_angle(value), chip) for i, value in enumerate(values)]


def greys(*values: int) -> bytes:
    """A file of such squares."""
    return file_of(Image.fromarray(np.repeat(np.array([values], np.uint8), 10, axis=1).repeat(9, axis=0)))


def area_of(box: Box) -> Area:
    return box.x_min, box.y_min, box.x_max, box.y_max


def overlap(a: Area, b: Area) -> float:
    """Shared area by joint area: 1 where they are the same."""
    shared = _size((max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])))
    return shared / (_size(a) + _size(b) - shared)


def _size(area: Area) -> float:
    return max(0.0, area[2] - area[0]) * max(0.0, area[3] - area[1])
