"""A roster: who is in the classroom, and what they study. Read from a file, held against who is enrolled, written."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from facefleet.classroom.textfile import Row, data_of, rows_of, text_of
from facefleet.csvline import line as csv_line
from facefleet.errors import BadFile, BadPerson
from facefleet.model import Person
from facefleet.people import id_of, newcomer

Json = dict[str, Any]

#: The column that holds a person's id whatever it looks like: `roster export` writes it.
PERSON = "person"
#: What the course's roster calls a row's number, and others their ids.
ID = "id"
NAME = "name"


@dataclass(frozen=True, slots=True)
class Student:
    """A line of the roster: a person's id, their name, None where none is told, and attributes, None for one to go."""

    line: int
    id: str
    name: str | None
    attributes: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Roster:
    """Everybody in a file.

    `is_text`: it is CSV, where 20 and "20" are the same, and an empty cell says nothing. `has_ids`: ids stand there,
    and names are to be shown; else people are told apart by their names, and what somebody enrolled is called stays.
    """

    students: tuple[Student, ...]
    is_text: bool = False
    has_ids: bool = False


def read(path: Path, *, keep_id: bool = False) -> Roster:
    """The roster in a file of JSON, as `[{"id": 1, "name": "mr_bean", "major": "lawyer"}]`, or CSV with a header.

    Whose id it is says the column `person`; else `id` where that holds words; else `name`, made a word. Numbers in `id`
    are the rows', and left out unless `keep_id`. All other columns are attributes. Raises `BadFile` with the line of
    what will not do: a roster is fine as a whole, or not at all.
    """
    text = text_of(data_of(path))
    is_text = text.lstrip()[:1] not in ("[", "{")
    rows = list(_rows_of_csv(text) if is_text else _rows_of_json(text))
    if not rows:
        raise BadFile(f"{path} names nobody: a JSON list, or CSV with the columns name,major,year, is expected")
    key = _key(rows)
    students = tuple(_student(line, values, key, keep_id=keep_id) for line, values in rows)
    _check_once(students)
    return Roster(students, is_text, has_ids=key != NAME)


def as_json(people: Iterable[Person]) -> str:
    """A roster that `read` reads as these people's attributes."""
    rows = [
        {PERSON: person.id, NAME: person.name} | {k: v for k, v in person.attributes.items() if may_hold(k)}
        for person in people
    ]
    return json.dumps(rows, indent=2, ensure_ascii=False) + "\n"


def as_csv(people: Sequence[Person]) -> str:
    """The same as CSV, a column for each attribute that anybody has."""
    names = dict.fromkeys(k for person in people for k in person.attributes if may_hold(k, is_text=True))
    rows = [[person.id, person.name, *(as_text(person.attributes.get(k)) for k in names)] for person in people]
    return "".join(f"{csv_line(row)}\n" for row in [[PERSON, NAME, *names], *rows])


def may_hold(attribute: str, *, is_text: bool = False) -> bool:
    """Whether a roster can tell an attribute of that name: it has other columns of these names, and trims CSV's."""
    return attribute not in (PERSON, NAME) and not (is_text and (not attribute or attribute != attribute.strip()))


def as_text(value: object) -> str:
    """An attribute as a cell of CSV."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


Line = tuple[int, Json]


def _rows_of_csv(text: str) -> Iterator[Line]:
    def told(row: Row) -> Json:
        return {column: value.strip() for column, value in row.values.items() if value.strip()}

    return ((row.line, told(row)) for row in rows_of(text))


def _rows_of_json(text: str) -> Iterator[Line]:
    """Each object with the line it begins in; the list's brackets and commas are read here."""
    decoder = json.JSONDecoder(object_pairs_hook=_once)
    at, line, last = _skip(text, 0), 1, 0
    if text[at : at + 1] != "[":
        raise BadFile("the roster is no list: [{…}, {…}] is expected")
    at = _skip(text, at + 1)
    while text[at : at + 1] != "]":
        line, last = line + text.count("\n", last, at), at
        try:
            value, at = decoder.raw_decode(text, at)
        except json.JSONDecodeError as e:
            raise BadFile(f"line {e.lineno}: not JSON: {e.msg}") from e
        except (ValueError, RecursionError) as e:
            raise BadFile(f"line {line}: not to be read: {e}") from e
        if not isinstance(value, dict):
            raise BadFile(f'line {line}: an object is expected, as {{"name": "mr_bean", "major": "lawyer"}}')
        yield line, value
        at = _skip_comma(text, at)
    if rest := text[_skip(text, at + 1) :]:
        raise BadFile(f"line {text.count(chr(10), 0, len(text) - len(rest)) + 1}: something stands behind the list")


def _once(pairs: list[tuple[str, object]]) -> Json:
    if len(found := dict(pairs)) < len(pairs):
        raise ValueError("a name stands there twice in one object: delete one")
    return found


def _skip(text: str, at: int) -> int:
    while text[at : at + 1] in (" ", "\t", "\r", "\n"):
        at += 1
    return at


def _skip_comma(text: str, at: int) -> int:
    """To the next object, or the list's end."""
    at = _skip(text, at)
    if text[at : at + 1] == "]":
        return at
    behind = _skip(text, at + 1)
    if text[at : at + 1] != "," or text[behind : behind + 1] == "]":
        raise BadFile(f"line {text.count(chr(10), 0, at) + 1}: a comma and another object, or the list's end, expected")
    return behind


def _key(rows: Sequence[Line]) -> str:
    """The column that tells whose line it is; one for all, lest two ways to count people mix."""
    if any(PERSON in values for _, values in rows):
        return PERSON
    ids = [values[ID] for _, values in rows if ID in values]
    return ID if any(isinstance(id, str) and not id.isdecimal() for id in ids) else NAME


def _student(line: int, values: Json, key: str, *, keep_id: bool) -> Student:
    who, name = values.get(key), values.get(NAME)
    if who is None or who == "":
        raise BadFile(f"line {line}: there is no {key}")
    person_id = id_of(who) if key == NAME and isinstance(who, str) else who
    columns = {key, NAME} | ({ID} if key == NAME and not keep_id else set())
    attributes = {column: value for column, value in values.items() if column not in columns}
    try:
        person = newcomer(person_id, {NAME: who if name is None else name, "attributes": attributes})
    except BadPerson as e:
        raise BadFile(f"line {line}: {_short(who)}: {e}") from e
    return Student(line, person.id, name, attributes)


def _short(who: object) -> str:
    return repr(who)[:80]


def _check_once(students: Sequence[Student]) -> None:
    first: dict[str, Student] = {}
    for student in students:
        if (before := first.setdefault(student.id, student)) is not student:
            raise BadFile(f"line {student.line}: {student.id} stands in line {before.line} already: delete one")
