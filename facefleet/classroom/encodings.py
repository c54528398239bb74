"""Encodings out of a file of the course, each with its person's name."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from facefleet.classroom import picklefile
from facefleet.classroom.picklednumpy import Array
from facefleet.classroom.textfile import data_of, text_of
from facefleet.encodings import DIMENSIONS, packed
from facefleet.errors import BadFile, BadPerson
from facefleet.people import id_of, newcomer

#: Of one file. The course's has eleven.
MAX_ENCODINGS = 100_000
#: How a pickle begins, in each of its protocols; the last one calls a function, and is refused with words about that.
PICKLES = (b"\x80", b"(", b"}", b"]", b"c")


@dataclass(frozen=True, slots=True)
class Named:
    """Somebody's encodings in a file, each as 128 little-endian float32."""

    id: str
    name: str
    encodings: tuple[bytes, ...] = field(repr=False)


def read(path: Path) -> tuple[Named, ...]:
    """Everybody in a file of encodings, in its order; raises `BadFile`. Nothing in it is run.

    The course's pickle, `{"name": [...], "encoding": [128 floats, ...]}`, or JSON of the same, or with `names` and
    `encodings`. Names are made words, as a folder's of photos; those alike are one person.
    """
    data = data_of(path)
    body = _json(data) if data.lstrip()[:1] in (b"{", b"[", b"\xef") else _pickle(data)
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


def _pickle(data: bytes) -> object:
    if not data.startswith(PICKLES):
        raise BadFile('neither a pickle nor JSON: {"name": [...], "encoding": [[128 numbers], ...]} is expected')
    return picklefile.load(data)


def _pairs(body: object) -> Iterator[tuple[str, bytes]]:
    names, encodings = _columns(body)
    if len(names) != len(encodings):
        raise BadFile(f"{len(names)} names and {len(encodings)} encodings: as many are expected")
    if len(names) > MAX_ENCODINGS:
        raise BadFile(f"{len(names)} encodings, at most {MAX_ENCODINGS} are taken at once: split the file")
    for number, (name, values) in enumerate(zip(names, encodings, strict=True), 1):
        _check_name(name, number)
        try:
            yield name, packed(_numbers(values))
        except ValueError as e:
            raise BadFile(f"encoding {number}, of {name[:80]}: {e}") from e


def _check_name(name: object, number: int) -> None:
    """Raises `BadFile` for what nobody can be called: now, and not when half of the file is done."""
    try:
        newcomer(id_of(name) if isinstance(name, str) else name, {"name": name})
    except BadPerson as e:
        raise BadFile(f"encoding {number}: its name is no name of a person: {e}") from e


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
