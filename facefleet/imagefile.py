"""The header of an image file: is it one, and how large? Enough for the door, which never decodes."""

import struct
import warnings
from io import BytesIO

from PIL import Image

from facefleet.errors import BadImage

#: What cameras, phones and browsers make (a phone's MPO opens as JPEG). Pillow reads more, and each further parser
#: is more to attack.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
#: Pillow's names for what cameras make; a phone's has further images behind the first.
JPEGS = ("JPEG", "MPO")
#: How many times as much memory as a JPEG of so many pixels, which is decoded at a part of its size, others may take.
WHOLE = 2
#: How files of these formats are called.
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp"})
#: What Pillow's parsers end with on nonsense.
UNREADABLE = (OSError, ValueError, SyntaxError, EOFError, LookupError, TypeError, struct.error)


def check(data: bytes, *, max_pixels: int) -> None:
    """Reads the header alone; raises `BadImage` for what nobody can, or should, decode."""
    opened(data, max_pixels)


def opened(data: bytes, max_pixels: int) -> Image.Image:
    """The image with its header read and its pixels not; raises `BadImage`."""
    if not data:
        raise BadImage("the file is empty: send an image", code="empty_file")
    image = _open(data, max_pixels)
    limit = max_pixels if image.format in JPEGS else max_pixels // WHOLE
    if image.width * image.height > limit:
        raise _too_many(f"{image.width}×{image.height}", limit)
    return image


def _open(data: bytes, max_pixels: int) -> Image.Image:
    with warnings.catch_warnings():
        # Pillow's own bound is one of ours: crossed, it is an error and not a line on stderr.
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            return Image.open(BytesIO(data), formats=FORMATS)
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as e:
            raise _too_many("many more", max_pixels) from e
        except UNREADABLE as e:
            raise BadImage("not an image that we read: send JPEG, PNG, WebP, GIF or BMP", code="not_an_image") from e


def _too_many(size: str, limit: int) -> BadImage:
    return BadImage(
        f"the image has {size} pixels, the limit is {limit / 1e6:g} megapixels: send a smaller one, or a JPEG, which "
        f"may have {WHOLE} times as many as others",
        code="too_many_pixels",
    )
