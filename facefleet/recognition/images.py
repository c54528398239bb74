"""From bytes to upright RGB pixels, with a clear reason where that is impossible."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from facefleet.errors import BadImage

#: What cameras, phones and browsers make. Pillow reads more, and each further parser is more to attack.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "MPO")

Pixels = NDArray[np.uint8]


def check(data: bytes, *, max_pixels: int) -> None:
    """Reads the header alone; raises `BadImage` for what `decode` cannot, or should not, decode."""
    with _opened(data, max_pixels):
        pass


def decode(data: bytes, *, max_pixels: int) -> Pixels:
    """Upright RGB pixels, shape (rows, columns, 3); raises `BadImage`."""
    with _opened(data, max_pixels) as image:
        try:
            # Phones store photos as the sensor lies and say in EXIF how to turn them.
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
        except (OSError, ValueError, SyntaxError, EOFError, IndexError) as e:
            raise BadImage("the image is damaged or was cut short: send it again", code="damaged_image") from e


@contextmanager
def _opened(data: bytes, max_pixels: int) -> Iterator[Image.Image]:
    if not data:
        raise BadImage("the file is empty: send an image", code="empty_file")
    image = _open(data, max_pixels)
    with image:
        if image.width * image.height > max_pixels:
            raise _too_many(f"{image.width}×{image.height}", max_pixels)
        yield image


def _open(data: bytes, max_pixels: int) -> Image.Image:
    with warnings.catch_warnings():
        # Pillow's own bound is one of ours: crossed, it is an error and not a line on stderr.
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            return Image.open(BytesIO(data), formats=FORMATS)
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as e:
            raise _too_many("many more", max_pixels) from e
        except (OSError, ValueError, SyntaxError, EOFError, IndexError, TypeError) as e:
            raise BadImage("not an image that we read: send JPEG, PNG, WebP, GIF or BMP", code="not_an_image") from e


def _too_many(size: str, max_pixels: int) -> BadImage:
    return BadImage(
        f"the image has {size} pixels, the limit is {max_pixels / 1e6:g} megapixels: send a smaller one",
        code="too_many_pixels",
    )
