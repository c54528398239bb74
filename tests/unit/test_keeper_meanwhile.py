"""The keeper while others enrol and erase: nobody is missed, and nobody erased is kept."""

from dataclasses import replace
from pathlib import Path

import pytest
from keepers import IDS, Busy, Overtaken, Place, enrol, known, stored

from facefleet import keys
from facefleet.backends.embedded.blobs import DirectoryBlobs
from facefleet.errors import Unavailable
from facefleet.ports import People
from facefleet.recognition.snapshot import load

pytestmark = pytest.mark.usefixtures("few")


@pytest.mark.parametrize("many", [3, 99], ids=["on disk", "in memory"])
@pytest.mark.parametrize("page", ["", "e", "g"], ids=["first page", "middle", "last page"])
def test_who_changes_while_everybody_is_read_is_known_as_they_are(place: Place, page: str, many: int) -> None:
    def change(store: People) -> None:
        store.put(replace(store.get("c"), name="renamed"))
        enrol(store, "a")

    people = Busy(place.root / "people.db", page, change)
    enrol(people, *IDS[1:])
    keeper = place.start(people, many=many)
    renamed = keeper.gallery.person("c")
    assert renamed is not None
    assert (known(keeper), renamed.name, keeper.gallery.version) == (IDS, "renamed", people.version())


def test_people_who_change_too_fast_are_read_another_time(place: Place) -> None:
    people = Busy(place.root / "people.db", "e", lambda store: enrol(store, "a", "b", "c"))
    enrol(people, *"defgh")
    with pytest.raises(Unavailable, match="faster"):
        place.start(people)
    assert list((place.root / "blobs/.making").iterdir()) == []
    assert known(place.start(people)) == IDS


@pytest.mark.parametrize("page", ["", "b", "f"], ids=["first page", "middle", "last page"])
def test_a_snapshot_of_somebody_erased_while_it_was_made_is_not_left_behind(place: Place, page: str) -> None:
    people = Busy(place.root / "people.db", page, lambda store: store.delete("b"))
    enrol(people, *IDS)
    keeper = place.start(people, overlaid=9)
    assert (known(keeper), stored(place.blobs)) == ("acdefgh", None)


def test_a_snapshot_that_comes_behind_an_erasure_is_deleted(place: Place) -> None:
    enrol(place.people, *IDS)
    blobs = Overtaken(place.root / "blobs", place.people, "b")
    keeper = place.start(blobs=blobs, overlaid=9)
    keeper.refresh()
    assert (known(keeper), stored(blobs)) == ("acdefgh", None)


def test_a_snapshot_of_somebody_erased_and_enrolled_again_meanwhile_is_deleted(place: Place) -> None:
    def anew(store: People) -> None:
        store.delete("c")
        place.blobs.delete(keys.SNAPSHOT)
        enrol(store, "c")

    people = Busy(place.root / "people.db", "d", anew)
    enrol(people, *IDS)
    keeper = place.start(people)
    assert (known(keeper), stored(place.blobs)) == (IDS, None)


def test_who_holds_encodings_of_somebody_erased_and_enrolled_again_lets_go_of_them(place: Place) -> None:
    enrol(place.people, *IDS)
    keeper = place.start(overlaid=9)
    before = keeper.gallery.snapshot
    place.people.delete("b")
    place.blobs.delete(keys.SNAPSHOT)
    enrol(place.people, "b")
    keeper.tidy()
    assert keeper.gallery.snapshot is not before
    assert (known(keeper), stored(place.blobs)) == (IDS, place.people.version())


def test_a_snapshot_that_was_not_deleted_with_somebody_is_deleted_by_the_next_who_reads_it(place: Place) -> None:
    enrol(place.people, *IDS)
    place.start(overlaid=9)
    place.people.delete("b")
    assert known(place.start(overlaid=9)) == "acdefgh"
    assert stored(place.blobs) is None


def test_a_snapshot_deleted_while_it_is_opened_is_none(place: Place) -> None:
    class Gone(DirectoryBlobs):
        def local(self, key: str) -> Path:
            path = super().local(key)
            self.delete(key)
            return path

    enrol(place.people, *IDS)
    place.start(overlaid=9)
    keeper = place.start(blobs=Gone(place.root / "blobs", {}), overlaid=9)
    assert known(keeper) == IDS


def test_after_an_erasure_there_is_a_snapshot_again_without_the_person(place: Place) -> None:
    enrol(place.people, *IDS)
    first, second = place.start(overlaid=9), place.start(overlaid=9)
    place.people.delete("b")
    place.blobs.delete(keys.SNAPSHOT)
    for keeper in (first, second):
        keeper.refresh()
        assert (known(keeper), stored(place.blobs)) == ("acdefgh", None if keeper is first else place.people.version())
        keeper.tidy()
        assert keeper.gallery.snapshot is not None
        assert "b" not in [one.id for _, one in keeper.gallery.snapshot.entries()]
    assert known(first) == known(second) == "acdefgh"


def test_a_snapshot_that_still_holds_somebody_erased_is_replaced(place: Place) -> None:
    """Where the eraser was stopped before it came to the snapshot."""
    enrol(place.people, *IDS)
    keeper = place.start(overlaid=9)
    place.people.delete("b")
    keeper.refresh()
    keeper.tidy()
    snapshot = load(place.blobs.local(keys.SNAPSHOT), model="ours")
    assert [one.id for _, one in snapshot.entries()] == list("acdefgh")


def test_where_nobody_was_erased_there_is_nothing_to_tidy(place: Place) -> None:
    enrol(place.people, *IDS[1:])
    keeper = place.start(overlaid=9)
    enrol(place.people, "a")
    keeper.refresh()
    before = keeper.gallery
    keeper.tidy()
    assert keeper.gallery is before
