"""The keeper: a gallery that is up to date at every job, however large."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keepers import IDS, Full, Place, Unlisted, enrol, known, stored

from facefleet import keys
from facefleet.backends.embedded.blobs import DirectoryBlobs
from facefleet.backends.embedded.people import SqlitePeople
from facefleet.errors import Unavailable
from facefleet.model import Person
from facefleet.recognition.entries import entry
from facefleet.recognition.keeper import Keeper
from facefleet.recognition.snapshot import write

law = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


pytestmark = pytest.mark.usefixtures("few")


def test_a_few_people_are_followed_in_memory(place: Place) -> None:
    keeper = place.start()
    assert known(keeper) == ""
    enrol(place.people, "a", "b")
    keeper.refresh()
    place.people.delete("a")
    enrol(place.people, "c")
    keeper.refresh()
    assert (known(keeper), len(keeper.gallery), stored(place.blobs)) == ("bc", 2, None)


def test_where_nothing_changed_the_gallery_is_the_same(place: Place) -> None:
    enrol(place.people, *IDS)
    keeper = place.start()
    before = keeper.gallery
    keeper.refresh()
    assert keeper.gallery is before


def test_more_than_a_list_tells_are_read_page_by_page(place: Place) -> None:
    enrol(place.people, *"abcde")
    assert known(place.start(many=5)) == "abcde"
    assert stored(place.blobs) is None


def test_many_people_become_a_snapshot_that_others_start_from(place: Place) -> None:
    enrol(place.people, *"abcde")
    assert known(place.start()) == "abcde"
    enrol(place.people, "f")
    assert known(place.start(Unlisted(place.root / "people.db"))) == "abcdef"


def test_a_gallery_that_grows_becomes_a_snapshot(place: Place) -> None:
    keeper = place.start()
    for n, id in enumerate(IDS, 1):
        enrol(place.people, id)
        keeper.refresh()
        assert known(keeper) == IDS[:n]
    assert keeper.gallery.snapshot is not None
    assert keeper.gallery.overlaid <= 1


def test_a_newer_snapshot_is_made_once_and_taken_by_everybody(place: Place) -> None:
    enrol(place.people, *"abcde")
    first = place.start()
    full = Full(place.root / "blobs", {})
    second = place.start(blobs=full)
    enrol(place.people, "f", "g")
    first.refresh()
    second.refresh()
    assert (stored(place.blobs), full.tries) == (place.people.version(), 0)
    assert second.gallery.snapshot is not None
    assert second.gallery.snapshot.version == place.people.version()
    assert known(first) == known(second) == "abcdefg"


def test_who_missed_much_starts_from_a_newer_snapshot(place: Place) -> None:
    enrol(place.people, *"abcd")
    store = Unlisted(place.root / "people.db", patient=True)
    sleeper, awake = place.start(store), place.start()
    for id in "efgh":
        enrol(place.people, id)
        awake.refresh()
    store.patient = False
    sleeper.refresh()
    assert known(sleeper) == IDS


def test_on_a_full_disk_everybody_is_known_and_another_try_comes_later(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    full = Full(place.root / "blobs", {})
    keeper = place.start(blobs=full)
    tries = []
    for id in IDS:
        enrol(place.people, id)
        keeper.refresh()
        tries.append(full.tries)
    assert known(keeper) == IDS
    assert tries == [0, 0, 0, 1, 1, 1, 1, 2]
    assert "no newer snapshot" in caplog.text
    assert list((place.root / "blobs/.making").iterdir()) == []


def test_who_was_erased_while_the_disk_was_full_is_let_go_of_once_there_is_room(place: Place) -> None:
    enrol(place.people, *IDS)
    place.start()
    full = Full(place.root / "blobs", {})
    keeper = place.start(blobs=full)
    place.people.delete("c")
    place.blobs.delete(keys.SNAPSHOT)
    keeper.refresh()
    keeper.tidy()
    assert keeper.gallery.erased
    full.has_room = True
    keeper.tidy()
    assert (keeper.gallery.erased, stored(place.blobs)) == (False, place.people.version())


def test_a_large_gallery_that_cannot_be_kept_is_unavailable(place: Place) -> None:
    enrol(place.people, *IDS)
    with pytest.raises(Unavailable):
        place.start(blobs=Full(place.root / "blobs", {}))
    assert list((place.root / "blobs/.making").iterdir()) == []


@pytest.mark.parametrize("unfit", ["damaged", "of another model", "from the future", "too old"])
def test_a_snapshot_that_cannot_be_used_is_replaced(place: Place, unfit: str) -> None:
    enrol(place.people, *IDS)
    version = {"from the future": 99, "too old": 1}.get(unfit, place.people.version())
    model = "theirs" if unfit == "of another model" else "ours"
    write([entry(Person("nobody", "Nobody"))], place.root / "file", version=version, model=model)
    if unfit == "damaged":
        (place.root / "file").write_bytes(b"damaged")
    place.blobs.put(keys.SNAPSHOT, (place.root / "file").read_bytes())
    keeper = place.start()
    assert (known(keeper), keeper.gallery.person("nobody")) == (IDS, None)
    assert stored(place.blobs) == place.people.version()


STEPS = st.lists(st.tuples(st.sampled_from(IDS), st.sampled_from(["put", "erase"]), st.sampled_from("012-")))


@law
@given(steps=STEPS, many=st.integers(0, 4), overlaid=st.integers(0, 2))
def test_whoever_looks_whenever_knows_those_who_are_there(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str, str]], many: int, overlaid: int
) -> None:
    """Three workers, one of which is started anew each time that it looks."""
    folder = tmp_path_factory.mktemp("law")
    people, blobs = SqlitePeople(folder / "people.db"), DirectoryBlobs(folder / "blobs", {})
    keepers = [Keeper(people, blobs, model="ours", many=many, overlaid=overlaid) for _ in range(2)]
    for id, what, who in steps:
        if what == "erase":
            people.delete(id)
            blobs.delete(keys.SNAPSHOT)
        elif id not in {person.id for person in people.list()}:
            enrol(people, id)
        if who != "-":
            newcomer = Keeper(people, blobs, model="ours", many=many, overlaid=overlaid)
            keeper = [*keepers, newcomer][int(who)]
            keeper.refresh()
            there = "".join(person.id for person in people.list())
            assert (known(keeper), len(keeper.gallery)) == (there, len(there))
