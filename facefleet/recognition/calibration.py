"""Error rates on somebody's own photos, and the threshold that suits them. Pure: people's encodings in, numbers out.

Words as in ISO/IEC 19795-1, beside those of `trials`: of pairs of photos, FNMR, the false non-match rate, is the
share of one person's pairs that are not near enough; FMR, the false match rate, the share of two people's that are.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from facefleet.recognition import identification
from facefleet.recognition.choosing import (
    Course,
    Measured,
    Recommended,
    built_in,
    cross_validated,
    fitted,
    measured,
    outsiders,
    recommended,
)
from facefleet.recognition.identification import Floats
from facefleet.recognition.labelled import Labelled
from facefleet.recognition.rates import Rate, clustered, pooled, share_named, share_right
from facefleet.recognition.trials import Numbers, Trial, drawn, joined

#: Fewer known people cannot be dealt into two galleries worth the name.
LEAST_PEOPLE = 8
#: Thresholds of the tables, and of the curves.
BASES = tuple(round(0.4 + 0.025 * i, 3) for i in range(11))
PAIR_THRESHOLDS = tuple(round(0.35 + 0.05 * i, 2) for i in range(8))
CURVE = tuple(round(0.25 + 0.005 * i, 3) for i in range(121))
#: Photos of a person that are compared in pairs, drawn by chance: a few people with many would outweigh all others.
PAIRED_PHOTOS = 6

Trials = Sequence[tuple[Trial, float]]


@dataclass(frozen=True, slots=True)
class Row:
    """Identification at a base threshold: 1 - FNIR and FPIR."""

    threshold: float
    known_right: Rate | None
    strangers_named: Rate | None


@dataclass(frozen=True, slots=True)
class PairRow:
    """Verification at a threshold."""

    threshold: float
    fmr: Rate | None
    fnmr: Rate | None


@dataclass(frozen=True, slots=True)
class Group:
    """One group of people, at the thresholds chosen for everybody. `fmr`: of pairs within it, at the recommended."""

    name: str
    people: int
    known_right: Rate | None
    strangers_named: Rate | None
    fmr: Rate | None


@dataclass(frozen=True, slots=True)
class Calibration:
    """All that a calibration tells; `chosen` and `built_in` are two ways of setting the threshold, measured alike."""

    recommended: Recommended
    chosen: Measured
    built_in: Measured
    identification: tuple[Row, ...]
    verification: tuple[PairRow, ...]
    groups: tuple[Group, ...]
    #: (threshold, known right, strangers named) and (threshold, FMR, FNMR), for a picture.
    identification_curve: tuple[tuple[float, float, float], ...]
    verification_curve: tuple[tuple[float, float, float], ...]


def calibrated(
    known: Sequence[Labelled],
    strangers: Sequence[Labelled],
    stranger_rate: float,
    course: Course,
    groups: Mapping[str, str],
) -> Calibration:
    """Everything measured on these people, known people left out of the gallery counting as strangers, too.

    `groups` gives the group of each person's name; who has none is in none.
    """
    found = cross_validated(known, strangers, fitted(stranger_rate, course), course)
    plain = cross_validated(known, strangers, built_in(stranger_rate), course)
    suits = recommended(known, strangers, stranger_rate, course)
    people = [*known, *strangers]
    pairs = Pairs.of(people, np.random.default_rng(course.seed))
    return Calibration(
        suits,
        measured(found, left_out=True),
        measured(plain, left_out=True),
        tuple(_row(found, threshold) for threshold in BASES),
        tuple(pairs.row(threshold) for threshold in PAIR_THRESHOLDS),
        tuple(_groups(people, groups, found, pairs, suits.threshold)),
        tuple(_identification_curve(found)),
        tuple(pairs.curve()),
    )


@dataclass(frozen=True, eq=False, slots=True)
class Pairs:
    """Distances of all pairs of photos, and whose the two are; only one of (a, b) and (b, a)."""

    distances: Floats
    first: Numbers
    second: Numbers

    @classmethod
    def of(cls, people: Sequence[Labelled], rng: Generator) -> "Pairs":
        rows, owners = drawn(people, PAIRED_PHOTOS, rng)
        a, b = np.triu_indices(len(rows), 1)
        return cls(np.asarray(identification.distances(rows, rows)[a, b]), owners[a], owners[b])

    def within(self, people: Numbers) -> "Pairs":
        """The pairs of which both are these people's."""
        kept = np.isin(self.first, people) & np.isin(self.second, people)
        return Pairs(self.distances[kept], self.first[kept], self.second[kept])

    def row(self, threshold: float) -> PairRow:
        return PairRow(threshold, self.fmr(threshold), self.fnmr(threshold))

    def fmr(self, threshold: float) -> Rate | None:
        """The share of two people's pairs no farther apart than the threshold; None where there are none."""
        return self._rate(self.first != self.second, self.distances <= threshold)

    def fnmr(self, threshold: float) -> Rate | None:
        """The share of one person's pairs farther apart than the threshold; None where there are none."""
        return self._rate(self.first == self.second, self.distances > threshold)

    def curve(self) -> Iterator[tuple[float, float, float]]:
        same = self.first == self.second
        impostor, genuine = np.sort(self.distances[~same]), np.sort(self.distances[same])
        for threshold in CURVE:
            fmr = _share(int(np.searchsorted(impostor, threshold, side="right")), len(impostor))
            yield threshold, fmr, 1 - _share(int(np.searchsorted(genuine, threshold, side="right")), len(genuine))

    def _rate(self, tried: NDArray[np.bool_], happened: NDArray[np.bool_]) -> Rate | None:
        people, places = np.unique([self.first[tried], self.second[tried]], return_inverse=True)
        a, b = places.reshape(2, -1)
        if not len(a):
            return None
        tries = np.zeros((len(people), len(people)))
        np.add.at(tries, (a, b), 1)
        events = np.zeros_like(tries)
        np.add.at(events, (a, b), happened[tried])
        if (a == b).all():
            return clustered(events.diagonal(), tries.diagonal(), len(people))
        # Each pair of people is one independent try: their photos are alike, and so are the distances.
        return clustered(events, tries, int((tries > 0).sum()))


def _row(found: Trials, threshold: float) -> Row:
    return Row(
        threshold,
        share_right(pooled((trial.mated, threshold) for trial, _ in found)),
        share_named(pooled((outsiders(trial), threshold) for trial, _ in found)),
    )


def _identification_curve(found: Trials) -> Iterator[tuple[float, float, float]]:
    mated = joined([trial.mated for trial, _ in found])
    right = np.sort(np.where(mated.named == mated.person, mated.named_from, np.inf))
    named = np.sort(joined([outsiders(trial) for trial, _ in found]).named_from)
    for threshold in CURVE:
        yield (
            threshold,
            _share(int(np.searchsorted(right, threshold, side="right")), len(right)),
            _share(int(np.searchsorted(named, threshold, side="right")), len(named)),
        )


def _groups(
    people: Sequence[Labelled], groups: Mapping[str, str], found: Trials, pairs: Pairs, threshold: float
) -> Iterator[Group]:
    for name in sorted({groups[person.name] for person in people if person.name in groups}):
        members = np.array([i for i, person in enumerate(people) if groups.get(person.name) == name], dtype=np.intp)
        yield Group(
            name,
            len(members),
            share_right(pooled((trial.mated.of(members), chosen) for trial, chosen in found)),
            share_named(pooled((outsiders(trial).of(members), chosen) for trial, chosen in found)),
            pairs.within(members).fmr(threshold),
        )


def _share(count: int, of: int) -> float:
    return count / of if of else 0.0
