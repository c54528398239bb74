"""The truth read, and answers held against it."""

from pathlib import Path

import pytest

from facefleet.classroom import mapping
from facefleet.classroom.mapping import Expected, Same, same
from facefleet.errors import BadFile

BEAN = Expected("test_2.mp4", "mr_bean", ("lawyer", "freshmen"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "mapping"


def test_the_courses_lines_tell_attributes_alone(file: Path) -> None:
    file.write_text("test_5.mp4:computer_science,sophomore\n\ntest_2.mp4:lawyer,freshman")
    assert mapping.read(file) == (
        Expected("test_5.mp4", None, ("computer_science", "sophomore")),
        Expected("test_2.mp4", None, ("lawyer", "freshman")),
    )


def test_one_word_alone_is_a_name_as_in_the_classic_answer(file: Path) -> None:
    file.write_text("test_00.jpg:Paul\r\ntest_01.jpg: Emily \r\n")
    assert mapping.read(file) == (Expected("test_00.jpg", "Paul", ()), Expected("test_01.jpg", "Emily", ()))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("file,name,major,year\ntest_2.mp4,mr_bean,lawyer,freshmen\n", BEAN),
        ("\ufefffile;name;major;year\r\ntest_2.mp4;mr_bean;lawyer;freshmen\r\n", BEAN),
        ("Image,Results\ntest_00,Paul\n\n", Expected("test_00", "Paul", ())),
        ("filename,year\na.mp4,senior\n", Expected("a.mp4", None, ("senior",))),
    ],
)
def test_a_table_with_a_header_tells_what_its_columns_are_called(text: str, expected: Expected, file: Path) -> None:
    file.write_text(text)
    assert mapping.read(file) == (expected,)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a.mp4:x,y\nb.mp4\n", "line 2: 'b.mp4' is not FILE"),
        ("a.mp4:x,y\n:x,y\n", "line 2:"),
        ("a.mp4:x,\n", "line 1:"),
        ("a.mp4:x,y\nb.mp4:x,y\n\na.mp4:x,y\n", "line 4: a.mp4 stands in line 1 already"),
        ("file,name\na.mp4,paul\na.mp4,mary\n", "line 3: a.mp4 stands in line 2 already"),
        ("file,name\na.mp4\n", "line 2: 1 values"),
        ("file,name\n,paul\n", "line 2: no file"),
        ("file\na.mp4\n", "line 2: nothing is said"),
        (" \n\n", "is empty"),
    ],
)
def test_a_line_that_will_not_do_is_named(text: str, words: str, file: Path) -> None:
    file.write_text(text)
    with pytest.raises(BadFile, match=words):
        mapping.read(file)


def test_a_file_that_is_no_text_or_not_there_is_said(file: Path) -> None:
    with pytest.raises(BadFile, match="No such file"):
        mapping.read(file)
    file.write_bytes(b"a.mp4:x,y\nb.mp4:\xff,z\n")
    with pytest.raises(BadFile, match="line 2: byte 0xff is not UTF-8"):
        mapping.read(file)


@pytest.mark.parametrize(
    "given",
    [
        ("mr_bean", "lawyer", "freshman"),
        ("mr_bean", "Lawyer", "Freshmen"),
        ("Mr Bean", "lawyer", "freshmen"),
        ("mr-bean", "lawyer", "freshmen"),
    ],
)
def test_another_spelling_counts_as_the_same_and_is_told(given: tuple[str, ...]) -> None:
    assert same(given, BEAN) is Same.SPELLING


@pytest.mark.parametrize(
    "given",
    [
        (),
        ("mr_bean",),
        ("mr_bean", "lawyer"),
        ("mr_bean", "lawyer", ""),
        ("mr_bean", "lawyer", "sophomore"),
        ("mr_bean", "lawyers", "freshmen"),
        ("mr_ben", "lawyer", "freshmen"),
        ("unknown", "", ""),
        ("Mr Bean", "history", "freshman"),
    ],
)
def test_another_word_is_another_however_few_letters_differ(given: tuple[str, ...]) -> None:
    assert same(given, BEAN) is Same.NO


def test_what_the_truth_does_not_tell_is_not_looked_at() -> None:
    assert same(("mr_bean", "lawyer", "freshmen", "more"), BEAN) is Same.YES
    assert same(("whoever", "lawyer", "freshman"), Expected("a", None, ("lawyer", "freshman"))) is Same.YES
    assert same(("Paul",), Expected("a", "Paul", ())) is Same.YES


def test_a_name_has_no_plural() -> None:
    assert same(("chapmen",), Expected("a", "chapman", ())) is Same.NO
    assert same(("x", "electrical-engineering"), Expected("a", None, ("Electrical Engineering",))) is Same.SPELLING
    assert same(("x", "junior"), Expected("a", None, ("senior",))) is Same.NO
