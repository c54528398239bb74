"""The gallery: everybody enrolled, searched for the nearest. A frozen value; a change makes another."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from heapq import merge
from math import exp, inf

import numpy as np

from facefleet.model import Changes, Person
from facefleet.recognition.entries import Entry, encodings, entry
from facefleet.recognition.identification import scaled
from facefleet.recognition.index import Exact, Row, row_distances
from facefleet.recognition.snapshot import Snapshot

#: How fast similarity falls around the threshold, where it is one half: to 0.9 and 0.1 within 0.1 of distance. A scale
#: for people, not a probability.
STEEPNESS = 22.0
#: Rows looked at beyond two for each person asked for: some are of one person, some of people gone or rejected.
SPARE = 8

#: A row's distance, and whose it is.
Hit = tuple[float, Person]


@dataclass(frozen=True, eq=False)
class Gallery:
    """People of a snapshot, if there is one, and over them those who were changed or erased since.

    A person is as far from a probe as the nearest of their centres. Nobody has photos here: they stay in the store.
    """

    version: int = 0
    snapshot: Snapshot | None = None
    #: The numbers of people in the snapshot who have been changed or erased since.
    hidden: frozenset[int] = frozenset()
    #: Those who have been added or changed, by id; and whose each row of the index is.
    entries: Mapping[str, Entry] = field(default_factory=dict, repr=False)
    index: Exact = field(default_factory=Exact, repr=False)
    owners: tuple[str, ...] = field(default=(), repr=False)
    #: People with photos.
    enrolled: int = 0
    #: Whether anybody was erased since the snapshot, which may still hold them.
    erased: bool = False

    @classmethod
    def of(cls, entries: Iterable[Entry], version: int) -> "Gallery":
        """A gallery in memory."""
        return cls()._with({one.id: one for one in entries}, (), version)

    @classmethod
    def on(cls, snapshot: Snapshot) -> "Gallery":
        """What the snapshot holds."""
        return cls(snapshot.version, snapshot, enrolled=snapshot.enrolled)

    def __len__(self) -> int:
        return self.enrolled

    @property
    def overlaid(self) -> int:
        """How many people were added or changed since the snapshot, or of its people changed or erased."""
        return max(len(self.entries), len(self.hidden))

    def after(self, changes: Changes) -> "Gallery":
        """The gallery once these changes are made; itself where there are none."""
        if changes.read_everybody:
            raise ValueError("these changes do not tell everything: read everybody instead")
        if changes.version == self.version:
            return self
        return self._with({person.id: entry(person) for person in changes.people}, changes.removed, changes.version)

    def person(self, id: str) -> Person | None:
        """The person without photos; None if nobody has this id."""
        if id in self.entries:
            return self.entries[id].person()
        number = self._number(id)
        return None if self.snapshot is None or number is None else self.snapshot.person(number)

    def nearest(self, probe: Row, limit: int) -> tuple[tuple[Person, float], ...]:
        """Up to `limit` people and their distances, nearest first, ties by id.

        The probe is an encoding as the network gives it, of any length. Left out is whom it was rejected for: it is
        nearer to a face that is not theirs than to them.
        """
        probe = scaled(probe)
        count = 2 * limit + SPARE
        while True:
            hits, complete = self._hits(probe, count)
            found = _people(hits, probe)
            if len(found) >= limit or complete:
                return found[:limit]
            # Seldom: somebody has many rows, or many of the nearest are gone.
            count *= 4

    def everybody(self) -> Iterator[Entry]:
        """All entries, in order of their ids."""
        if self.snapshot is not None:
            kept = (one for number, one in self.snapshot.entries() if number not in self.hidden)
            return merge(kept, sorted(self.entries.values(), key=_id), key=_id)
        return iter(sorted(self.entries.values(), key=_id))

    def _with(self, entries: Mapping[str, Entry], removed: Iterable[str], version: int) -> "Gallery":
        gone = set(removed)
        touched = entries.keys() | gone
        numbers = {number for id in touched if (number := self._number(id)) is not None}
        kept = [place for place, owner in enumerate(self.owners) if owner not in touched]
        rows = self.index.rows if len(kept) == len(self.owners) else self.index.rows[kept]
        return replace(
            self,
            version=version,
            hidden=self.hidden | numbers,
            entries={id: one for id, one in self.entries.items() if id not in touched} | dict(entries),
            index=Exact.of(np.concatenate([rows, *(one.rows for one in entries.values())])),
            owners=(*(self.owners[place] for place in kept), *(id for id, one in entries.items() for _ in one.rows)),
            enrolled=self.enrolled - self._enrolled_among(touched, numbers) + sum(map(_has_rows, entries.values())),
            erased=self.snapshot is not None and (self.erased or bool(gone)),
        )

    def _enrolled_among(self, ids: Iterable[str], numbers: Iterable[int]) -> int:
        """How many of these, in the overlay and in the snapshot, have photos."""
        overlaid = sum(id in self.entries and _has_rows(self.entries[id]) for id in ids)
        return overlaid + sum(self.snapshot is not None and self.snapshot.is_enrolled(number) for number in numbers)

    def _number(self, id: str) -> int | None:
        """Somebody's number in the snapshot, unless it is hidden."""
        number = None if self.snapshot is None else self.snapshot.number(id)
        return None if number in self.hidden else number

    def _hits(self, probe: Row, count: int) -> tuple[list[Hit], bool]:
        """The nearest rows, nearest first, ties by id; and whether there are no more."""
        places, near = self.index.nearest(probe, count)
        hits = [
            (distance, self.entries[self.owners[i]].person())
            for i, distance in zip(places.tolist(), near.tolist(), strict=True)
        ]
        # What either side did not tell of may lie anywhere beyond its last.
        horizon = _last(near, len(self.index))
        if self.snapshot is not None:
            rows, far = self.snapshot.index.nearest(probe, count)
            owners = zip(self.snapshot.owners(rows), far.tolist(), strict=True)
            hits += [(d, self.snapshot.person(owner)) for owner, d in owners if owner not in self.hidden]
            horizon = min(horizon, _last(far, len(self.snapshot.index)))
        return sorted((hit for hit in hits if hit[0] <= horizon), key=_order), horizon == inf


def _people(hits: Iterable[Hit], probe: Row) -> tuple[tuple[Person, float], ...]:
    """Each person once, by the first of their hits, without those whom the probe was rejected for."""
    firsts: dict[str, Hit] = {}
    for distance, person in hits:
        firsts.setdefault(person.id, (distance, person))
    return tuple((person, d) for d, person in firsts.values() if not _is_rejected(person, probe, d))


def _is_rejected(person: Person, probe: Row, distance: float) -> bool:
    if not person.rejections:
        return False
    return float(row_distances(scaled(encodings(person.rejections)), probe).min()) < distance


def _last(distances: Row, total: int) -> float:
    """How far everything was told: to the last distance, or without end where that is all."""
    return float(distances[-1]) if 0 < len(distances) < total else inf


def _order(hit: Hit) -> tuple[float, str]:
    return hit[0], hit[1].id


def _id(one: Entry) -> str:
    return one.id


def _has_rows(one: Entry) -> bool:
    return len(one.rows) > 0


def similarity(distance: float, threshold: float) -> float:
    """1 for the same image, one half at the threshold, towards 0 beyond."""
    return 1 / (1 + exp(STEEPNESS * (distance - threshold)))
