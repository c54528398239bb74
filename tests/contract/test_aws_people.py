"""What only DynamoDB has of people: pages, limits of its items, a log that is cut, and what others keep there."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from bench import emulators
from facefleet.backends.aws import people as module
from facefleet.backends.aws import people_items
from facefleet.backends.aws.clients import Clients
from facefleet.backends.aws.people import DynamoPeople
from facefleet.backends.aws.people_items import MAX_ITEM_BYTES, MAX_KEY_BYTES
from facefleet.errors import NotFound, TooLarge
from facefleet.model import Box, Changes, Person, Photo
from facefleet.settings import Settings
from facefleet.wire import dump_person

from .conftest import OpenBackend

LONG = MAX_KEY_BYTES

pytestmark = pytest.mark.parametrize("settings", ["aws"], indirect=True)


@pytest.fixture
def client(clients: Clients) -> Any:
    return clients.dynamodb


def put(people: DynamoPeople, *ids: str) -> list[Person]:
    return [people.put(Person(id, id.title())) for id in ids]


def everything(client: Any, settings: Settings) -> str:
    """Every item of both tables."""
    tables = settings.people_table, f"{settings.people_table}-index"
    return json.dumps([client.scan(TableName=table)["Items"] for table in tables])


def test_to_learn_that_nothing_changed_takes_one_call(people: DynamoPeople, store: emulators.Emulator) -> None:
    newest = put(people, "paul", "anna")[-1].version
    before = calls(store)
    assert people.changes(newest) == Changes(newest)
    assert calls(store) - before == 1


def calls(store: emulators.Emulator) -> int:
    counts: Any = store.told("/_counts")
    return sum(number for operation, number in counts.items() if operation.startswith("dynamodb "))


def test_people_and_changes_are_read_beyond_one_page(people: DynamoPeople, client: Any, settings: Settings) -> None:
    """A page of a query ends at 1 MB."""
    ids = [f"{i:04d}".ljust(LONG, "x") for i in range(1, 1101)]
    seed(client, settings.people_table, ids)
    assert [person.id for person in people.list(limit=1200)] == ids
    assert people.version() == 1100
    assert [person.id for person in people.changes(100).people] == ids[100:]
    assert people.changes(99) == Changes(1100, read_everybody=True)


def seed(client: Any, table: str, ids: list[str]) -> None:
    """As if each had been put, in this order."""
    for version, id in enumerate(ids, 1):
        number, name = {"N": str(version)}, {"S": id}
        body = {"S": dump_person(Person(id, ""))}
        log = {"kind": {"S": "changes"}, "key": {"S": people_items.sortable(version)}}
        log |= {"person": name, "removed": {"BOOL": False}, "at": {"N": "0"}}
        puts = {
            table: [{"name": name, "version": number, "body": body}],
            f"{table}-index": [{"kind": {"S": "ids"}, "key": name}, log],
        }
        client.batch_write_item(
            RequestItems={table: [{"PutRequest": {"Item": item}} for item in items] for table, items in puts.items()}
        )


def test_changes_too_old_are_dropped_and_who_missed_them_reads_everybody(
    people: DynamoPeople, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_LOG", 3)
    *_, d, e, f = put(people, *"abcdef")
    people.tidy()
    assert people.changes(2) == people.changes(0) == Changes(6, read_everybody=True)
    assert people.changes(3) == Changes(6, (d, e, f))
    assert put(people, "g")[0].version == 7


def test_who_was_enrolled_long_ago_is_told_of_still(people: DynamoPeople, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that has just started has what a snapshot tells, and needs the rest."""
    monkeypatch.setattr(module, "KEEP_REMOVED", -1.0)
    paul, anna = put(people, "paul", "anna")
    people.tidy()
    assert people.changes(paul.version) == Changes(anna.version, (anna,))


@pytest.mark.parametrize("after", [(), ("ben",)], ids=["the last of all", "before somebody else"])
def test_after_a_while_nothing_names_somebody_erased(
    people: DynamoPeople, client: Any, settings: Settings, monkeypatch: pytest.MonkeyPatch, after: tuple[str, ...]
) -> None:
    paul, anna = put(people, "paul", "anna")
    people.put(replace(paul, photos=(Photo("p1", Box(1, 2, 3, 4), bytes(512)),)))
    people.delete("paul")
    put(people, *after)
    version = people.version()
    people.tidy()
    assert people.changes(anna.version).removed == ("paul",)
    monkeypatch.setattr(module, "KEEP_REMOVED", -1.0)
    for _ in range(2):
        people.tidy()
        assert "paul" not in everything(client, settings).lower()
        assert people.changes(anna.version) == Changes(version, read_everybody=True)
        assert people.changes(version) == Changes(version)
    assert put(people, "paul")[0].version == version + 1


def test_changes_of_different_people_at_once_all_succeed(open_backend: OpenBackend) -> None:
    """Each has a connection of its own, as workers have."""
    everybody = [open_backend().people for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        enrolled = list(pool.map(lambda i: everybody[i % 8].put(Person(f"p{i:02d}", "")), range(24)))
    assert sorted(person.version for person in enrolled) == list(range(1, 25))
    assert everybody[0].list() == tuple(enrolled)
    assert len(everybody[0].changes(0).people) == 24


def test_more_people_are_erased_at_once_than_a_transaction_takes(
    people: DynamoPeople, client: Any, settings: Settings
) -> None:
    ids = [f"p{i:02d}" for i in range(40)]
    put(people, *ids)
    assert people.clear() == 40
    assert people.changes(40).removed == tuple(ids)
    assert client.scan(TableName=settings.people_table)["Count"] == 0


def test_somebody_too_large_is_refused_and_what_was_stored_stays(people: DynamoPeople) -> None:
    photos = tuple(Photo(str(i), Box(1, 2, 3, 4), bytes(512)) for i in range(600))
    paul = put(people, "paul")[0]
    with pytest.raises(TooLarge, match="delete some of their photos"):
        people.put(replace(paul, photos=photos))
    assert people.get("paul") == paul


def test_the_largest_that_is_not_refused_is_stored(people: DynamoPeople) -> None:
    empty = Person("paul", "")
    person = replace(empty, name="x" * (MAX_ITEM_BYTES - people_items.size(empty)))
    assert people.put(person) == people.get("paul")


def test_an_id_longer_than_a_key_is_nobodys(people: DynamoPeople) -> None:
    put(people, "é")
    with pytest.raises(TooLarge):
        put(people, "é" * LONG)
    with pytest.raises(NotFound):
        people.get("é" * LONG)
    assert people.delete("é" * LONG) is None
    assert people.list(after="é" * LONG) == ()
    assert [person.id for person in people.list(after="a" * 2 * LONG)] == ["é"]


def test_what_others_keep_in_a_persons_item_stays_until_they_are_erased(
    people: DynamoPeople, client: Any, settings: Settings
) -> None:
    """A roster, say, that was in the table before."""
    client.put_item(TableName=settings.people_table, Item={"name": {"S": "paul"}, "major": {"S": "physics"}})
    with pytest.raises(NotFound):
        people.get("paul")
    paul = put(people, "paul")[0]
    people.put(replace(paul, name="Paul II"))
    assert "physics" in everything(client, settings)
    people.delete("paul")
    assert "physics" not in everything(client, settings)


def test_somebody_whose_item_was_deleted_by_hand_stands_in_nobodys_way(
    people: DynamoPeople, client: Any, settings: Settings
) -> None:
    ann, _, cem = put(people, "ann", "ben", "cem")
    client.delete_item(TableName=settings.people_table, Key=people_items.person_key("ben"))
    assert people.list() == (ann, cem)
    assert people.list(limit=2) == (ann, cem)
    assert people.changes(0) == Changes(3, (ann, cem))
    assert people.clear() == 2
    assert put(people, "ben")[0] == people.get("ben")
