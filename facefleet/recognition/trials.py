"""Searches of people who are known, and of people who are not, in galleries of which it is known who is in them.

Words as in ISO/IEC 19795-1: a search of somebody enrolled is *mated*. FNIR, the false negative identification rate,
is the share of those not answered by the right name; we tell 1 - FNIR as `known_right`. FPIR, the false positive
identification rate, is the share of the other searches that are answered by any name: our `strangers_named`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from facefleet.recognition import identification
from facefleet.recognition.identification import Encodings, Floats
from facefleet.recognition.labelled import Labelled

Numbers = NDArray[np.intp]
#: Photos compared in pairs: twice as many are four times the memory, and 4 million pairs are enough to know rates by.
MOST_PAIRED = 3000
#: From a gallery (each person's enrolled encodings) and probes to distances, shape (probes, people).
Distances = Callable[[Sequence[Encodings], Encodings], Floats]


@dataclass(frozen=True, slots=True)
class Rule:
    """How near a probe is to a person, and whether a second person who is as near takes from the threshold."""

    distances: Distances
    margin: bool


@dataclass(frozen=True, eq=False, slots=True)
class Searches:
    """Many searches, one in each place of every array; people are numbers, the same in all trials.

    `named_from` is the base threshold from which on the probe is given the name of `named`: infinite where it is
    given none at any threshold. `person` is whose photo it is, and `photo` tells the photos apart.
    """

    named_from: Floats
    named: Numbers
    person: Numbers
    photo: Numbers

    def of(self, people: Numbers) -> "Searches":
        """The searches for photos of these people."""
        kept = np.isin(self.person, people)
        return Searches(self.named_from[kept], self.named[kept], self.person[kept], self.photo[kept])


@dataclass(frozen=True, eq=False, slots=True)
class Part:
    """Some of the people: known ones, strangers, and the numbers of both, the known first."""

    known: list[Labelled]
    strangers: list[Labelled]
    numbers: Numbers

    @property
    def people(self) -> list[Labelled]:
        return self.known + self.strangers


@dataclass(frozen=True, eq=False, slots=True)
class Trial:
    """One gallery, and what was found in it.

    `mated`: photos of the enrolled, others than those enrolled. `left_out`: the same photos where their person is
    taken out of the gallery, and so strangers to it. `strangers`: photos of people who were never in.
    """

    people: int
    mated: Searches
    left_out: Searches
    strangers: Searches


def own_rule(gallery: Sequence[Encodings], probes: Encodings) -> Floats:
    """As facefleet does it: the distance to the nearest of a person's centres."""
    rows = [identification.centres(encodings) for encodings in gallery]
    return least(identification.distances(identification.scaled(probes), np.concatenate(rows)), rows)


OWN = Rule(own_rule, margin=True)


def trial(part: Part, rule: Rule, enrol: int, rng: Generator) -> Trial:
    """Enrols `enrol` photos of each known person, drawn by chance, and searches for all others.

    A known person's photo without a face is a search that finds nobody.
    """
    orders = [rng.permutation(len(person.encodings)) for person in part.known]
    gallery = [person.encodings[order[:enrol]] for person, order in zip(part.known, orders, strict=True)]
    asked = [order[enrol:] for order in orders]
    probes = [person.encodings[places] for person, places in zip(part.known, asked, strict=True)]
    columns = np.repeat(np.arange(len(gallery)), [len(places) for places in asked])
    found = rule.distances(gallery, np.concatenate(probes))
    without = found.copy()
    without[np.arange(len(columns)), columns] = np.inf
    enrolled = part.numbers[: len(gallery)]
    owners = enrolled[columns]
    photo = _photo_numbers(owners, np.concatenate(asked))
    return Trial(
        len(gallery),
        joined([_searches(found, rule, enrolled, owners, photo), _faceless(part)]),
        _searches(without, rule, enrolled, owners, photo),
        _strangers(part, gallery, rule),
    )


def trial_pairs(
    known: Sequence[Labelled], strangers: Sequence[Labelled], splits: int, rule: Rule, enrol: int, rng: Generator
) -> Iterator[tuple[tuple[Part, Trial], tuple[Part, Trial]]]:
    """For each split of the people its two halves with a trial of each: nobody, known or stranger, is in both."""
    for _ in range(splits):
        sides = zip(_halves(len(known), rng), _halves(len(strangers), rng), strict=True)
        parts = [
            Part([known[i] for i in ours], [strangers[i] for i in others], np.concatenate([ours, others + len(known)]))
            for ours, others in sides
        ]
        first, second = ((part, trial(part, rule, enrol, rng)) for part in parts)
        yield first, second


def everybody(known: Sequence[Labelled], strangers: Sequence[Labelled]) -> Part:
    """All people, in the numbers that their places give them."""
    return Part(list(known), list(strangers), np.arange(len(known) + len(strangers)))


def impostor_distances(people: Sequence[Labelled], each: int, rng: Generator) -> Floats:
    """Distances between photos of two people, all pairs of up to `each` photos of each, drawn by chance."""
    rows, owners = drawn(people, each, rng)
    two = np.triu(owners[:, None] != owners[None, :])
    return np.asarray(identification.distances(rows, rows)[two])


def drawn(people: Sequence[Labelled], each: int, rng: Generator) -> tuple[Encodings, Numbers]:
    """Up to `each` photos of each person by chance, scaled, for comparing in pairs; and whose they are, by place."""
    photos = [rng.permutation(person.encodings)[:each] for person in people]
    owners = np.repeat(np.arange(len(people)), [len(encodings) for encodings in photos])
    kept = np.sort(rng.permutation(len(owners))[:MOST_PAIRED])
    return identification.scaled(np.concatenate(photos)[kept]), owners[kept]


def joined(searches: Sequence[Searches]) -> Searches:
    """All of them as one."""
    fields = ("named_from", "named", "person", "photo")
    return Searches(*(np.concatenate([getattr(one, name) for one in searches]) for name in fields))


def _halves(count: int, rng: Generator) -> tuple[Numbers, Numbers]:
    order = rng.permutation(count)
    return order[: (count + 1) // 2], order[(count + 1) // 2 :]


def _searches(distances: Floats, rule: Rule, numbers: Numbers, person: Numbers, photo: Numbers) -> Searches:
    nearest = distances.argmin(axis=1)
    named_from = distances[np.arange(len(distances)), nearest]
    if rule.margin and distances.shape[1] > 1:
        named_from = named_from + identification.toll(np.partition(distances, 1, axis=1)[:, 1])
    return Searches(named_from, numbers[nearest], person, photo)


def _strangers(part: Part, gallery: Sequence[Encodings], rule: Rule) -> Searches:
    outside = [person.encodings for person in part.strangers]
    if not outside:
        return _searches(np.empty((0, len(gallery))), rule, part.numbers, part.numbers[:0], part.numbers[:0])
    owners = np.repeat(part.numbers[len(gallery) :], [len(encodings) for encodings in outside])
    places = np.concatenate([np.arange(len(encodings)) for encodings in outside])
    distances = rule.distances(gallery, np.concatenate(outside))
    return _searches(distances, rule, part.numbers, owners, _photo_numbers(owners, places))


def _faceless(part: Part) -> Searches:
    """Searches that find nobody, for the known people's photos without a face."""
    counts = [person.faceless for person in part.known]
    people = np.repeat(part.numbers[: len(counts)], counts)
    places = np.concatenate([-1 - np.arange(count) for count in counts])
    return Searches(np.full(len(people), np.inf), people, people, _photo_numbers(people, places))


def _photo_numbers(people: Numbers, places: Numbers) -> Numbers:
    """A number for each photo of each person; those without a face have places below zero."""
    return np.asarray(people * 2**32 + places + 2**31, dtype=np.intp)


def least(distances: Floats, rows: Sequence[Encodings]) -> Floats:
    """From distances to everybody's rows, person by person, to the least of each, shape (probes, people)."""
    starts = np.cumsum([0, *(len(of_one) for of_one in rows[:-1])])
    return np.asarray(np.minimum.reduceat(distances, starts, axis=1))
