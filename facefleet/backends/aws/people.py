"""People in DynamoDB, in two tables, with one version that every change raises."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import chain, islice, takewhile
from threading import Lock
from typing import Any

from facefleet.backends.aws import people_items as items
from facefleet.backends.aws.dynamo import MAX_ACTIONS, PATIENCE, asking, delete_all, get_all, query, transact, tries
from facefleet.backends.aws.people_items import CHANGES, IDS, Entry, Item, Tables
from facefleet.errors import Conflict, NotFound, TooLarge, Unavailable
from facefleet.model import Changes, Person
from facefleet.ports import MAX_CHANGES

#: The name of somebody erased is kept this long, so that workers learn of it; then it is erased as well.
KEEP_REMOVED = 3600.0
#: Changes that are remembered: a person has some photos, and each is a change.
MAX_LOG = 5 * MAX_CHANGES
#: What is to be done for somebody, who becomes this version at this time.
Actions = Callable[[Tables, Person, int, float], list[Item]]
#: A transaction is whole within milliseconds; these take most of a second.
LOOKS = 6
#: People that one transaction removes: three actions each.
MAX_REMOVED = MAX_ACTIONS // 3


class DynamoPeople:
    """Threads may share it."""

    def __init__(self, client: Any, table: str) -> None:
        """`table` and the one whose name ends in `-index`, as `facefleet setup` makes them."""
        self._client = client
        self._tables = Tables(table, f"{table}-index")
        # Threads of a process queue up here: they would only collide over there.
        self._changing = Lock()

    def put(self, person: Person) -> Person:
        if not items.is_key(person.id):
            raise TooLarge(f"a person's id has 1 to {items.MAX_KEY_BYTES} bytes: choose a shorter one")
        if (size := items.size(person)) > items.MAX_ITEM_BYTES:
            most = items.MAX_ITEM_BYTES
            raise TooLarge(f"this person takes {size} bytes, DynamoDB holds {most}: delete some of their photos")
        version = self._change([person], items.putting, "storing a person")
        return replace(person, version=version)

    def get(self, person_id: str) -> Person:
        person = None
        if items.is_key(person_id):
            with asking("reading a person"):
                answer = self._client.get_item(
                    TableName=self._tables.people, Key=items.person_key(person_id), ConsistentRead=True
                )
            person = items.person_of(answer.get("Item", {}))
        if person is None:
            raise NotFound(f"no person {person_id}")
        return person

    def delete(self, person_id: str) -> Person | None:
        for _ in tries():
            try:
                person = self.get(person_id)
                self._change([person], items.removing, "erasing a person")
            except NotFound:
                return None
            except Conflict:
                continue
            return person
        raise Unavailable("this person is changed all the time: try again later")

    def clear(self) -> int:
        """Erases everybody, some at a time; returns how many."""
        count = 0
        while people := self.list(limit=MAX_REMOVED):
            count += self._remove(items.removable(people))
        return count

    def _remove(self, people: Sequence[Person]) -> int:
        try:
            self._change(people, items.removing, "erasing everybody")
        except Conflict:
            # Somebody of them was changed meanwhile: each on their own, as they are now.
            return sum(self.delete(person.id) is not None for person in people)
        return len(people)

    def list(self, *, after: str = "", limit: int = 100) -> tuple[Person, ...]:
        found: tuple[Person, ...] = ()
        # Again where somebody was erased in between: a page that is not full is taken for the last one.
        while (left := limit - len(found)) > 0:
            ids = self._ids(after, left)
            people = self._people(dict.fromkeys(ids, 1))
            found += tuple(people[person_id] for person_id in ids if person_id in people)
            if len(ids) < left:
                break
            after = ids[-1]
        return found

    def version(self) -> int:
        newest = next(self._log(ScanIndexForward=False, Limit=1), None)
        return newest.version if newest else 0

    def changes(self, since: int) -> Changes:
        """As the port says: one call where nothing changed."""
        log = list(islice(self._log(since=since), MAX_LOG + 1))
        news = items.news(log, since) if log and len(log) <= MAX_LOG else None
        if news is None or max(len(news.changed), len(news.removed)) > MAX_CHANGES:
            return self._everybody(since)
        people = self._people(news.changed).values()
        return Changes(news.version, tuple(sorted(people, key=_version)), news.removed)

    def _everybody(self, since: int) -> Changes:
        version = self.version()
        # Where nobody was ever enrolled, there is no log.
        return Changes(version, read_everybody=version != since)

    def tidy(self) -> None:
        """Drops what the log need not tell any more: above all, names of people erased.

        Once every worker had the time to learn of it. Who did not is told to read everybody.
        """
        entries = self._log(ScanIndexForward=False)
        newest = next(entries, None)
        if newest is None:
            return
        before = time.time() - KEEP_REMOVED
        kept = takewhile(lambda entry: entry.version > newest.version - MAX_LOG, chain([newest], entries))
        old = next((entry for entry in kept if entry.removed and entry.at < before), None)
        if old == newest and newest.person_id is not None:
            # It stays, for its version: without the name, before anything else goes.
            self._forget_name(newest)
        floor = old.version if old else newest.version - MAX_LOG
        self._drop(min(floor, newest.version - 1))

    def _forget_name(self, entry: Entry) -> None:
        # Somebody else who tidies may have done it.
        with suppress(Conflict), asking("forgetting who was erased"):
            self._client.update_item(
                TableName=self._tables.index,
                Key=items.index_key(CHANGES, items.sortable(entry.version)),
                UpdateExpression="REMOVE person",
                ConditionExpression="attribute_exists(person)",
            )

    def _drop(self, last: int) -> None:
        """The log's entries up to this one."""
        if last < 1:
            return
        log = self._query(
            "tidying the log of people",
            KeyConditionExpression="kind = :kind AND #key <= :last",
            ExpressionAttributeValues={":kind": {"S": CHANGES}, ":last": {"S": items.sortable(last)}},
        )
        while keys := [items.index_key(CHANGES, item["key"]["S"]) for item in islice(log, MAX_LOG)]:
            delete_all(self._client, self._tables.index, keys, "tidying the log of people")

    def _change(self, people: Sequence[Person], actions: Actions, what: str) -> int:
        """Does this to each, all or none, each with a version of their own; returns the newest. Raises `Conflict`."""
        if self._changing.acquire(timeout=PATIENCE):
            try:
                for _ in tries():
                    if version := self._try(people, actions, what):
                        return version
            finally:
                self._changing.release()
        raise Unavailable(f"{what}: others kept changing people for {PATIENCE:.0f} s: try again later")

    def _try(self, people: Sequence[Person], actions: Actions, what: str) -> int:
        """0 if somebody else was faster, whoever it was that they changed."""
        newest, at = self.version(), time.time()
        numbered = enumerate(people, newest + 1)
        todo = [action for version, person in numbered for action in actions(self._tables, person, version, at)]
        reasons = transact(self._client, todo, what)
        if reasons and items.is_outdated(todo, reasons, self._tables):
            raise Conflict(f"{what}: somebody else changed it: read again")
        return 0 if reasons else newest + len(people)

    def _people(self, wanted: Mapping[str, int]) -> dict[str, Person]:
        """Those that are there, by id, none of them older than wanted if there is anything newer.

        The items of a transaction come into sight one by one, the index's perhaps first: who lags behind it is looked
        at again. After some looks they are gone: erased meanwhile, or by hand.
        """
        found: dict[str, Person] = {}
        behind = list(wanted)
        for _ in islice(tries(), LOOKS):
            keys = [items.person_key(person_id) for person_id in behind]
            read = map(items.person_of, get_all(self._client, self._tables.people, keys, "reading people"))
            found |= {person.id: person for person in read if person is not None}
            behind = [id for id, version in wanted.items() if id not in found or found[id].version < version]
            if not behind:
                break
        return found

    def _ids(self, after: str, limit: int) -> Sequence[str]:
        condition, values = "kind = :kind", {":kind": {"S": IDS}}
        if after:
            # DynamoDB refuses to compare with what is longer than any key.
            cut = after.encode()[: items.MAX_KEY_BYTES].decode(errors="ignore")
            condition, values = f"{condition} AND #key > :after", values | {":after": {"S": cut}}
        found = self._query(
            "listing people", KeyConditionExpression=condition, ExpressionAttributeValues=values, Limit=limit
        )
        return [item["key"]["S"] for item in islice(found, limit)]

    def _log(self, since: int = 0, **how: Any) -> Iterator[Entry]:
        values = {":kind": {"S": CHANGES}, ":since": {"S": items.sortable(since)}}
        condition = "kind = :kind AND #key >= :since"
        found = self._query(
            "reading changes of people", KeyConditionExpression=condition, ExpressionAttributeValues=values, **how
        )
        return map(items.entry_of, found)

    def _query(self, what: str, **wanted: Any) -> Iterator[Item]:
        if "#key" in wanted["KeyConditionExpression"]:
            wanted["ExpressionAttributeNames"] = {"#key": "key"}
        return query(self._client, what, TableName=self._tables.index, **wanted)


def _version(person: Person) -> int:
    return person.version
