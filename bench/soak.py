"""Many images, no two alike, through one process: does it hold more and more?"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.photoset import MAX_PIXELS, QUALITY, Sets
from bench.sides import Side
from facefleet.recognition.images import Picture

#: One image in so many is of a megapixel, if there are any; the others are crops.
MEGAPIXEL_EACH = 10
#: Places along each side from which an image is cut out of its photo; and qualities, once all places have been used.
PLACES, QUALITIES = 32, 30


@dataclass(frozen=True)
class Soaked:
    """Megabytes resident after a tenth of the images, and at the end."""

    soak_images: int
    soak_start_mb: float
    soak_end_mb: float
    soak_growth_mb: float


def soak(side: Side, sets: Sets, images: int, path: Path, advance: Callable[[], None]) -> Soaked:
    """Sends so many images, one after the other written to `path`."""
    start = 0.0
    for number in range(images):
        write_one(sets, number, path)
        side.ask(path)
        advance()
        if number == images // 10:
            start = side.rss_mb
    end = side.rss_mb
    return Soaked(images, round(start, 1), round(end, 1), round(end - start, 1))


def write_one(sets: Sets, number: int, path: Path) -> None:
    """The photos in turn, and each time that one comes again, it is cut a little differently."""
    photos, turn = sets.crops or sets.megapixel, number
    if number % MEGAPIXEL_EACH == 0 and sets.megapixel:
        photos, turn = sets.megapixel, number // MEGAPIXEL_EACH
    _cut(photos[turn % len(photos)], turn // len(photos), path)


def _cut(photo: Path, turn: int, path: Path) -> None:
    picture = Picture(photo.read_bytes(), max_pixels=MAX_PIXELS)
    whole = picture.whole(picture.longer_side)
    times, place = divmod(turn, PLACES * PLACES)
    y, x = divmod(place, PLACES)
    cut = whole.crop((x, y, whole.width - PLACES + x, whole.height - PLACES + y))
    cut.save(path, "JPEG", quality=QUALITY - times % QUALITIES)
