"""The results file: a row for each upload, as CSV or as lines of JSON, written as answers come."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from facefleet import csvline, keys
from facefleet.cli.loading.engine import Outcome
from facefleet.errors import BadFile, ServiceError, Unavailable
from facefleet.wire import GARBAGE

#: By its ending the file's form is known.
CSV, LINES = ".csv", ".jsonl"
ENDINGS = (CSV, LINES)
DONE, FAILED = "done", "failed"


@dataclass(frozen=True, slots=True)
class Row:
    """`file`: what was sent; `name`: what it was called there. `code`: why there is no answer.

    `attributes`: None where none were told, be it that the entrance tells none.
    """

    file: str
    name: str
    status: str
    answer: str = ""
    attributes: dict[str, Any] | None = None
    latency: float = 0.0
    code: str = ""
    job: str = ""


COLUMNS = tuple(one.name for one in fields(Row))


def row_of(outcome: Outcome) -> Row:
    # Cleaned, so that a row is a line whatever files are called.
    file, name, latency = keys.clean_filename(outcome.upload.file.name), outcome.upload.name, round(outcome.latency, 4)
    if outcome.answer is None:
        return Row(file, name, FAILED, latency=latency, code=outcome.failure.code if outcome.failure else "")
    answer, attributes = outcome.answer, outcome.answer.attributes
    told = None if attributes is None else dict(attributes)
    return Row(file, name, DONE, answer.answer, told, latency, job=answer.job_id)


@contextmanager
def writing(file: Path | None) -> Iterator[Callable[[Row], object]]:
    """What writes a row, at once, so that a run that is killed leaves what it did; without a file, nowhere.

    Raises `Unavailable` where the disk takes no more.
    """
    if file is None:
        yield lambda row: None
        return
    is_csv = file.suffix.lower() == CSV
    try:
        # Line by line.
        with file.open("w", buffering=1, encoding="utf-8", newline="") as opened:
            if is_csv:
                opened.write(csvline.line(COLUMNS) + "\r\n")
            yield lambda row: opened.write(_as_csv(row) if is_csv else _as_json(row))
    except ServiceError:
        # Some are an `OSError`, too, and of somebody else.
        raise
    except OSError as e:
        raise Unavailable(f"{file} cannot be written: {e.strerror}") from e


def read(file: Path) -> Iterator[Row]:
    """Raises `BadFile` for a line that `writing` would not have written."""
    load = _of_csv if file.suffix.lower() == CSV else _of_json
    for number, line in enumerate(_lines(file), 1):
        try:
            if line and not (number == 1 and load is _of_csv and csvline.values_of(line) == [*COLUMNS]):
                yield load(line)
        except GARBAGE as e:
            raise BadFile(f"{file}, line {number}: no line that `facefleet load --out` wrote ({e})") from e


def _lines(file: Path) -> Iterator[str]:
    try:
        # Line ends as they stand: a `\r` within a line is none.
        with file.open(encoding="utf-8-sig", newline="\n") as opened:
            for text in opened:
                yield text.rstrip("\r\n")
    except OSError as e:
        raise BadFile(f"{file} cannot be read: {e.strerror}") from e
    except UnicodeDecodeError as e:
        raise BadFile(f"{file} is not UTF-8: take the file as `facefleet load --out` wrote it, or save it so") from e


def _as_csv(row: Row) -> str:
    attributes = "" if row.attributes is None else json.dumps(row.attributes, ensure_ascii=False)
    values = asdict(row) | {"attributes": attributes}
    return csvline.line(str(value) for value in values.values()) + "\r\n"


def _as_json(row: Row) -> str:
    return json.dumps(asdict(row), ensure_ascii=False) + "\n"


def _of_csv(line: str) -> Row:
    if len(cells := csvline.values_of(line)) != len(COLUMNS):
        raise ValueError(f"{len(cells)} values, {len(COLUMNS)} expected")
    values = dict(zip(COLUMNS, cells, strict=True))
    attributes, latency = json.loads(values.pop("attributes") or "null"), float(values.pop("latency"))
    return _checked(Row(**values, attributes=attributes, latency=latency))


def _of_json(line: str) -> Row:
    body = json.loads(line)
    # Columns of a later version may stand beside ours.
    return _checked(Row(**{name: value for name, value in body.items() if name in COLUMNS}))


def _checked(row: Row) -> Row:
    texts = (row.file, row.name, row.status, row.answer, row.code)
    if not isinstance(row.attributes, dict | None) or not all(isinstance(one, str) for one in texts):
        raise ValueError("text and a JSON object expected")
    return row
