"""The gallery: everybody's encodings, searched for the nearest. A frozen value; a change makes another."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import exp

import numpy as np
from numpy.typing import NDArray

from facefleet.model import Candidate, Changes, Person
from facefleet.recognition.encoder import Encoding

DIMENSIONS = 128
#: How fast similarity falls around the threshold, where it is one half. A scale for people, not a probability.
STEEPNESS = 22.0


@dataclass(frozen=True)
class Gallery:
    """People, and their encodings as rows of one matrix."""

    version: int = 0
    people: dict[str, Person] = field(default_factory=dict)
    rows: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, DIMENSIONS), np.float32), repr=False)
    #: The person of each row, as its place in `ids`.
    owners: NDArray[np.intp] = field(default_factory=lambda: np.empty(0, np.intp), repr=False)
    ids: tuple[str, ...] = ()

    @classmethod
    def of(cls, people: Iterable[Person], version: int) -> "Gallery":
        # In order of their ids, so that a tie is broken the same way in every worker.
        by_id = {person.id: person for person in sorted(people, key=lambda person: person.id)}
        enrolled = [person for person in by_id.values() if person.photos]
        rows = b"".join(photo.encoding for person in enrolled for photo in person.photos)
        return cls(
            version,
            by_id,
            np.frombuffer(rows, "<f4").reshape(-1, DIMENSIONS),
            np.repeat(np.arange(len(enrolled)), [len(person.photos) for person in enrolled]),
            tuple(person.id for person in enrolled),
        )

    def after(self, changes: Changes) -> "Gallery":
        """The gallery once these changes are made; itself where there are none."""
        if changes.version == self.version:
            return self
        people = {} if changes.complete else {k: p for k, p in self.people.items() if k not in changes.removed}
        people.update((person.id, person) for person in changes.people)
        return Gallery.of(people.values(), changes.version)

    def nearest(self, probe: Encoding, *, limit: int, threshold: float) -> tuple[Candidate, ...]:
        """Up to `limit` people, nearest first, each by the nearest of their photos."""
        if not self.ids:
            return ()
        distances = np.linalg.norm(self.rows - probe, axis=1)
        best = np.full(len(self.ids), np.inf, np.float32)
        np.minimum.at(best, self.owners, distances)
        order = np.argsort(best, kind="stable")[:limit]
        return tuple(_candidate(self.ids[i], float(best[i]), threshold) for i in order)


def _candidate(person_id: str, distance: float, threshold: float) -> Candidate:
    return Candidate(person_id, round(distance, 4), round(similarity(distance, threshold), 4))


def similarity(distance: float, threshold: float) -> float:
    """1 for the same image, one half at the threshold, towards 0 beyond."""
    return 1 / (1 + exp(STEEPNESS * (distance - threshold)))
