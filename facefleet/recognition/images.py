"""From bytes to upright RGB pixels, no finer than somebody needs them."""

from math import floor

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from facefleet.errors import BadImage
from facefleet.imagefile import JPEGS, UNREADABLE, opened

#: uint8, shape (rows, columns, 3): red, green, blue.
Pixels = NDArray[np.uint8]
#: Left, top, right, bottom, in the upright image's pixels; the far edges exclusive.
Area = tuple[float, float, float, float]

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
LYING = (5, 6, 7, 8)
#: A JPEG is decoded at first so that its longer side keeps this many pixels; at full size where it has fewer.
WORKING_SIDE = 1000
#: A JPEG is decoded at no more pixels than this, however small its faces: 64 MB of memory.
MAX_DECODED = 16_000_000
#: Before an image is resampled it is halved, thirded and so on, which is quick, while it stays larger than wanted.
REDUCING_GAP = 1.0
#: libjpeg decodes at these fractions of the full size, and the smaller the faster.
DRAFTS = (1, 2, 4, 8)


class Picture:
    """An image file, upright. It is decoded as coarsely as will do, and again, finer, if somebody needs it."""

    def __init__(self, data: bytes, *, max_pixels: int) -> None:
        """Raises `BadImage`."""
        self._data = data
        self._max_pixels = max_pixels
        self._decoded: Image.Image | None = None
        #: What it is reduced by, where it is decoded.
        self._reduced = 1
        image = opened(data, max_pixels)
        is_jpeg = image.format in JPEGS
        # Pillow fails at a draft that would leave a side without pixels.
        self._drafts = tuple(draft for draft in DRAFTS if draft <= min(image.size)) if is_jpeg else DRAFTS[:1]
        # Other formats are decoded whole, and some, like PNG, before they tell their orientation.
        rgb = None if is_jpeg else _rgb(image)
        self._orientation = _orientation(image)
        self.width, self.height = image.size[::-1] if self._orientation in LYING else image.size
        #: With its header read, for the first to decode it.
        self._unread = image if is_jpeg else None
        if rgb is not None:
            self._decoded = _upright(rgb, self._orientation)

    @classmethod
    def of(cls, image: Image.Image) -> "Picture":
        """One that is decoded and upright already: RGB, as a frame of a clip is."""
        picture = cls.__new__(cls)
        picture._decoded, picture._reduced, picture._drafts = image, 1, DRAFTS[:1]
        picture.width, picture.height = image.size
        return picture

    @property
    def longer_side(self) -> int:
        return max(self.width, self.height)

    def whole(self, longer_side: float) -> Image.Image:
        """All of it, with its longer side so many pixels long; raises `BadImage`."""
        scale = longer_side / self.longer_side
        size = (max(1, round(self.width * scale)), max(1, round(self.height * scale)))
        return self._at(scale)[0].resize(size, Image.Resampling.BILINEAR, reducing_gap=REDUCING_GAP)

    def part(self, area: Area, scale: float) -> tuple[Pixels, Area]:
        """What of the area lies inside, resampled to `scale` of its pixels, and which area that is.

        Raises `BadImage`.
        """
        inside = self._inside(area)
        image, factor = self._at(scale)
        left, top, right, bottom = inside
        size = (max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale)))
        box = (left * factor, top * factor, right * factor, bottom * factor)
        return np.asarray(image.resize(size, Image.Resampling.BILINEAR, box=box, reducing_gap=REDUCING_GAP)), inside

    def cut(self, area: Area, scale: float) -> tuple[Pixels, tuple[int, int], float]:
        """The area's own pixels, unsampled, from an image decoded at `scale` or finer.

        Beside them where they begin in that image, and how many of its pixels one of the full image is. Raises
        `BadImage`.
        """
        image, factor = self._at(scale)
        left, top, right, bottom = (floor(edge * factor) for edge in self._inside(area))
        # No farther than the image, beside which Pillow would add black.
        box = (left, top, min(right + 1, image.width), min(bottom + 1, image.height))
        return np.asarray(image.crop(box)), (left, top), factor

    def _inside(self, area: Area) -> Area:
        left, top, right, bottom = area
        left, top = min(max(left, 0.0), self.width - 1.0), min(max(top, 0.0), self.height - 1.0)
        return left, top, max(min(right, self.width), left + 1), max(min(bottom, self.height), top + 1)

    def _at(self, scale: float) -> tuple[Image.Image, float]:
        """The whole as libjpeg gives it, at `scale` or finer, as far as `MAX_DECODED` allows; and at which scale.

        A side of which that leaves a part of a pixel is a whole pixel longer.
        """
        draft = self._draft(max(scale, min(1.0, WORKING_SIDE / self.longer_side)))
        if self._decoded is None or draft < self._reduced:
            self._decoded, self._reduced = self._decode(draft), draft
        return self._decoded, 1 / self._reduced

    def _draft(self, scale: float) -> int:
        """The most that it may be reduced by, and be fine enough, or small enough for our memory."""
        fine = max((d for d in self._drafts if 1 / d >= scale), default=1)
        small = next((d for d in self._drafts if self.width * self.height / d**2 <= MAX_DECODED), self._drafts[-1])
        return max(fine, small)

    def _decode(self, draft: int) -> Image.Image:
        image, self._unread = self._unread or opened(self._data, self._max_pixels), None
        image.draft(None, (image.width // draft, image.height // draft))
        return _upright(_rgb(image), self._orientation)


def _rgb(image: Image.Image) -> Image.Image:
    try:
        image.load()
        # To convert from RGB to RGB is to copy.
        return image if image.mode == "RGB" else _eight_bits(image).convert("RGB")
    except UNREADABLE as e:
        raise BadImage("the image is damaged or was cut short: send it again", code="damaged_image") from e


def _orientation(image: Image.Image) -> int:
    """Phones store photos as the sensor lies and say in EXIF how to turn them.

    Pillow's own `exif_transpose` does so too, and fails on any nonsense elsewhere in the EXIF.
    """
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except UNREADABLE:
        return 1
    return value if value in TURNS else 1


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    turn = TURNS.get(orientation)
    return image if turn is None else image.transpose(turn)


def _eight_bits(image: Image.Image) -> Image.Image:
    """Grey values of 16 bits made 8: Pillow would cut them off, and leave a white photo."""
    if not image.mode.startswith("I"):
        return image
    values = np.asarray(image) >> 8
    return Image.fromarray(np.clip(values, 0, 255, out=values).astype(np.uint8))
