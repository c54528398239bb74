"""Who is on which file: the truth that answers are held against, as course and graders write it."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from unicodedata import normalize

from facefleet.classroom.textfile import data_of, rows_of, text_of
from facefleet.errors import BadFile

#: What columns of a table are called, in small letters: the course's answer tables have `Image,Results`.
FILE_COLUMNS = ("file", "filename", "image", "video")
NAME_COLUMNS = ("name", "person", "result", "results", "answer")
#: What people put between the words of a value: `computer_science`, `computer science`.
BETWEEN = re.compile(r"[\s_-]+")
#: `freshmen`: the course's roster and its mapping do not agree on the number.
PLURAL = re.compile(r"men\b")


@dataclass(frozen=True, slots=True)
class Expected:
    """What is to be answered to a file. `name` is None where the truth tells attributes only."""

    file: str
    name: str | None
    attributes: tuple[str, ...]


class Same(StrEnum):
    """Spelling: the same to any reader, and not to the letter."""

    YES = "yes"
    SPELLING = "spelling"
    NO = "no"


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    expected: Expected


def read(path: Path) -> tuple[Expected, ...]:
    """The file's lines in order; raises `BadFile`, with the line that will not do.

    `test_5.mp4:computer_science,sophomore`, or `test_00.jpg:Paul` where one word stands alone; or CSV with a header, as
    `file,name,major,year`, whose other columns are attributes in their order. No file stands there twice.
    """
    text = text_of(data_of(path))
    lines = list(_of_table(text) if _is_table(text) else _of_lines(text))
    if not lines:
        raise BadFile(f"{path} is empty: lines such as test_5.mp4:history,senior or CSV with file,name,… are expected")
    _check_once(lines)
    return tuple(line.expected for line in lines)


def same(given: Sequence[str], expected: Expected) -> Same:
    """Whether an answer's values, the name first, are those expected; what the truth does not tell is not looked at.

    A difference in capitals, in what stands between words, or between -man and -men is one of spelling. A letter more,
    less or other is none: `test_1` and `test_2`, Emily and Emil, 1st and 2nd are as near to each other as any slip.
    """
    name, *attributes = given or ("",)
    if len(attributes) < len(expected.attributes):
        return Same.NO
    pairs = list(zip(attributes, expected.attributes, strict=False))
    found = {_same_word(one, other, is_name=False) for one, other in pairs}
    if expected.name is not None:
        found.add(_same_word(name, expected.name, is_name=True))
    return next((level for level in (Same.NO, Same.SPELLING) if level in found), Same.YES)


def _same_word(given: str, expected: str, *, is_name: bool) -> Same:
    if given == expected:
        return Same.YES
    # Nobody's name has a plural: Chapman and Chapmen are two people.
    read = _bare if is_name else _singular
    return Same.SPELLING if read(given) == read(expected) else Same.NO


def _bare(text: str) -> str:
    return BETWEEN.sub("", normalize("NFKC", text).casefold())


def _singular(text: str) -> str:
    words = BETWEEN.sub(" ", normalize("NFKC", text).casefold())
    return PLURAL.sub("man", words).replace(" ", "")


def _is_table(text: str) -> bool:
    """By its first line: in the other form a file's name, which has no comma, and a colon stand first."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    return ":" not in first and re.split(r"[,;\t]", first)[0].strip().strip('"').lower() in FILE_COLUMNS


def _of_lines(text: str) -> Iterator[_Line]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        file, colon, rest = line.partition(":")
        values = tuple(value.strip() for value in rest.split(","))
        if not colon or not file.strip() or not all(values):
            raise BadFile(f"line {number}: {line.strip()[:80]!r} is not FILE:attribute,attribute or FILE:name")
        alone = len(values) == 1
        yield _Line(number, Expected(file.strip(), values[0] if alone else None, () if alone else values))


def _of_table(text: str) -> Iterator[_Line]:
    for row in rows_of(text):
        values = {column.lower(): value.strip() for column, value in row.values.items()}
        file = next((values.pop(column) for column in FILE_COLUMNS if column in values), "")
        name = next((values.pop(column) for column in NAME_COLUMNS if column in values), None)
        if not file:
            raise BadFile(f"line {row.line}: no file is named")
        if name is None and not values:
            raise BadFile(f"line {row.line}: nothing is said of {file}: add a column name, or attributes")
        yield _Line(row.line, Expected(file, name or None, tuple(values.values())))


def _check_once(lines: Sequence[_Line]) -> None:
    first: dict[str, int] = {}
    for line in lines:
        if (before := first.setdefault(line.expected.file, line.number)) != line.number:
            raise BadFile(f"line {line.number}: {line.expected.file} stands in line {before} already: delete one")
