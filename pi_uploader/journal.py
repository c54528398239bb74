"""The answers, one line each in `answers.csv`: written before an answer is shown and its capture is deleted.

So a process that is killed in between finds that the capture is answered, and neither sends nor tells it again.
Names and times are personal: lines go after `keep_days`; whoever deletes the file forgets them all.
"""

import csv
import io
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from itertools import chain, islice
from pathlib import Path
from typing import IO

from pi_uploader.answers import Answer, in_cell
from pi_uploader.disk import MAKING, sync_folder
from pi_uploader.spool import Item

COLUMNS = ("taken_at", "label", "key", "outcome", "people", "words", "round_trip_ms", "id", "answered_at")
ANSWERED_AT, KEY = COLUMNS.index("answered_at"), COLUMNS.index("key")
#: Some 5 MB; the file holds twice as many before the oldest go.
MAX_LINES = 25_000
#: Characters of a text in it. Real ones have some hundred; a reader of CSV takes 131,072.
MAX_TEXT = 2000
DAY = 86_400.0
#: Old lines go so many seconds late at most.
TIDY_EVERY = 3600.0


class Journal:
    """For one process; every verb may be called from any thread."""

    def __init__(self, path: Path, *, keep_days: float) -> None:
        """Raises `OSError` where the file cannot be written."""
        self._path = path
        self._keep = keep_days * DAY
        self._writing = threading.Lock()
        self._tidied_at = 0.0
        self._lines = _mended(path)

    def record(self, item: Item, answer: Answer, now: float) -> None:
        """Returns once the line is safe. Raises `OSError`."""
        line = _as_csv([_line(item, answer, now)])
        with self._writing:
            size = self._path.stat().st_size if self._path.exists() else 0
            try:
                _append(self._path, [line if size else _as_csv([COLUMNS]) + line])
            except OSError:
                # A disk that is full takes a part of a line.
                with suppress(OSError):
                    os.truncate(self._path, size)
                raise
            self._lines += 1

    def answered(self, keys: set[str]) -> set[str]:
        """Which of these captures have their answer."""
        with self._writing:
            return {line[KEY] for line in self._read() if line[KEY] in keys}

    def tidy(self, now: float) -> None:
        """Now and again throws away what is too old or too much. Raises `OSError`."""
        with self._writing:
            if abs(now - self._tidied_at) < TIDY_EVERY and self._lines < 2 * MAX_LINES:
                return
            self._tidied_at = now
            # Never all at once in memory: as lists they take ten times what they take on the disk.
            too_old = [_is_older(line, now - self._keep) for line in self._read()]
            too_many = max(0, too_old.count(False) - MAX_LINES)
            self._lines = too_old.count(False) - too_many
            if self._lines < len(too_old):
                fresh = (line for line in self._read() if not _is_older(line, now - self._keep))
                self._rewrite(islice(fresh, too_many, None))

    def _rewrite(self, lines: Iterable[list[str]]) -> None:
        making = self._path.with_name(f"{MAKING}{self._path.name}")
        making.unlink(missing_ok=True)
        _append(making, (_as_csv([line]) for line in chain([COLUMNS], lines)))
        making.replace(self._path)
        sync_folder(self._path.parent)

    def _read(self) -> Iterator[list[str]]:
        """What is no line of ours is passed by."""
        with suppress(FileNotFoundError), self._path.open(newline="", encoding="utf-8", errors="replace") as file:
            # Each by itself, so that a quote in a damaged one does not swallow those after it.
            lines = (_parsed(line) for line in file)
            yield from (line for line in lines if len(line) == len(COLUMNS) and line[KEY] != COLUMNS[KEY])


def _line(item: Item, answer: Answer, now: float) -> tuple[object, ...]:
    people, milliseconds = "; ".join(answer.people), round(1000 * answer.round_trip)
    label, people, words, job_id = map(_in_a_line, (item.label, people, answer.words, answer.job_id))
    return _utc(item.taken_at), label, item.key, answer.outcome, people, words, milliseconds, job_id, _utc(now)


def _utc(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")


def _in_a_line(text: str) -> str:
    """A line is a line: words may hold anything."""
    return in_cell(" ".join(text[:MAX_TEXT].split()))


def _parsed(line: str) -> list[str]:
    try:
        return next(csv.reader([line]), [])
    except csv.Error:
        return []


def _as_csv(lines: Iterable[Iterable[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(lines)
    # Half of a character is valid in JSON, and nowhere else.
    return text.getvalue().encode(errors="replace")


def _append(path: Path, lines: Iterable[bytes]) -> None:
    is_new = not path.exists()
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab") as file:
        file.writelines(lines)
        file.flush()
        os.fsync(file.fileno())
    if is_new:
        sync_folder(path.parent)


def _mended(path: Path) -> int:
    """How many lines there are, once a last one that a pulled plug left unfinished is gone."""
    try:
        with path.open("rb+") as file:
            lines, whole = _whole_lines(file)
            file.truncate(whole)
            return lines
    except FileNotFoundError:
        return 0


def _whole_lines(file: IO[bytes]) -> tuple[int, int]:
    """How many, and of how many bytes."""
    lines = whole = 0
    for line in file:
        if line.endswith(b"\n"):
            lines, whole = lines + 1, whole + len(line)
    return lines, whole


def _is_older(line: list[str], oldest: float) -> bool:
    try:
        return datetime.fromisoformat(line[ANSWERED_AT]).timestamp() < oldest
    except (ValueError, OverflowError):
        return True
