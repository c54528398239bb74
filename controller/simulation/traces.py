"""What was seen somewhere: how many jobs came when, read from a file."""

import csv
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facefleet.errors import ServiceError

Floats = NDArray[np.float64]
FORMATS = (
    "it wants CSV with the header timestamp,value or seconds,jobs (a count for each interval), CSV whose first column "
    "is TIMESTAMP (a line for each arrival), or seconds, one a line"
)


class BadTrace(ServiceError, ValueError):
    """A trace cannot be read, or has no jobs: correct the line that the message names."""

    code = "bad_trace"


@dataclass(frozen=True, eq=False)
class Trace:
    """Jobs by interval: its start and length in seconds, sorted and from 0 on; one without length is an arrival.

    Jobs may be fractions. Between two intervals may lie a gap, of which nothing is known: it has no jobs.
    """

    name: str
    starts: Floats
    lengths: Floats
    jobs: Floats

    @property
    def seconds(self) -> float:
        """From the first interval's start to the last one's end."""
        return float(self.starts[-1] + self.lengths[-1])


def read(path: Path) -> Trace:
    """The file's trace, named like the file; what it is shows by its first line. Raises `BadTrace`.

    Formats: that of Azure's LLM inference traces (Patel et al., *Splitwise*, ISCA 2024), a line for each arrival; that
    of the Numenta Anomaly Benchmark, counts with a date; counts by seconds; and bare seconds, an arrival a line.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            lines = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except (OSError, UnicodeDecodeError, csv.Error) as e:
        raise BadTrace(f"{path} cannot be read as text ({e}): {FORMATS}") from e
    if not lines:
        raise BadTrace(f"{path} is empty: {FORMATS}")
    return _parsed(path, lines)


def _parsed(path: Path, lines: list[tuple[int, list[str]]]) -> Trace:
    number, header = lines[0]
    names = [name.strip() for name in header]
    if names[0] == "TIMESTAMP":
        return _of_arrivals(path, (_cell(path, number, row, 0, _moment) for number, row in lines[1:]))
    if len(names) == 1:
        return _of_arrivals(path, (_cell(path, number, row, 0, _seconds) for number, row in lines))
    kinds = {("timestamp", "value"): _moment, ("seconds", "jobs"): _seconds}
    when = kinds.get((names[0], names[1]))
    if when is None:
        raise BadTrace(f"{path}, line {number}: {','.join(names)!r} is no header that is known: {FORMATS}")
    counts = [(_cell(path, number, row, 0, when), _cell(path, number, row, 1, _count)) for number, row in lines[1:]]
    return _of_counts(path, counts)


def _of_arrivals(path: Path, moments: Iterable[float]) -> Trace:
    starts = np.sort(np.fromiter(moments, float))
    if not starts.size:
        raise BadTrace(f"{path} has no arrivals: a line for each must follow the header")
    return Trace(path.stem, starts - starts[0], np.zeros(starts.size), np.ones(starts.size))


def _of_counts(path: Path, rows: list[tuple[float, float]]) -> Trace:
    """Those of one moment add up. An interval is as long as most are, or until the next begins."""
    if not rows:
        raise BadTrace(f"{path} has fewer than two counts, so nobody knows for how long one is")
    moments, counts = np.array(rows).T
    starts, which = np.unique(moments, return_inverse=True)
    jobs = np.bincount(which, counts).astype(float)
    if starts.size < 2:
        raise BadTrace(f"{path} has fewer than two counts of different moments, so nobody knows for how long one is")
    if not jobs.sum():
        raise BadTrace(f"{path} counts no job at all")
    gaps = np.diff(starts)
    usual = float(np.median(gaps))
    return Trace(path.stem, starts - starts[0], np.minimum(np.append(gaps, usual), usual), jobs)


def _cell(path: Path, number: int, row: list[str], column: int, parse: Callable[[str], float]) -> float:
    if len(row) <= column:
        raise BadTrace(f"{path}, line {number}: a second value is missing")
    text = row[column].strip()
    try:
        return parse(text)
    except ValueError as e:
        raise BadTrace(f"{path}, line {number}: {text!r} is {e}") from e


def _moment(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("no time like 2023-11-16 18:17:03") from None
    # Read as UTC, which has no hour that comes twice, or never.
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"no number: {FORMATS}") from None
    if not math.isfinite(value):
        raise ValueError("no finite number")
    return value


def _count(text: str) -> float:
    value = _seconds(text)
    if value < 0:
        raise ValueError("fewer than none")
    return value
