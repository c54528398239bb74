"""Keeps a gallery up to date: from the changes that the store tells, and where they are many, from a snapshot."""

import logging
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path

from facefleet import keys
from facefleet.errors import NotFound, Unavailable
from facefleet.model import Changes, Person
from facefleet.ports import MAX_CHANGES, Blobs, People
from facefleet.recognition.entries import Entry, entry
from facefleet.recognition.gallery import Gallery
from facefleet.recognition.snapshot import BadSnapshot, Snapshot, load, write
from facefleet.recognition.weights import MODEL

#: People held in memory, where there is no snapshot: some 30 MB.
MANY = 20_000
#: People changed since the snapshot after which there is to be a newer one: soon enough that a worker that has just
#: started can still be told what it missed.
OVERLAID = MAX_CHANGES // 2
#: People read at once: a few MB with their photos.
PAGE = 500

log = logging.getLogger(__name__)


class Keeper:
    """Holds the gallery, and sees to the store's snapshot of it."""

    def __init__(
        self,
        people: People,
        blobs: Blobs,
        *,
        model: str = MODEL,
        many: int = MANY,
        overlaid: int = OVERLAID,
    ) -> None:
        self._people = people
        self._blobs = blobs
        self._model = model
        self._many = many
        self._overlaid = overlaid
        #: How many people more than allowed may lie over the snapshot, after making one has failed.
        self._respite = 0
        self.gallery = Gallery()

    def refresh(self) -> None:
        """Learns what changed; every job asks first, so that a person just enrolled is known at once.

        Cheap where nothing did. With a large gallery, seconds where it is time for another snapshot. Raises
        `Unavailable`, and the gallery stays as it was.
        """
        changes = self._people.changes(self.gallery.version)
        if changes.read_everybody:
            found = self._from_store()
            self._take(self._from_everybody() if found is None else found)
        else:
            self.gallery = self.gallery.after(changes)
        if self.gallery.overlaid > self._allowed() + self._respite:
            self._renew()

    def tidy(self) -> None:
        """Learns what changed; lets go of a snapshot that holds somebody erased, and sees that the store has another.

        Seconds for a million people, nothing where nobody was erased: to be called when there is nothing else to do.
        """
        self.refresh()
        if self.gallery.erased:
            self._renew()

    def _allowed(self) -> int:
        return self._many if self.gallery.snapshot is None else self._overlaid

    def _take(self, gallery: Gallery) -> None:
        self.gallery, self._respite = gallery, 0

    def _renew(self) -> None:
        """The gallery on a newer snapshot: somebody else's if there is one, or made of what is known here."""
        found = self._from_others()
        if found is not None:
            self._take(found)
            return
        try:
            snapshot = self._made(self.gallery.everybody(), self.gallery.version)
        except Unavailable as e:
            # It goes on without: a full disk is no reason to recognise nobody.
            log.warning("no newer snapshot of the gallery: %s", e)
            self._respite = max(1, self.gallery.overlaid)
            return
        self._take(Gallery.on(snapshot))

    def _from_store(self, *, clean: bool = False) -> Gallery | None:
        """The gallery by the store's snapshot; None if there is none, or it is too old to be told the rest.

        `clean`: nor if anybody in it was erased since.
        """
        snapshot = self._stored()
        if snapshot is None:
            return None
        # A version from the future is from before everything was emptied: it tells to read everybody, too.
        changes = self._people.changes(snapshot.version)
        if changes.read_everybody or changes.removed:
            # An erasure deletes it, and may have been cut short before.
            self._blobs.delete(keys.SNAPSHOT)
        if changes.read_everybody or (clean and changes.removed):
            return None
        return Gallery.on(snapshot).after(changes)

    def _from_others(self) -> Gallery | None:
        """The gallery by a snapshot that somebody else has renewed; None if it is time to do so here."""
        # Decided here, so that one that is no good is out of memory before another is made.
        found = self._from_store(clean=True)
        return found if found is not None and found.overlaid <= self._overlaid else None

    def _stored(self) -> Snapshot | None:
        try:
            return load(self._blobs.local(keys.SNAPSHOT), model=self._model)
        except (NotFound, FileNotFoundError):
            # There is none, or it was just deleted.
            return None
        except BadSnapshot as e:
            log.warning("the snapshot of the gallery is not used: %s", e)
            return None

    def _from_everybody(self) -> Gallery:
        """The gallery read anew: in memory up to `many` people, else by a snapshot that others find too."""
        # The version first: people change while they are read, and what changes after it is told of once more.
        seen = [Changes(self._people.version())]
        everybody = (entry(person) for person in self._pages(seen))
        first = list(islice(everybody, self._many + 1))
        if len(first) <= self._many:
            gallery = Gallery.of(first, seen[0].version)
        else:
            gallery = Gallery.on(self._made(chain(first, everybody), seen[0].version))
        for changes in seen[1:]:
            gallery = gallery.after(changes)
        return gallery

    def _pages(self, seen: list[Changes]) -> Iterator[Person]:
        """Everybody, by id; and in `seen`, page by page, what changed meanwhile, before it is too much to be told."""
        after = ""
        while page := self._people.list(after=after, limit=PAGE):
            yield from page
            after = page[-1].id
            changes = self._people.changes(seen[-1].version)
            if changes.read_everybody:
                raise Unavailable("people change faster than they can be read: try again later")
            seen.append(changes)

    def _made(self, entries: Iterable[Entry], version: int) -> Snapshot:
        """A snapshot of everybody, which others find in the store, too; raises `Unavailable`."""
        made: list[Snapshot] = []

        def fill(path: Path) -> None:
            write(entries, path, version=version, model=self._model)
            # Opened before anybody may replace or delete it.
            made.append(load(path, model=self._model))

        self._blobs.put_file(keys.SNAPSHOT, fill)
        # Whoever erases somebody deletes the snapshot afterwards, and ours may have come behind that.
        if self._is_outlived(version):
            self._blobs.delete(keys.SNAPSHOT)
        return made[0]

    def _is_outlived(self, version: int) -> bool:
        """Whether anybody was erased since, or may have been."""
        try:
            changes = self._people.changes(version)
        except Unavailable:
            return True
        return changes.read_everybody or bool(changes.removed)
