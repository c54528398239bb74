"""Who was seen when, out of many frames; and how long answers took."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from math import ceil
from pathlib import Path
from statistics import median

from pi_uploader.answers import in_cell

#: Who is out of sight for longer was away, and comes anew.
GAP = 5.0
COLUMNS = ("person", "first", "last", "seconds", "frames")


@dataclass(frozen=True, slots=True)
class Sighting:
    """Somebody was seen from `first` to `last`, on so many frames; never out of sight for longer than a gap."""

    person: str
    first: float
    last: float
    frames: int = 1


def sightings(frames: Iterable[tuple[float, Sequence[str]]], *, gap: float = GAP) -> list[Sighting]:
    """Out of when each frame was taken and who was on it, in any order; by when they began, then by name.

    All who are unknown are one: `unknown`.
    """
    ended: list[Sighting] = []
    seen: dict[str, Sighting] = {}
    for taken_at, people in sorted(frames, key=lambda frame: frame[0]):
        for person in set(people):
            before = seen.get(person)
            if before is not None and taken_at - before.last <= gap:
                seen[person] = replace(before, last=taken_at, frames=before.frames + 1)
                continue
            seen[person] = Sighting(person, taken_at, taken_at)
            if before is not None:
                ended.append(before)
    return sorted([*ended, *seen.values()], key=lambda sighting: (sighting.first, sighting.person))


def write_csv(path: Path, found: Iterable[Sighting]) -> None:
    """Times are of this place, and say how far that is from UTC. Raises `OSError`."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for sighting in found:
            seconds = round(sighting.last - sighting.first, 3)
            first, last = _local(sighting.first), _local(sighting.last)
            writer.writerow((in_cell(sighting.person), first, last, seconds, sighting.frames))


def p50_p95(values: Sequence[float]) -> tuple[float, float] | None:
    """Median, and what 95 % do not exceed; None of nothing."""
    if not values:
        return None
    return median(values), sorted(values)[ceil(0.95 * len(values)) - 1]


def _local(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).astimezone().isoformat(timespec="milliseconds")
