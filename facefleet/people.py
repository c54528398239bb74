"""What somebody may be called and have, and changing somebody whom others may be changing at the same time."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from unicodedata import category, normalize

from facefleet.errors import BadImage, BadPerson, Conflict
from facefleet.model import UNKNOWN, Person
from facefleet.ports import People

#: An id is the classic answer and a table's key: one word, without the signs that those give a meaning.
PERSON_ID = re.compile(r"\w[\w.@-]{0,63}")
MAX_ID, MAX_NAME = 64, 200
#: DynamoDB keeps 400 KB for a person; attributes are to leave room for encodings.
MAX_ATTRIBUTES_BYTES = 16_384
#: Of one person. Their mean changes little from the tenth on, and grouping takes time by the cube: 200 take 10 ms. A
#: person with so many still fits DynamoDB's 400 KB.
MAX_PHOTOS = 200
#: Changes of one person at once collide and are made anew; this many in a row mean that something is wrong.
MAX_CONFLICTS = 50


def update(people: People, person_id: str, change: Callable[[Person], Person]) -> Person:
    """The person as changed and stored; the change is made anew on what somebody else stored meanwhile.

    Raises `NotFound`, and `Conflict` where it never got its turn.
    """
    for _ in range(MAX_CONFLICTS):
        try:
            return people.put(change(people.get(person_id)))
        except Conflict:
            # Somebody else got on meanwhile, so there is nothing to wait for.
            continue
    raise Conflict("this person is changed all the time: try again")


def is_id(value: object) -> bool:
    return isinstance(value, str) and PERSON_ID.fullmatch(value) is not None and value != UNKNOWN


def id_of(name: str) -> str:
    """`Mr Bean` → `Mr_Bean`: a name made a word; empty where nothing is left of it. The page and the Pi do the same."""
    return re.sub(r"[^\w.@-]+", "_", normalize("NFC", name)).lstrip(".@-")[:MAX_ID]


def newcomer(person_id: object, about: dict[str, Any]) -> Person:
    """Somebody who is not there yet, with what is said of them as in `changed`; raises `BadPerson`."""
    if not isinstance(person_id, str) or not is_id(person_id):
        words = f"an id is a word of at most {MAX_ID} letters, digits and . _ @ -, and not '{UNKNOWN}'"
        raise BadPerson(words, code="bad_id")
    return changed(Person(person_id, person_id), about)


def changed(person: Person, about: dict[str, Any]) -> Person:
    """The person with the name and attributes that stand there; an attribute of None goes (RFC 7396).

    Raises `BadPerson`.
    """
    name, given = about.get("name", person.name), about.get("attributes", {})
    if not isinstance(name, str) or not _is_whole(name) or not 0 < len(name) <= MAX_NAME:
        raise BadPerson(f"a name is text of at most {MAX_NAME} characters", code="bad_name")
    # A terminal would obey them, and a log take one line for two. What joins letters, as names of Persian have, stays.
    if "name" in about and any(category(c) == "Cc" for c in name):
        raise BadPerson("a name is one line of text, without control characters", code="bad_name")
    if not isinstance(given, dict) or any(isinstance(value, dict | list) for value in given.values()):
        words = 'attributes are plain values by name, as {"major": "physics"}'
        raise BadPerson(words, code="bad_attributes")
    attributes = {k: v for k, v in {**person.attributes, **given}.items() if v is not None}
    _check(attributes)
    return replace(person, name=name, attributes=attributes)


def _check(attributes: Mapping[str, object]) -> None:
    # JSON can spell halves of characters, which no file, table or terminal takes.
    if not _is_whole(json.dumps(attributes, ensure_ascii=False)):
        words = "half of a character, as \\ud83d, is no text: write it whole, or leave it out"
        raise BadPerson(words, code="bad_attributes")
    try:
        size = len(json.dumps(attributes, allow_nan=False))
    except ValueError:
        raise BadPerson("NaN and Infinity are not JSON: leave them out", code="bad_attributes") from None
    if size > MAX_ATTRIBUTES_BYTES:
        words = f"attributes take more than {MAX_ATTRIBUTES_BYTES} bytes: keep fewer"
        raise BadPerson(words, code="bad_attributes")


def _is_whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_room(person: Person, photo_id: str) -> None:
    """Raises `BadImage`, which nothing overrules, where a person has as many photos as are kept, besides this one."""
    photos = sum(photo.id != photo_id for photo in person.photos)
    if photos >= MAX_PHOTOS:
        raise BadImage(
            f"there are {photos} photos of this person, and no more are kept: some of them will do",
            code="too_many_photos",
        )
