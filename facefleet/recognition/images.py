"""From bytes to upright RGB pixels."""

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from facefleet.errors import BadImage
from facefleet.imagefile import UNREADABLE, opened

Pixels = NDArray[np.uint8]

#: EXIF 2.32, 4.6.4: what undoes each value of Orientation. 1, and what is none of these, needs nothing.
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def decode(data: bytes, *, max_pixels: int) -> Pixels:
    """Upright RGB pixels, shape (rows, columns, 3); raises `BadImage`."""
    with opened(data, max_pixels) as image:
        try:
            return np.asarray(_eight_bits(_upright(image)).convert("RGB"))
        except UNREADABLE as e:
            raise BadImage("the image is damaged or was cut short: send it again", code="damaged_image") from e


def _upright(image: Image.Image) -> Image.Image:
    """Phones store photos as the sensor lies and say in EXIF how to turn them.

    Pillow's own `exif_transpose` does so too, and fails on any nonsense elsewhere in the EXIF.
    """
    try:
        turn = TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except UNREADABLE:
        return image
    return image if turn is None else image.transpose(turn)


def _eight_bits(image: Image.Image) -> Image.Image:
    """Grey values of 16 bits made 8: Pillow would cut them off, and leave a white photo."""
    if not image.mode.startswith("I"):
        return image
    return Image.fromarray((np.asarray(image) >> 8).clip(0, 255).astype(np.uint8))


def shrink(pixels: Pixels, longest_side: int) -> tuple[Pixels, float]:
    """The image with its longer side at most so long, and how many of its pixels one of those is."""
    scale = max(pixels.shape[:2]) / longest_side
    if scale <= 1:
        return np.ascontiguousarray(pixels), 1.0
    image = Image.fromarray(pixels)
    image.thumbnail((longest_side, longest_side), Image.Resampling.BILINEAR)
    return np.asarray(image), scale
