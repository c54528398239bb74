"""A folder of photos of which somebody knows whom they show: what error rates are measured on."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facefleet.errors import BadImage
from facefleet.imagefile import SUFFIXES
from facefleet.recognition.encoder import EncodedFace, Encoder
from facefleet.recognition.images import Picture
from facefleet.recognition.weights import DIMENSIONS


@dataclass(frozen=True, eq=False, slots=True)
class Labelled:
    """One person: the encodings of their photos, shape (photos, 128), and how many photos showed no face."""

    name: str
    encodings: NDArray[np.float32] = field(repr=False)
    faceless: int = 0


#: A person's name and photos.
Album = tuple[str, list[Path]]


def albums(folder: Path) -> list[Album]:
    """The person folders in a folder, in order, each with at least one photo; hidden files are left out."""
    found = [(person.name, _photos(person)) for person in sorted(folder.iterdir()) if person.is_dir()]
    return [(name, photos) for name, photos in found if photos and not name.startswith(".")]


def stranger_albums(folder: Path) -> list[Album]:
    """As `albums`; photos that lie loose in the folder are each of somebody else."""
    return albums(folder) + [(photo.name, [photo]) for photo in _photos(folder)]


def encoded(
    all_albums: Iterable[Album], encode: Encoder, *, max_pixels: int, done: Callable[[], None]
) -> list[Labelled]:
    """The people with their photos encoded. A photo that cannot be read counts as one without a face.

    `done` is called after every photo.
    """
    people = []
    for name, photos in all_albums:
        encodings = []
        for photo in photos:
            encodings.append(_encoding(photo, encode, max_pixels))
            done()
        faces = [encoding for encoding in encodings if encoding is not None]
        rows = np.array(faces, dtype=np.float32) if faces else np.empty((0, DIMENSIONS), np.float32)
        people.append(Labelled(name, rows, faceless=len(encodings) - len(faces)))
    return people


def split_known(people: Sequence[Labelled], enrol: int) -> tuple[list[Labelled], list[Labelled]]:
    """Those with photos for enrolling `enrol` of them and asking for at least one more; and all others with a face."""
    known = [person for person in people if len(person.encodings) > enrol]
    others = [person for person in people if 0 < len(person.encodings) <= enrol]
    return known, others


def central(faces: Sequence[EncodedFace], width: int, height: int) -> EncodedFace:
    """The face nearest to the picture's middle: a labelled photo is framed on whom it shows, and others stand aside."""

    def off(face: EncodedFace) -> float:
        x, y = face.box.x_min + face.box.x_max - width, face.box.y_min + face.box.y_max - height
        return float(x * x + y * y)

    return min(faces, key=off)


def _encoding(photo: Path, encode: Encoder, max_pixels: int) -> NDArray[np.float32] | None:
    try:
        picture = Picture(photo.read_bytes(), max_pixels=max_pixels)
        faces = encode(picture)
    except (BadImage, OSError):
        return None
    return central(faces, picture.width, picture.height).encoding if faces else None


def _photos(folder: Path) -> list[Path]:
    found = (path for path in sorted(folder.iterdir()) if path.suffix.lower() in SUFFIXES and not path.is_dir())
    return [path for path in found if not path.name.startswith(".")]
