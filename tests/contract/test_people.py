"""Who is enrolled: versions that every change raises, conflicts, pages, and changes that readers follow."""

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from facefleet.errors import Conflict, NotFound
from facefleet.model import Box, Changes, Person, Photo
from facefleet.ports import People

from .conftest import OpenBackend

law = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

PHOTO = Photo("p1", Box(1, 2, 3, 4), bytes(range(256)) * 2)
PAUL = Person("paul", "Paul", {"major": "physics", "year": 2, "tags": ["a", None]}, (PHOTO,))


def put(people: People, *ids: str) -> list[Person]:
    return [people.put(Person(id, id.title())) for id in ids]


def test_a_person_is_got_as_put(people: People) -> None:
    stored = people.put(PAUL)
    assert stored == replace(PAUL, version=stored.version)
    assert people.get("paul") == stored


@law
@given(
    name=st.text(st.characters(exclude_categories=["Cs"])),
    attributes=st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.integers() | st.text("ab🙂")),
    encodings=st.lists(st.binary(min_size=512, max_size=512), max_size=3),
)
def test_any_name_attributes_and_encodings_are_kept(
    people: People, name: str, attributes: dict[str, object], encodings: list[bytes]
) -> None:
    photos = tuple(Photo(str(i), Box(0, 0, i, i), encoding) for i, encoding in enumerate(encodings))
    stored = people.put(Person("x", name, attributes, photos))
    assert people.get("x") == stored
    assert people.delete("x") == stored


def test_nobody_is_found_who_was_never_put(people: People) -> None:
    with pytest.raises(NotFound):
        people.get("paul")
    assert people.delete("paul") is None


def test_every_change_raises_the_one_version(people: People) -> None:
    paul, anna = put(people, "paul", "anna")
    again = people.put(replace(paul, name="Paul II"))
    people.delete("anna")
    newer = people.put(Person("anna", "Anna again"))
    assert 0 < paul.version < anna.version < again.version < newer.version
    assert people.changes(0).version == newer.version


@pytest.mark.parametrize("version", [0, 1, 99], ids=["as if new", "stale", "from nowhere"])
def test_a_put_on_another_version_is_a_conflict(people: People, version: int) -> None:
    first = people.put(PAUL)
    stored = people.put(replace(first, name="Paul II"))
    assert first.version == 1
    with pytest.raises(Conflict):
        people.put(replace(stored, name="lost", version=version))
    assert people.get("paul") == stored
    assert people.changes(stored.version) == Changes(stored.version, ())


def test_a_put_of_somebody_erased_meanwhile_is_a_conflict(people: People) -> None:
    stored = people.put(PAUL)
    people.delete("paul")
    with pytest.raises(Conflict):
        people.put(replace(stored, name="back from the dead"))
    assert people.put(PAUL).version > stored.version


def test_people_are_listed_by_id_page_by_page(people: People) -> None:
    put(people, "d", "b", "e", "a", "c")
    pages = [people.list(limit=2), people.list(after="b", limit=2), people.list(after="d", limit=2)]
    assert [[person.id for person in page] for page in pages] == [["a", "b"], ["c", "d"], ["e"]]
    assert people.list(after="e") == ()
    assert [person.id for person in people.list(after="bb")] == ["c", "d", "e"]


def test_changes_from_the_beginning_are_everybody(people: People) -> None:
    paul, anna = put(people, "paul", "anna")
    assert people.changes(0) == Changes(anna.version, (paul, anna))
    assert people.version() == anna.version


def test_who_missed_more_than_a_list_holds_is_to_read_everybody(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[type(people).__module__], "MAX_CHANGES", 2)
    one, two, three = put(people, "one", "two", "three")
    assert people.changes(0) == Changes(three.version, read_everybody=True)
    assert people.changes(one.version) == Changes(three.version, (two, three))


def test_changes_are_only_what_is_new(people: People) -> None:
    paul, anna = put(people, "paul", "anna")
    anna = people.put(replace(anna, name="Anna II"))
    assert people.changes(paul.version) == Changes(anna.version, (anna,))
    assert people.changes(anna.version) == Changes(anna.version, ())


def test_changes_tell_who_is_gone(people: People) -> None:
    anna = put(people, "paul", "anna")[1]
    people.delete("paul")
    changes = people.changes(anna.version)
    assert (changes.people, changes.removed, changes.read_everybody) == ((), ("paul",), False)
    assert changes.version > anna.version
    assert people.changes(changes.version).removed == ()


def test_somebody_erased_and_enrolled_again_is_told_of_as_both(people: People) -> None:
    """Whoever holds their old encodings is to let go of them."""
    (paul,) = put(people, "paul")
    people.delete("paul")
    (again,) = put(people, "paul")
    assert people.changes(paul.version) == Changes(again.version, (again,), ("paul",))
    assert people.changes(again.version) == Changes(again.version)


def test_a_version_from_the_future_gets_everybody(people: People) -> None:
    """It is from before everything was emptied: what the reader has is of no use."""
    (paul,) = put(people, "paul")
    assert people.changes(99) == Changes(paul.version, read_everybody=True)


def test_everybody_is_erased_at_once(people: People) -> None:
    paul, anna = put(people, "paul", "anna")
    assert people.clear() == 2
    assert people.list() == ()
    assert set(people.changes(anna.version).removed) == {"paul", "anna"}
    assert people.clear() == 0
    assert people.put(replace(paul, version=0)).version > anna.version


STEPS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["put", "delete"]), st.booleans()), max_size=15)


@law
@given(steps=STEPS)
def test_who_follows_the_changes_knows_what_is_there(people: People, steps: list[tuple[str, str, bool]]) -> None:
    known: dict[str, Person] = {}
    version = 0
    for id, what, look in [*steps, ("", "look", True)]:
        if what != "look":
            change(people, id, what)
        if look:
            changes = people.changes(version)
            known = {k: p for k, p in known.items() if k not in changes.removed}
            known.update({person.id: person for person in people.list() if changes.read_everybody})
            known.update({person.id: person for person in changes.people})
            version = changes.version
    assert known == {person.id: person for person in people.list()}


def change(people: People, id: str, what: str) -> None:
    if what == "delete":
        people.delete(id)
        return
    try:
        people.put(replace(people.get(id), name="again"))
    except NotFound:
        people.put(Person(id, "new"))


def test_changes_of_many_at_once_are_all_kept(open_backend: OpenBackend) -> None:
    put(open_backend().people, "paul")

    def add(i: int) -> None:
        people = open_backend().people
        retry(lambda: people.put(with_photo(people.get("paul"), str(i))))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(24)))
    paul = open_backend().people.get("paul")
    assert {photo.id for photo in paul.photos} == {str(i) for i in range(24)}
    assert paul.version == 25


def with_photo(person: Person, id: str) -> Person:
    return replace(person, photos=(*person.photos, Photo(id, PHOTO.box, PHOTO.encoding)))


def retry(work: Callable[[], object]) -> None:
    """As the worker does it. Each conflict means that somebody else got on, so it ends."""
    while True:
        try:
            work()
            return
        except Conflict:
            continue


def test_of_two_who_enrol_the_same_id_one_is_told(open_backend: OpenBackend) -> None:
    # What they share is there before them.
    open_backend()

    def enrol(i: int) -> bool:
        try:
            open_backend().people.put(Person("paul", f"Paul {i}"))
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(enrol, range(8))) == 1


def test_erasing_goes_on_beside_enrolling_and_loses_nobody_else(open_backend: OpenBackend) -> None:
    # What they share is there before them.
    open_backend()

    def enrol(id: str) -> None:
        people = open_backend().people
        put(people, id)
        put(people, f"{id}-gone")
        people.delete(f"{id}-gone")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(enrol, "abcdefgh"))
    people = open_backend().people
    assert [person.id for person in people.list()] == list("abcdefgh")
    assert people.changes(0).version == 24
