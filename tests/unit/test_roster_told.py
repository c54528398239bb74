"""What a person reads before they say yes."""

from io import StringIO

import pytest
from rich.console import Console

from facefleet.classroom.encodings import Named
from facefleet.classroom.plan import Plan, plan
from facefleet.classroom.roster import Roster, Student
from facefleet.cli.roster_told import SHOWN, imports, plan_as_json, show_imports, show_plan
from facefleet.encodings import PACKED, enrolled
from facefleet.errors import BadImage
from facefleet.model import Person
from facefleet.people import MAX_PHOTOS


def encoding(number: int) -> bytes:
    return PACKED.pack(1.0, number / 1000, *[0.0] * 126)


def shown(wanted: Plan) -> list[str]:
    console = Console(file=(file := StringIO()), width=40)
    show_plan(wanted, console)
    return file.getvalue().splitlines()


def planned(*students: Student, people: tuple[Person, ...] = ()) -> Plan:
    return plan(Roster(students), people)


def test_each_change_is_a_line_with_what_was_and_what_will_be() -> None:
    before = Person("a", "A", {"x": 1, "y": "old", "z": ""})
    wanted = planned(Student(2, "a", "a", {"x": None, "y": "new", "z": "full", "n": False}), people=(before,))
    assert shown(wanted)[0] == "~ a  x: 1, which goes; y: old → new; z: '' → full; n: false, which is new"


def test_of_many_only_the_first_are_shown_and_json_tells_all() -> None:
    wanted = planned(*(Student(i, f"s{i}", f"s{i}") for i in range(SHOWN + 5)))
    lines = shown(wanted)
    assert len(lines) == SHOWN + 2 and lines[SHOWN].startswith("… and 5 more")
    assert len(plan_as_json(wanted)["added"]) == SHOWN + 5
    left_alone = shown(planned(Student(1, "b", "b"), people=tuple(Person(f"p{i}", "") for i in range(99))))[-1]
    assert "99 (p0, " in left_alone and left_alone.count("p") < SHOWN + 10


def test_a_value_cannot_pretend_to_be_a_line_of_ours_nor_move_the_cursor() -> None:
    lines = shown(planned(Student(1, "a", "a", {"x": "1\nnothing to do\x1b[2J\r", "m": "[red]m[/]"})))
    assert len(lines) == 2 and lines[0] == "+ a  x=1�nothing to do�[2J�, m=[red]m[/]"


def test_only_encodings_that_are_new_are_counted_and_too_many_are_said_with_the_name() -> None:
    known = enrolled(Person("a", "A"), [encoding(0)])
    files = [Named("a", "a", (encoding(0), encoding(1))), Named("b", "B", (encoding(2),))]
    found = imports(files, {"a": known})
    assert [(one.is_new_person, len(one.new), one.present) for one in found] == [(False, 1, 1), (True, 1, 0)]
    show_imports(found, Console(file=(file := StringIO())))
    assert file.getvalue().splitlines() == [
        "+ a  1 encoding",
        "+ b  1 encoding, a new person",
        "there already: 1 encoding",
    ]
    many = Named("a", "a", tuple(encoding(number) for number in range(1, MAX_PHOTOS + 1)))
    with pytest.raises(BadImage, match=r"^a, with 200 encodings more: there are 200 photos"):
        imports([many], {"a": known})
