"""What a roster changes of who is enrolled: pure. Nobody is ever removed by a roster."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from facefleet.classroom.roster import Json, Roster, Student, as_text, may_hold
from facefleet.model import Person


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of one attribute, or of the name; `new` is None for an attribute that goes, `old` for one new."""

    what: str
    old: object
    new: object


@dataclass(frozen=True, slots=True)
class Changed:
    """Somebody enrolled of whom the roster says something else. `name` is None where that stays."""

    id: str
    name: Change | None
    attributes: tuple[Change, ...]

    @property
    def changes(self) -> tuple[Change, ...]:
        return self.attributes if self.name is None else (self.name, *self.attributes)

    @property
    def about(self) -> Json:
        """As a merge patch."""
        name = {} if self.name is None else {"name": self.name.new}
        return name | {"attributes": {change.what: change.new for change in self.attributes}}


@dataclass(frozen=True, slots=True)
class Plan:
    """Ids stand in the roster's order; `left_alone` are those enrolled of whom it says nothing."""

    added: tuple[Student, ...]
    changed: tuple[Changed, ...]
    unchanged: tuple[str, ...]
    left_alone: tuple[str, ...]

    @property
    def todo(self) -> int:
        return len(self.added) + len(self.changed)


def plan(roster: Roster, people: Iterable[Person], *, replace: bool = False) -> Plan:
    """What is to be done so that everybody in the roster is there, with the attributes it tells.

    `replace`: and with no others.
    """
    listed = {student.id: student for student in roster.students}
    found: dict[str, Person] = {}
    left_alone = []
    for person in people:
        if person.id in listed:
            found[person.id] = person
        else:
            left_alone.append(person.id)
    known = [_changed(student, found[id], roster, replace) for id, student in listed.items() if id in found]
    return Plan(
        added=tuple(student for id, student in listed.items() if id not in found),
        changed=tuple(one for one in known if one.changes),
        unchanged=tuple(one.id for one in known if not one.changes),
        left_alone=tuple(left_alone),
    )


def newcomers_about(student: Student) -> Json:
    """What is said of somebody who is not there yet."""
    attributes = {name: value for name, value in student.attributes.items() if value is not None}
    return {"name": student.name or student.id, "attributes": attributes}


def _changed(student: Student, person: Person, roster: Roster, replace: bool) -> Changed:
    wanted = {**(_goners(person, roster) if replace else {}), **student.attributes}
    changes = [Change(what, person.attributes.get(what), value) for what, value in wanted.items()]
    name = Change("name", person.name, student.name) if roster.has_ids and student.name is not None else None
    return Changed(
        person.id,
        name if name and _differs(name, roster) else None,
        tuple(change for change in changes if _differs(change, roster)),
    )


def _goners(person: Person, roster: Roster) -> Mapping[str, object]:
    """Attributes that the roster does not tell, and could: an empty value it tells by an empty cell."""
    return {
        name: None
        for name, value in person.attributes.items()
        if may_hold(name, is_text=roster.is_text) and not (roster.is_text and not as_text(value).strip())
    }


def _differs(change: Change, roster: Roster) -> bool:
    if roster.is_text and change.new is not None and change.old is not None:
        return as_text(change.old).strip() != change.new
    # Not by ==, for which 1, 1.0 and true are one.
    return json.dumps(change.old) != json.dumps(change.new)
