"""Two sides on the same photos, in turns, and what comes of it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from bench.sides import Side
from facefleet.model import Box

#: Two boxes that share more than this of their area (IoU) are of one face.
SAME_FACE = 0.4


@dataclass(frozen=True)
class Turn:
    """CPU seconds of one photo: ours, theirs, and theirs where it looks for the faces a second time."""

    ours: float
    theirs: float
    twice: float


@dataclass(frozen=True)
class Compared:
    """One photo: its turns, the faces that each side found, and how far encodings at the same boxes are apart."""

    turns: tuple[Turn, ...]
    ours: tuple[Box, ...]
    theirs: tuple[Box, ...]
    errors: tuple[float, ...]

    @property
    def missed(self) -> int:
        """Faces of theirs that ours lacks."""
        return sum(all(shared(box, own) <= SAME_FACE for own in self.ours) for box in self.theirs)

    @property
    def cpu(self) -> Turn:
        """The median of each."""
        return Turn(*(median(seconds) for seconds in zip(*map(astuple, self.turns), strict=True)))

    @property
    def speedup(self) -> float:
        return median(turn.theirs / turn.ours for turn in self.turns)

    @property
    def speedup_twice(self) -> float:
        return median(turn.twice / turn.ours for turn in self.turns)


@dataclass(frozen=True)
class Measured:
    """A set of photos. `speedup`: the median of all photos; `speedup_least`: of the photo that gained least.

    `ms_…`: the median photo's. `same_boxes`: faces whose encodings at the same box were compared.
    """

    photos: int
    speedup: float
    speedup_least: float
    speedup_total: float
    speedup_twice: float
    ms_ours: float
    ms_theirs: float
    ms_theirs_twice: float
    faces_ours: int
    faces_theirs: int
    faces_missed: int
    same_boxes: int
    encoding_error_max: float | None


def compare(
    photos: Sequence[Path], ours: Side, theirs: Side, rounds: int, advance: Callable[[], None]
) -> list[Compared]:
    """Every photo, `rounds` times, the sides in turns, each with all photos: a worker goes from image to image.

    A first time of each side goes uncounted.
    """
    ours.ask(photos[0])
    theirs.ask(photos[0])
    answers: list[list[tuple[dict[str, Any], dict[str, Any]]]] = [[] for _ in photos]
    for _ in range(rounds):
        own = [ours.ask(photo) for photo in photos]
        for photo, one, answered in zip(photos, own, answers, strict=True):
            answered.append((one, theirs.ask(photo)))
            advance()
    return [_compared(photo, answered, theirs) for photo, answered in zip(photos, answers, strict=True)]


def summary(compared: Sequence[Compared]) -> Measured:
    errors = [error for one in compared for error in one.errors]
    ratios = [one.speedup for one in compared]
    seconds = [one.cpu for one in compared]
    return Measured(
        photos=len(compared),
        speedup=round(median(ratios), 1),
        speedup_least=round(min(ratios), 1),
        speedup_total=round(sum(one.theirs for one in seconds) / sum(one.ours for one in seconds), 1),
        speedup_twice=round(median(one.speedup_twice for one in compared), 1),
        ms_ours=_ms(one.ours for one in seconds),
        ms_theirs=_ms(one.theirs for one in seconds),
        ms_theirs_twice=_ms(one.twice for one in seconds),
        faces_ours=sum(len(one.ours) for one in compared),
        faces_theirs=sum(len(one.theirs) for one in compared),
        faces_missed=sum(one.missed for one in compared),
        same_boxes=len(errors),
        encoding_error_max=float(f"{max(errors):.2g}") if errors else None,
    )


def shared(a: Box, b: Box) -> float:
    """IoU."""
    both = Box(max(a.x_min, b.x_min), max(a.y_min, b.y_min), min(a.x_max, b.x_max), min(a.y_max, b.y_max))
    # Where they lie apart along both axes, two negative sides would make an area.
    area = both.area if both.x_max > both.x_min else 0
    return area / (a.area + b.area - area)


def _compared(photo: Path, answered: list[tuple[dict[str, Any], dict[str, Any]]], theirs: Side) -> Compared:
    turns = tuple(Turn(one["cpu_s"], other["cpu_s"], other["twice_s"]) for one, other in answered)
    one, other = answered[0]
    return Compared(
        turns,
        tuple(Box(*face["box"]) for face in one["faces"]),
        tuple(Box(*box) for box in other["boxes"]),
        tuple(_errors(photo, one["faces"], other["size"], theirs)),
    )


def _errors(photo: Path, faces: list[dict[str, Any]], size: list[int], theirs: Side) -> list[float]:
    """The largest difference of any number, for each of our faces that lies inside.

    One at an edge is told cut off, so that nobody can ask for the same box.
    """
    width, height = size
    inside = [face for face in faces if _is_inside(Box(*face["box"]), width, height)]
    if not inside:
        return []
    own = np.array([np.frombuffer(bytes.fromhex(face["encoding"]), "<f4") for face in inside])
    other = np.array(theirs.ask(photo, boxes=[face["box"] for face in inside])["encodings"])
    return [float(error) for error in np.abs(own - other).max(axis=1)]


def _ms(seconds: Iterable[float]) -> float:
    return round(1000 * median(seconds), 1)


def _is_inside(box: Box, width: int, height: int) -> bool:
    return box.x_min > 0 and box.y_min > 0 and box.x_max < width and box.y_max < height
