"""From bytes to upright RGB pixels."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from facefleet.errors import BadImage
from facefleet.imagefile import opened

Pixels = NDArray[np.uint8]


def decode(data: bytes, *, max_pixels: int) -> Pixels:
    """Upright RGB pixels, shape (rows, columns, 3); raises `BadImage`."""
    with opened(data, max_pixels) as image:
        try:
            # Phones store photos as the sensor lies and say in EXIF how to turn them.
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
        except (OSError, ValueError, SyntaxError, EOFError, IndexError) as e:
            raise BadImage("the image is damaged or was cut short: send it again", code="damaged_image") from e


def shrink(pixels: Pixels, longest_side: int) -> tuple[Pixels, float]:
    """The image with its longer side at most so long, and how many of its pixels one of those is."""
    scale = max(pixels.shape[:2]) / longest_side
    if scale <= 1:
        return np.ascontiguousarray(pixels), 1.0
    image = Image.fromarray(pixels)
    image.thumbnail((longest_side, longest_side), Image.Resampling.BILINEAR)
    return np.asarray(image), scale
