"""A line of CSV (RFC 4180) that no spreadsheet takes for a formula, and its values again."""

import csv
from collections.abc import Iterable
from io import StringIO

#: What makes a spreadsheet run a cell as a formula, or hides from us that one begins; also as full-width signs:
#: https://owasp.org/www-community/attacks/CSV_Injection
SIGNS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
#: Before such a cell: spreadsheets take what follows for text.
MARK = "'"


def line(values: Iterable[str]) -> str:
    """`mr_bean,lawyer,freshmen`, without a line end; a value that has one keeps it, quoted."""
    # With both line ends named here, values that have one of them are quoted.
    csv.writer(text := StringIO(newline=""), lineterminator="\r\n").writerow([_marked(value) for value in values])
    return text.getvalue().removesuffix("\r\n")


def values_of(line: str) -> list[str]:
    """What `line` made this of; raises `ValueError` where it is not one row of CSV."""
    try:
        rows = list(csv.reader(StringIO(line, newline=""), strict=True))
    except csv.Error as e:
        raise ValueError(f"not a row of CSV: {e}") from e
    if len(rows) > 1:
        raise ValueError(f"{len(rows)} rows of CSV, 1 expected")
    return [unmarked(value) for row in rows for value in row]


def unmarked(value: str) -> str:
    """The value, without the mark that `line` may have put before it."""
    return value[len(MARK) :] if value.startswith(MARK) and _is_risky(value) else value


def _marked(value: str) -> str:
    return MARK + value if _is_risky(value) else value


def _is_risky(value: str) -> bool:
    """Whether a formula begins it, perhaps behind marks: each of these gets one more, so that one can be taken off."""
    return value.lstrip(MARK).startswith(SIGNS)
