"""Encodings that come without their photos: out of a file of the course, and into a person."""

import json
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from math import hypot, inf, isfinite, nan
from pathlib import Path
from typing import Any

from facefleet import picklefile
from facefleet.errors import BadFile, BadPerson
from facefleet.model import Box, Person, Photo
from facefleet.people import check_room, id_of, is_id
from facefleet.picklednumpy import Array
from facefleet.textfile import data_of, text_of

#: Of dlib's face network, the only one whose encodings can be compared with ours.
DIMENSIONS = 128
#: Lengths of the network's encodings lie between 1.1 and 1.6; numbers from elsewhere are seldom of that size.
SHORTEST, LONGEST = 0.5, 3.0
#: Of one file. The course's has eleven.
MAX_ENCODINGS = 100_000
#: Nobody knows where in its photo the face was.
NOWHERE = Box(0, 0, 0, 0)

PACKED = struct.Struct(f"<{DIMENSIONS}f")


@dataclass(frozen=True, slots=True)
class Named:
    """Somebody's encodings in a file, each as 128 little-endian float32."""

    id: str
    name: str
    encodings: tuple[bytes, ...] = field(repr=False)


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


def read(path: Path) -> tuple[Named, ...]:
    """Everybody in a file of encodings, in its order; raises `BadFile`. Nothing in it is run.

    The course's pickle, `{"name": [...], "encoding": [128 floats, ...]}`, or JSON of the same, or with `names` and
    `encodings`. Names are made words, as a folder's of photos; those alike are one person.
    """
    data = data_of(path)
    body = _json(data) if data.lstrip()[:1] in (b"{", b"[", b"\xef") else picklefile.load(data)
    names: dict[str, str] = {}
    found: dict[str, list[bytes]] = {}
    for name, encoding in _pairs(body):
        id = id_of(name)
        names.setdefault(id, name)
        found.setdefault(id, []).append(encoding)
    if not found:
        raise BadFile(f"{path} names nobody")
    return tuple(Named(id, names[id], tuple(dict.fromkeys(encodings))) for id, encodings in found.items())


def _json(data: bytes) -> object:
    try:
        return json.loads(text_of(data))
    except json.JSONDecodeError as e:
        raise BadFile(f"line {e.lineno}: not JSON: {e.msg}") from e
    except (ValueError, RecursionError) as e:
        raise BadFile(f"not to be read: {e}") from e


def _pairs(body: object) -> Iterator[tuple[str, bytes]]:
    names, encodings = _columns(body)
    if len(names) != len(encodings):
        raise BadFile(f"{len(names)} names and {len(encodings)} encodings: as many are expected")
    if len(names) > MAX_ENCODINGS:
        raise BadFile(f"{len(names)} encodings, at most {MAX_ENCODINGS} are taken at once: split the file")
    for number, (name, values) in enumerate(zip(names, encodings, strict=True), 1):
        if not isinstance(name, str) or not is_id(id_of(name)):
            raise BadFile(f"encoding {number}: its name is no name of a person")
        try:
            yield name, packed(_numbers(values))
        except ValueError as e:
            raise BadFile(f"encoding {number}, of {name[:80]}: {e}") from e


def _columns(body: object) -> tuple[Sequence[Any], Sequence[Any]]:
    body = body if isinstance(body, dict) else {}
    names = body.get("names", body.get("name"))
    encodings = body.get("encodings", body.get("encoding"))
    if isinstance(encodings, Array):
        encodings = _rows(encodings)
    if not isinstance(names, list | tuple) or not isinstance(encodings, list | tuple):
        raise BadFile('not a file of encodings: {"name": [...], "encoding": [[128 numbers], ...]} is expected')
    return names, encodings


def _numbers(values: object) -> object:
    return values.values(most=DIMENSIONS) if isinstance(values, Array) else values


def _rows(array: Array) -> list[tuple[float, ...]]:
    try:
        values = array.values(most=MAX_ENCODINGS * DIMENSIONS)
    except ValueError as e:
        raise BadFile(f"not a file of encodings: {e}") from e
    return [values[at : at + DIMENSIONS] for at in range(0, len(values), DIMENSIONS)]


def _bad(words: str) -> BadPerson:
    return BadPerson(words, code="bad_encoding")
