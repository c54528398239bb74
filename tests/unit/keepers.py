"""Stores for the keeper's tests: real ones, in which something happens at the wrong moment."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from facefleet import keys
from facefleet.backends.embedded.blobs import DirectoryBlobs
from facefleet.backends.embedded.people import SqlitePeople
from facefleet.errors import NotFound, Unavailable
from facefleet.model import Box, Person, Photo
from facefleet.ports import Blobs, People
from facefleet.recognition.index import Row
from facefleet.recognition.keeper import Keeper
from facefleet.recognition.snapshot import load

IDS = "abcdefgh"


def at(place: float) -> Row:
    """Places on an arc, ten degrees from each other."""
    encoding = np.zeros(128, np.float32)
    encoding[:2] = np.cos(np.radians(10 * place)), np.sin(np.radians(10 * place))
    return encoding


def enrol(people: People, *ids: str) -> None:
    """Each at the place that is their number in the alphabet."""
    for id in ids:
        people.put(Person(id, id.upper(), {}, (Photo("p", Box(0, 0, 1, 1), at(IDS.index(id)).tobytes()),)))


def known(keeper: Keeper) -> str:
    """Who is found, nearest first, from the beginning of the alphabet."""
    return "".join(person.id for person, _ in keeper.gallery.nearest(at(-1), 99))


def stored(blobs: Blobs) -> int | None:
    """The version of the snapshot in the store."""
    try:
        return load(blobs.local(keys.SNAPSHOT), model="ours").version
    except NotFound:
        return None


class Place:
    """A store of the test's own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.people = SqlitePeople(root / "people.db")
        self.blobs = DirectoryBlobs(root / "blobs", {})

    def start(
        self, people: People | None = None, blobs: Blobs | None = None, *, many: int = 3, overlaid: int = 1
    ) -> Keeper:
        """A worker just started: `many` people fit its memory, `overlaid` may lie over a snapshot."""
        people, blobs = people or self.people, blobs or self.blobs
        keeper = Keeper(people, blobs, model="ours", many=many, overlaid=overlaid)
        keeper.refresh()
        return keeper


class Unlisted(SqlitePeople):
    """A store in which to read everybody would take too long, unless one is patient."""

    def __init__(self, path: Path, *, patient: bool = False) -> None:
        super().__init__(path)
        self.patient = patient

    def list(self, *, after: str = "", limit: int = 100) -> tuple[Person, ...]:
        assert self.patient, "everybody was read"
        return super().list(after=after, limit=limit)


class Busy(SqlitePeople):
    """A store that changes while it is read: after the page that begins behind `at`, once."""

    def __init__(self, path: Path, at: str, change: Callable[[People], object]) -> None:
        super().__init__(path)
        self._at, self._change = at, change

    def list(self, *, after: str = "", limit: int = 100) -> tuple[Person, ...]:
        page = super().list(after=after, limit=limit)
        if after == self._at:
            self._at = "done"
            self._change(self)
        return page


class Full(DirectoryBlobs):
    """A disk without room, until it has some; `tries` says how often somebody hoped for it."""

    tries = 0
    has_room = False

    def put_file(self, key: str, fill: Callable[[Path], object]) -> None:
        self.tries += 1
        if not self.has_room:
            raise Unavailable("the disk is full")
        super().put_file(key, fill)


class Overtaken(DirectoryBlobs):
    """A store in which somebody is erased just before a snapshot gets there."""

    def __init__(self, root: Path, people: People, erased: str) -> None:
        super().__init__(root, {})
        self._people, self._erased = people, erased

    def put_file(self, key: str, fill: Callable[[Path], object]) -> None:
        self._people.delete(self._erased)
        self.delete(key)
        super().put_file(key, fill)
