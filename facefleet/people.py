"""Changing somebody whom others may be changing at the same time."""

from collections.abc import Callable

from facefleet.errors import Conflict
from facefleet.model import Person
from facefleet.ports import People

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
