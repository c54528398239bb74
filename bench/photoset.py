"""Photos of one size, made of photos of any: of a megapixel, and face crops of 250×250 pixels."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from facefleet.errors import BadImage
from facefleet.imagefile import SUFFIXES, opened
from facefleet.model import Box
from facefleet.recognition.images import Picture
from facefleet.settings import Settings

MEGAPIXEL = 1_000_000
#: Smaller photos are not enlarged to a megapixel: half of what they showed would be made up.
LEAST_PIXELS = MEGAPIXEL // 2
CROP_SIDE = 250
#: A crop has so many pixels along each side before it is resampled: a smaller one would show a blur.
LEAST_CROP = 150
#: A face's box to the crop's side, about as in Labelled Faces in the Wild.
FACE_SHARE = 0.45
QUALITY = 90
MAX_PIXELS = Settings().max_pixels

#: Finds faces in an image file.
Find = Callable[[Path], list[Box]]


@dataclass(frozen=True)
class Chosen:
    """Photos to measure with; beside them how many files were no images, and how many images too small."""

    photos: tuple[Path, ...]
    skipped: int
    small: int


@dataclass
class Sets:
    """The photos as they are measured, and how many more files were skipped, since they are damaged."""

    megapixel: list[Path] = field(default_factory=list)
    crops: list[Path] = field(default_factory=list)
    damaged: int = 0


def choose(folder: Path, limit: int) -> Chosen:
    """Up to `limit` photos of the folder and of those in it, evenly spread. Only headers are read."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.startswith(".")]
    sizes = {path: size for path in files if (size := _size(path)) is not None}
    usable = [path for path, size in sizes.items() if min(size) >= LEAST_CROP]
    count = min(limit, len(usable))
    spread = tuple(usable[i * len(usable) // count] for i in range(count))
    return Chosen(spread, len(files) - len(sizes), len(sizes) - len(usable))


def make_sets(photos: tuple[Path, ...], folder: Path, find: Find) -> Sets:
    """Both sets, written into the folder."""
    sets = Sets()
    for number, photo in enumerate(photos):
        try:
            picture = Picture(photo.read_bytes(), max_pixels=MAX_PIXELS)
            _add(sets, picture, folder, number, find)
        except BadImage:
            sets.damaged += 1
    return sets


def _add(sets: Sets, picture: Picture, folder: Path, number: int, find: Find) -> None:
    whole, crop = folder / f"{number:05}.jpg", folder / f"{number:05}-face.jpg"
    pixels = picture.width * picture.height
    is_large = pixels >= LEAST_PIXELS
    longer_side = picture.longer_side * ((MEGAPIXEL / pixels) ** 0.5 if is_large else 1)
    picture.whole(longer_side).save(whole, "JPEG", quality=QUALITY)
    if is_large:
        sets.megapixel.append(whole)
    faces = find(whole)
    if faces and _write_crop(picture, max(faces, key=lambda box: box.area), picture.longer_side / longer_side, crop):
        sets.crops.append(crop)


def _write_crop(picture: Picture, face: Box, scale: float, path: Path) -> bool:
    """The square around a face, whose box is in pixels so many times as large. False if the face is too small."""
    side = round(min((face.x_max - face.x_min) * scale / FACE_SHARE, picture.width, picture.height))
    if side < LEAST_CROP:
        return False
    left = _inside(((face.x_min + face.x_max) * scale - side) / 2, picture.width - side)
    top = _inside(((face.y_min + face.y_max) * scale - side) / 2, picture.height - side)
    whole = picture.whole(picture.longer_side)
    whole.resize((CROP_SIDE, CROP_SIDE), box=(left, top, left + side, top + side)).save(path, "JPEG", quality=QUALITY)
    return True


def _inside(edge: float, last: int) -> int:
    return min(max(round(edge), 0), last)


def _size(path: Path) -> tuple[int, int] | None:
    """None where the file is no image."""
    if path.suffix.lower() in SUFFIXES:
        with suppress(BadImage, OSError), opened(path.read_bytes(), MAX_PIXELS) as image:
            return image.size
    return None
