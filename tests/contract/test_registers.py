"""People changed straight in the store, as where there is no service to ask: over every backend."""

import pytest

from facefleet.backends import connect_people
from facefleet.cli.registers import InStore
from facefleet.encodings import PACKED, photo_of
from facefleet.errors import BadPerson, NotFound, Unavailable
from facefleet.model import Person
from facefleet.ports import People
from facefleet.settings import Settings

ENCODING = PACKED.pack(1.0, *[0.0] * 127)


@pytest.fixture
def register(people: People) -> InStore:
    return InStore(people)


def test_people_alone_are_the_same_people(people: People, settings: Settings) -> None:
    people.put(Person("paul", "Paul"))
    assert [person.id for person in connect_people(settings).list()] == ["paul"]


@pytest.mark.parametrize("settings", ["aws"], indirect=True)
def test_tables_that_are_not_there_are_said_with_what_to_do(settings: Settings) -> None:
    with pytest.raises(Unavailable, match="no such table: set FACEFLEET_PEOPLE_TABLE"):
        connect_people(settings)


def test_everybody_is_told_page_by_page(register: InStore, people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("facefleet.cli.registers.PAGE", 2)
    assert list(register.everybody()) == []
    for id in "edcba":
        people.put(Person(id, id))
    assert [person.id for person in register.everybody()] == list("abcde")


def test_somebody_new_is_added_and_somebody_there_by_now_is_changed(register: InStore, people: People) -> None:
    register.add("paul", {"name": "Paul", "attributes": {"major": "law", "year": "senior"}})
    register.add("paul", {"name": "Paul M.", "attributes": {"major": "math"}})
    found = people.get("paul")
    assert (found.name, found.attributes) == ("Paul M.", {"major": "math", "year": "senior"})


def test_a_change_leaves_what_it_does_not_tell_and_takes_away_what_is_none(register: InStore, people: People) -> None:
    people.put(Person("paul", "Paul", {"a": 1, "b": 2}, photos=(photo_of(ENCODING),)))
    register.change("paul", {"attributes": {"a": None, "c": True}})
    found = people.get("paul")
    assert (found.name, found.attributes, len(found.photos)) == ("Paul", {"b": 2, "c": True}, 1)
    with pytest.raises(NotFound):
        register.change("nobody", {"attributes": {}})


def test_encodings_are_enrolled_and_again_is_harmless(register: InStore, people: People) -> None:
    register.add("paul", {"name": "Paul"})
    for _ in range(2):
        register.enrol("paul", [ENCODING])
    assert people.get("paul").photos == (photo_of(ENCODING),)
    with pytest.raises(NotFound):
        register.enrol("nobody", [ENCODING])


def test_nobody_gets_into_the_store_whom_the_service_would_refuse(register: InStore, people: People) -> None:
    for id, about in (("a b", {}), ("unknown", {}), ("a", {"name": ""}), ("a", {"attributes": {"x": []}})):
        with pytest.raises(BadPerson):
            register.add(id, about)
    assert people.list() == ()
