"""What lies in the two tables of people, and what is to be written there: pure.

`people`: an item for each person, under the partition key `name`, which is the person's id.
`people-index`: what must be sorted, and read as it was last written. `kind` is the partition key, `key` the sort key:

    ids      <person's id>   everybody
    changes  <version>       the log: whom the change was of, and when; whether they were removed

The log has no gaps. What is too old is dropped from its beginning, never its newest entry: that is the version.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from facefleet.backends.aws.dynamo import CONDITION_FAILED, MAX_TRANSACTION_BYTES
from facefleet.model import Person
from facefleet.wire import dump_person, load_person

Item = dict[str, Any]

IDS, CHANGES = "ids", "changes"
#: Longer than any version: DynamoDB sorts texts, and "9" behind "10".
DIGITS = 15
#: Of an item, its attributes' names included:
#: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
MAX_ITEM_BYTES = 400 * 1024
#: Of a sort key, in UTF-8: the same page.
MAX_KEY_BYTES = 1024
#: More than a person's item takes besides its id and its body.
FRAME_BYTES = 64


@dataclass(frozen=True, slots=True)
class Tables:
    people: str
    index: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One change. `person_id` is None for somebody removed so long ago that the name is forgotten."""

    version: int
    at: float
    removed: bool
    person_id: str | None


@dataclass(frozen=True, slots=True)
class News:
    """What happened up to a version: who was changed, each with the version at least, and who was removed."""

    version: int
    changed: dict[str, int]
    removed: tuple[str, ...]


def news(log: Sequence[Entry], since: int) -> News | None:
    """What the log tells of the time after a version; None where it does not tell everything."""
    later = [entry for entry in log if entry.version > since]
    changed: dict[str, int] = {}
    removed: dict[str, int] = {}
    for version, entry in enumerate(later, since + 1):
        if entry.version != version or entry.person_id is None:
            return None
        # By their last change, whoever had several.
        changed.pop(entry.person_id, None)
        if entry.removed:
            removed.pop(entry.person_id, None)
        (removed if entry.removed else changed)[entry.person_id] = version
    return News(since + len(later), changed, tuple(removed))


def person_key(person_id: str) -> Item:
    return {"name": {"S": person_id}}


def number(seconds: float) -> str:
    """To milliseconds, and as DynamoDB itself writes numbers: a try again is compared with the first one."""
    return f"{seconds:.3f}".rstrip("0").rstrip(".")


def index_key(kind: str, key: str) -> Item:
    return {"kind": {"S": kind}, "key": {"S": key}}


def sortable(version: int) -> str:
    return f"{version:0{DIGITS}d}"


def is_key(person_id: str) -> bool:
    """Whether a person can have this id here at all."""
    return 0 < len(person_id.encode()) <= MAX_KEY_BYTES


def person_of(item: Item) -> Person | None:
    """None for an item that only somebody else wrote, as a roster's."""
    if "body" not in item:
        return None
    return load_person(item["name"]["S"], int(item["version"]["N"]), item["body"]["S"])


def entry_of(item: Item) -> Entry:
    person = item.get("person")
    return Entry(
        version=int(item["key"]["S"]),
        at=float(item["at"]["N"]),
        removed=item["removed"]["BOOL"],
        person_id=person and person["S"],
    )


def size(person: Person) -> int:
    """Bytes that DynamoDB counts, at most."""
    return len(person.id.encode()) + len(dump_person(person)) + FRAME_BYTES


def removable(people: Sequence[Person]) -> Sequence[Person]:
    """As many of them, from the first on, as one transaction may remove."""
    sizes = accumulate(size(person) for person in people)
    return [person for person, so_far in zip(people, sizes, strict=True) if so_far <= MAX_TRANSACTION_BYTES]


def putting(tables: Tables, person: Person, version: int, at: float) -> list[Item]:
    """The actions that store somebody, who becomes this version, if their own version is the stored one still."""
    # An update, so that what others keep in the item stays.
    update: Item = {
        "TableName": tables.people,
        "Key": person_key(person.id),
        "UpdateExpression": "SET #version = :next, #body = :body",
        "ConditionExpression": "#version = :version" if person.version else "attribute_not_exists(#version)",
        "ExpressionAttributeNames": {"#version": "version", "#body": "body"},
        "ExpressionAttributeValues": {":next": {"N": str(version)}, ":body": {"S": dump_person(person)}},
    }
    if person.version:
        update["ExpressionAttributeValues"][":version"] = {"N": str(person.version)}
    actions = [{"Update": update}, _logged(tables, Entry(version, at, False, person.id))]
    if not person.version:
        actions.append({"Put": {"TableName": tables.index, "Item": index_key(IDS, person.id)}})
    return actions


def removing(tables: Tables, person: Person, version: int, at: float) -> list[Item]:
    """The actions that erase somebody, which becomes this version, if their own version is the stored one still."""
    delete = {
        "TableName": tables.people,
        "Key": person_key(person.id),
        "ConditionExpression": "#version = :version",
        "ExpressionAttributeNames": {"#version": "version"},
        "ExpressionAttributeValues": {":version": {"N": str(person.version)}},
    }
    return [
        {"Delete": delete},
        _logged(tables, Entry(version, at, True, person.id)),
        {"Delete": {"TableName": tables.index, "Key": index_key(IDS, person.id)}},
    ]


def _logged(tables: Tables, entry: Entry) -> Item:
    told = {"removed": {"BOOL": entry.removed}, "at": {"N": number(entry.at)}, "person": {"S": entry.person_id}}
    return {
        "Put": {
            "TableName": tables.index,
            "Item": index_key(CHANGES, sortable(entry.version)) | told,
            # Of several who would have the same version, one gets it.
            "ConditionExpression": "attribute_not_exists(#key)",
            "ExpressionAttributeNames": {"#key": "key"},
        }
    }


def is_outdated(actions: Sequence[Item], reasons: Iterable[str], tables: Tables) -> bool:
    """Whether it was refused because somebody's version is not the stored one any more."""
    targets = [target["TableName"] for action in actions for target in action.values()]
    return (tables.people, CONDITION_FAILED) in zip(targets, reasons, strict=False)
