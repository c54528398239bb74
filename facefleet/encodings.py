"""Encodings that come without their photos, into a person."""

import struct
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from math import hypot, inf, isfinite, nan

from facefleet.errors import BadPerson
from facefleet.model import Box, Person, Photo
from facefleet.people import check_room

#: Of dlib's face network, the only one whose encodings can be compared with ours.
DIMENSIONS = 128
#: Lengths of the network's encodings lie between 1.1 and 1.6; numbers from elsewhere are seldom of that size.
SHORTEST, LONGEST = 0.5, 3.0
#: Nobody knows where in its photo the face was.
NOWHERE = Box(0, 0, 0, 0)

PACKED = struct.Struct(f"<{DIMENSIONS}f")


def packed(values: object) -> bytes:
    """128 numbers as a photo keeps them; raises `BadPerson` where a face's encoding cannot look so."""
    if not isinstance(values, Sequence) or len(values) != DIMENSIONS:
        raise _bad(f"an encoding is a list of {DIMENSIONS} numbers")
    try:
        # Beyond what a float can be, it is no number of an encoding either.
        length = hypot(*map(float, values)) if all(type(value) in (int, float) for value in values) else nan
    except OverflowError:
        length = inf
    if not isfinite(length):
        raise _bad("an encoding's numbers are finite, and numbers")
    if not SHORTEST <= length <= LONGEST:
        words = f"this encoding is {length:.2f} long, and a face's between {SHORTEST} and {LONGEST}"
        raise _bad(f"{words}: take those of dlib's face network, not scaled")
    return PACKED.pack(*values)


def unpacked(encoding: bytes) -> list[float]:
    return list(PACKED.unpack(encoding))


def photo_of(encoding: bytes) -> Photo:
    """A photo without its picture. Its id is the encoding's digest: the same one twice is one photo."""
    return Photo(sha256(encoding).hexdigest()[:32], NOWHERE, encoding)


def enrolled(person: Person, encodings: Sequence[bytes]) -> Person:
    """The person with these encodings, too; raises `BadImage` where there is no room for them."""
    for photo in map(photo_of, encodings):
        if photo.id not in {p.id for p in person.photos}:
            check_room(person, photo.id)
            person = replace(person, photos=(*person.photos, photo))
    return person


def _bad(words: str) -> BadPerson:
    return BadPerson(words, code="bad_encoding")
