"""What a roster, or a file of encodings, would change: in words, a line for each person, and as JSON."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from facefleet.classroom.encodings import Named
from facefleet.classroom.plan import Change, Plan, newcomers_about
from facefleet.classroom.roster import as_text
from facefleet.cli.plain import plain
from facefleet.encodings import enrolled, photo_of
from facefleet.errors import BadImage
from facefleet.model import Person
from facefleet.wire import Json

#: Lines of one kind; a roster of thousands would hide what it changes.
SHOWN = 20
ADDED, CHANGED = "green", "yellow"


@dataclass(frozen=True, slots=True)
class Import:
    """Somebody's encodings that are new, and how many were there before."""

    named: Named
    is_new_person: bool
    new: tuple[bytes, ...]
    present: int


def imports(found: Sequence[Named], people: dict[str, Person]) -> list[Import]:
    """What is to be done of a file of encodings; raises `BadImage` where somebody would have too many."""
    return [_import(named, people.get(named.id)) for named in found]


def _import(named: Named, person: Person | None) -> Import:
    there = {photo.id for photo in person.photos} if person else set()
    new = tuple(encoding for encoding in named.encodings if photo_of(encoding).id not in there)
    try:
        enrolled(person or Person(named.id, named.name), new)
    except BadImage as e:
        raise BadImage(f"{named.id}, with {len(new)} encodings more: {e}", code=e.code) from e
    return Import(named, person is None, new, len(named.encodings) - len(new))


def show_plan(plan: Plan, console: Console) -> None:
    _show([f"+ {who.id}  {_attributes(newcomers_about(who))}" for who in plan.added], ADDED, console)
    _show([f"~ {who.id}  {'; '.join(map(_change, who.changes))}" for who in plan.changed], CHANGED, console)
    _say(f"as in the roster: {len(plan.unchanged)}", console)
    if plan.left_alone:
        some = ", ".join(plan.left_alone[:SHOWN]) + (", …" if len(plan.left_alone) > SHOWN else "")
        _say(f"enrolled, and not in the roster: {len(plan.left_alone)} ({some}), left alone", console)


def plan_as_json(plan: Plan) -> Json:
    return {
        "added": [{"id": who.id, **newcomers_about(who)} for who in plan.added],
        "changed": [
            {"id": who.id, "changes": [{"what": c.what, "old": c.old, "new": c.new} for c in who.changes]}
            for who in plan.changed
        ],
        "unchanged": list(plan.unchanged),
        "left_alone": list(plan.left_alone),
    }


def show_imports(found: Sequence[Import], console: Console) -> None:
    _show(list(_lines(found)), ADDED, console)
    _say(f"there already: {_count(sum(one.present for one in found), 'encoding')}", console)


def imports_as_json(found: Sequence[Import]) -> Json:
    return {
        "people": [
            {"id": one.named.id, "new_person": one.is_new_person, "new": len(one.new), "present": one.present}
            for one in found
        ]
    }


def _lines(found: Sequence[Import]) -> Iterator[str]:
    for one in found:
        if one.new:
            yield f"+ {one.named.id}  {_count(len(one.new), 'encoding')}{', a new person' * one.is_new_person}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _attributes(about: Json) -> str:
    return ", ".join(f"{name}={as_text(value)}" for name, value in about["attributes"].items())


def _change(change: Change) -> str:
    old, new = (repr(value) if value == "" else as_text(value) for value in (change.old, change.new))
    if change.old is None:
        return f"{change.what}: {new}, which is new"
    return f"{change.what}: {old} → {new}" if change.new is not None else f"{change.what}: {old}, which goes"


def _show(lines: Sequence[str], style: str, console: Console) -> None:
    for line in lines[:SHOWN]:
        _say(line, console, style)
    if more := lines[SHOWN:]:
        _say(f"… and {len(more)} more such lines: --dry-run --json tells all", console, style)


def _say(line: str, console: Console, style: str = "") -> None:
    console.print(Text(plain(line), style=style), soft_wrap=True, highlight=False)
