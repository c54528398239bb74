"""Files that people made: text as any editor saves it, and tables as any spreadsheet does."""

import codecs
import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from facefleet.csvline import unmarked
from facefleet.errors import BadFile

#: A million lines; whoever gives more has taken the wrong file.
MAX_BYTES = 64_000_000
#: Excel saves as the latter where it is asked for "Unicode text".
MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
#: Where a comma separates decimals, spreadsheets save with semicolons.
SEPARATORS = re.compile(r"[,;\t]")
QUOTED = re.compile(r'"[^"]*"')


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a table, its values by column. `line` counts as editors do: from 1, the header included."""

    line: int
    values: dict[str, str]


def data_of(path: Path) -> bytes:
    """The file's bytes, `MAX_BYTES` at most; raises `BadFile`."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as e:
        raise BadFile(f"{path} cannot be read: {e.strerror}") from e
    if len(data) > MAX_BYTES:
        raise BadFile(f"{path} has more than {MAX_BYTES / 1e6:g} MB: split it")
    return data


def text_of(data: bytes) -> str:
    """Text, with or without a byte order mark; raises `BadFile` with the line that is not UTF-8."""
    encoding = next((name for mark, name in MARKS.items() if data.startswith(mark)), "utf-8")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as e:
        line = data.count(b"\n", 0, e.start) + 1
        raise BadFile(f"line {line}: byte {data[e.start]:#04x} is not UTF-8: save the file as UTF-8") from e


def rows_of(text: str) -> Iterator[Row]:
    """The lines of CSV behind the header, empty ones left out; raises `BadFile` with the line where one will not do."""
    reader = csv.reader(StringIO(text, newline=""), delimiter=_separator(text), strict=True)
    header: list[str] | None = None
    begins = 1
    try:
        for cells in reader:
            # A quoted cell may span lines: a row is where it begins.
            line, begins = begins, reader.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if header is None:
                header = _header(cells, line)
            else:
                yield Row(line, _values(header, cells, line))
    except csv.Error as e:
        raise BadFile(f"line {begins}: not CSV: {e}") from e


def _separator(text: str) -> str:
    """The first in the header that stands in no quotes."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    found = SEPARATORS.search(QUOTED.sub("", first))
    return found[0] if found else ","


def _header(cells: list[str], line: int) -> list[str]:
    names = [unmarked(cell.strip()) for cell in cells]
    for i, name in enumerate(names):
        if not name:
            raise BadFile(f"line {line}: column {i + 1} has no name: the first line names each column")
        if name in names[:i]:
            raise BadFile(f"line {line}: there are two columns {name!r}: rename one")
    return names


def _values(header: list[str], cells: list[str], line: int) -> dict[str, str]:
    if len(cells) != len(header):
        raise BadFile(
            f"line {line}: {len(cells)} values, and the first line names {len(header)} columns: "
            "quote a value that has a separator in it"
        )
    return dict(zip(header, map(unmarked, cells), strict=True))
