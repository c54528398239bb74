"""Rosters read, held against who is enrolled, and written again."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from facefleet.classroom import roster
from facefleet.classroom.plan import Plan, newcomers_about, plan
from facefleet.errors import BadFile
from facefleet.model import Person
from facefleet.people import PERSON_ID, changed

COURSE = """[
  {
    "id": 1,
    "name": "mr_bean",
    "major": "lawyer",
    "year": "freshmen"
    },
  {
    "id": 2,
    "name": "president_biden",
    "major": "history",
    "year": "sophomore"
  }
]
"""
BEAN = Person("mr_bean", "Mr. Bean", {"major": "lawyer", "year": "freshmen"})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "roster"


def planned(file: Path, text: str, *people: Person, replace: bool = False, keep_id: bool = False) -> Plan:
    file.write_text(text, newline="")
    return plan(roster.read(file, keep_id=keep_id), people, replace=replace)


def done(wanted: Plan, people: tuple[Person, ...]) -> tuple[Person, ...]:
    """Who is enrolled once it is done."""
    changes = {change.id: change.about for change in wanted.changed}
    known = [changed(person, changes.get(person.id, {})) for person in people]
    new = [changed(Person(student.id, student.id), newcomers_about(student)) for student in wanted.added]
    return (*known, *new)


def changes_of(wanted: Plan) -> dict[str, dict[str, tuple[object, object]]]:
    return {who.id: {change.what: (change.old, change.new) for change in who.changes} for who in wanted.changed}


def test_the_courses_roster_is_read_with_the_lines_it_stands_in_and_without_its_row_numbers(file: Path) -> None:
    file.write_text(COURSE)
    first, second = roster.read(file).students
    assert (first.line, first.id, first.name) == (2, "mr_bean", "mr_bean")
    assert first.attributes == {"major": "lawyer", "year": "freshmen"}
    assert (second.line, second.id) == (8, "president_biden")


def test_row_numbers_are_kept_where_that_is_asked_for(file: Path) -> None:
    assert planned(file, COURSE, keep_id=True).added[0].attributes["id"] == 1
    assert planned(file, "id,name\n7,a\n", keep_id=True).added[0].attributes == {"id": "7"}


def test_csv_with_a_header_says_the_same(file: Path) -> None:
    text = "\ufeffid;name;major;year\r\n1;mr_bean; lawyer ;freshmen\r\n;;;\r\n2;president_biden;history;\r\n"
    file.write_text(text, newline="")
    first, second = roster.read(file).students
    assert (first.line, first.id, first.attributes) == (2, "mr_bean", {"major": "lawyer", "year": "freshmen"})
    assert (second.line, second.id, second.attributes) == (4, "president_biden", {"major": "history"})


def test_words_under_id_are_the_ids_and_the_name_is_to_be_shown(file: Path) -> None:
    wanted = planned(file, "id,name\nmr_bean,Rowan\nfloki,Floki\n", BEAN)
    assert changes_of(wanted) == {"mr_bean": {"name": ("Mr. Bean", "Rowan")}}
    assert [(who.id, newcomers_about(who)["name"]) for who in wanted.added] == [("floki", "Floki")]


def test_a_name_is_made_a_word_as_a_folder_of_photos_is_and_leaves_alone_what_somebody_is_called(file: Path) -> None:
    wanted = planned(file, "name\nMr Bean\n")
    assert [(who.id, who.name) for who in wanted.added] == [("Mr_Bean", "Mr Bean")]
    assert planned(file, "name\nmr_bean\n", BEAN).todo == 0


def test_what_differs_is_told_with_what_it_was_and_who_is_not_in_the_roster_is_left_alone(file: Path) -> None:
    people = (BEAN, Person("floki", "Floki"), Person("president_biden", "Joe", {"major": "law", "room": 7}))
    wanted = planned(file, COURSE, *people)
    assert (wanted.added, wanted.unchanged, wanted.left_alone) == ((), ("mr_bean",), ("floki",))
    assert changes_of(wanted) == {"president_biden": {"major": ("law", "history"), "year": (None, "sophomore")}}
    assert done(wanted, people)[2].attributes == {"major": "history", "room": 7, "year": "sophomore"}


def test_other_attributes_go_where_the_roster_is_to_replace_them(file: Path) -> None:
    people = (BEAN, Person("president_biden", "Joe", {"major": "history", "year": "sophomore", "room": 7}))
    wanted = planned(file, COURSE, *people, replace=True)
    assert changes_of(wanted) == {"president_biden": {"room": (7, None)}}
    assert done(wanted, people)[1].attributes == {"major": "history", "year": "sophomore"}


def test_null_in_json_takes_an_attribute_away_and_an_empty_cell_says_nothing(file: Path) -> None:
    assert changes_of(planned(file, '[{"name": "mr_bean", "year": null}]', BEAN)) == {
        "mr_bean": {"year": ("freshmen", None)}
    }
    assert planned(file, "name,year\nmr_bean,\n", BEAN).todo == 0
    assert newcomers_about(planned(file, '[{"name": "a", "year": null}]').added[0]) == {"name": "a", "attributes": {}}


def test_in_json_a_number_is_no_word_and_no_truth(file: Path) -> None:
    for old, new in ((1, "true"), (1, "1.0"), (1, '"1"')):
        assert planned(file, f'[{{"name": "a", "n": {new}}}]', Person("a", "a", {"n": old})).todo == 1
    assert planned(file, "name,n\na,1\n", Person("a", "a", {"n": 1})).todo == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "names nobody"),
        ("name,major\n", "names nobody"),
        ("[]", "names nobody"),
        ("name,major\na,x\nb\n", "line 3: 1 values"),
        ("name,major\na,x\nb,x,y\n", "line 3: 3 values"),
        ('name,major\na,"x\ny"\nb\n', "line 4: 1 values"),
        ('name,major\na,"x\ny",z\n', "line 2: 3 values"),
        ('name,major\na,"x\n', "line 2: not CSV"),
        ("name,\na,x\n", "line 1: column 2 has no name"),
        ("name,major,major\na,x,y\n", "line 1: there are two columns 'major'"),
        ("major\nx\n", "line 2: there is no name"),
        ("name,major\na,x\n,x\n", "line 3: there is no name"),
        ("name,major\na,x\n\na,y\n", "line 4: a stands in line 2 already"),
        ("name\nMr Bean\nMr_Bean\n", "line 3: Mr_Bean stands in line 2"),
        ("name\nunknown\n", "line 2: 'unknown': an id is a word"),
        ("name\n...\n", "line 2: '...': an id is a word"),
        ("id,name\nmr bean,Bean\n", "line 2: 'mr bean': an id is a word"),
        (f"name,a\nb,{'x' * 17_000}\n", "line 2: 'b': attributes take more"),
        ('{"name": "a"}', "is no list"),
        ('[\n{"name": "a"},\n{"name" "b"}]', "line 3: not JSON"),
        ('[\n{"name": "a"},\n{"name": "a"}]', "line 3: a stands in line 2"),
        ("[\n\n7]", "line 3: an object is expected"),
        ('[{"name": "a"}\n{"name": "b"}]', "line 2: a comma"),
        ('[{"name": "a"},\n]', "line 1: a comma"),
        ('[{"name": "a"}\n', "line 3: a comma|line 2: a comma"),
        ('[{"name": "a"}]\n\n[]', "line 3: something stands behind"),
        ('[{"name": "a", "x": [1]}]', "line 1: 'a': attributes are plain"),
        ('[{"name": "a", "x": NaN}]', "line 1: 'a': NaN"),
        ('[{"name": "a"},\n{"name": "b", "x": "\\ud800"}]', "line 2: 'b': half of a character"),
        ('[{"name": "a"},\n{"name": "b", "\\ud800": 1}]', "line 2: 'b': half of a character"),
        ('[{"id": "a", "name": "\\ud800"}]', "line 1: 'a': a name is text"),
        ('[{"name": "a",\n "x": 1, "x": 2}]', "line 1: .* twice"),
        ('[{"name": 7}]', "line 1: 7: an id is a word"),
        ('[{"id": "a", "name": 7}]', "line 1: 'a': a name is text"),
        ('[{"id": "a"}, {"id": 5}]', "line 1: 5: an id"),
        ("[" * 100_000, "an object is expected|line 1"),
    ],
)
def test_a_line_that_will_not_do_is_named(text: str, words: str, file: Path) -> None:
    file.write_text(text, newline="")
    with pytest.raises(BadFile, match=words):
        roster.read(file)


def test_a_file_that_is_not_text_is_said(file: Path) -> None:
    file.write_bytes(b"name\nRen\xe9\n")
    with pytest.raises(BadFile, match="line 2: byte 0xe9 is not UTF-8"):
        roster.read(file)


TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
IDS = st.from_regex(PERSON_ID, fullmatch=True).filter(lambda id: id != "unknown")
PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
SPREADSHEETS = st.sampled_from(["person", "name", "id", " a", "", "=x", "'=x", "a;b;c;d", "a\nb", '"', "unknown"])
ATTRIBUTES = st.dictionaries(TEXTS | SPREADSHEETS, PLAIN.filter(lambda value: value is not None) | SPREADSHEETS)
NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
PEOPLE = st.dictionaries(IDS, st.tuples(NAMES, ATTRIBUTES), min_size=1, max_size=5)


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(PEOPLE, st.booleans(), st.booleans())
def test_what_was_exported_changes_nothing_when_it_is_loaded(
    tmp_path: Path, by_id: dict[str, Any], is_csv: bool, replace: bool
) -> None:
    people = [Person(id, name, attributes) for id, (name, attributes) in by_id.items()]
    wanted = planned(
        tmp_path / "roster", roster.as_csv(people) if is_csv else roster.as_json(people), *people, replace=replace
    )
    assert (wanted.added, changes_of(wanted), wanted.left_alone) == ((), {}, ())
    assert wanted.unchanged == tuple(by_id)


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(PEOPLE, PEOPLE, st.booleans(), st.booleans())
def test_what_was_loaded_leaves_nothing_to_do(
    tmp_path: Path, in_roster: dict[str, Any], enrolled: dict[str, Any], is_csv: bool, replace: bool
) -> None:
    listed = [Person(id, name, attributes) for id, (name, attributes) in in_roster.items()]
    people = tuple(Person(id, name, attributes) for id, (name, attributes) in enrolled.items())
    text = roster.as_csv(listed) if is_csv else roster.as_json(listed)
    after = done(planned(tmp_path / "roster", text, *people, replace=replace), people)
    again = planned(tmp_path / "roster", text, *after, replace=replace)
    assert (again.added, changes_of(again)) == ((), {})
    assert {person.id for person in after} == in_roster.keys() | enrolled.keys()


def test_an_export_of_csv_is_safe_to_open_in_a_spreadsheet() -> None:
    text = roster.as_csv([Person("a", "=1+1", {"major": "@x", "=n": 1.5, "ok": True})])
    assert text == "person,name,major,'=n,ok\na,'=1+1,'@x,1.5,true\n"


def test_an_export_of_json_keeps_letters_and_kinds_as_they_are() -> None:
    assert json.loads(text := roster.as_json([Person("a", "René", {"n": 1, "ok": True})])) == [
        {"person": "a", "name": "René", "n": 1, "ok": True}
    ]
    assert "René" in text
