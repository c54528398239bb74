"""Lines of CSV: whatever a value is, it comes back, and no spreadsheet runs it."""

import csv
from io import StringIO

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from facefleet.csvline import line, values_of

#: SQS, S3 and every spreadsheet refuse NUL.
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
VALUES = st.lists(TEXTS | st.text("='+-@\t\r\n\",; a＝", max_size=8), max_size=6)


def cells(text: str) -> list[str]:
    """As anybody else reads them."""
    return [cell for row in csv.reader(StringIO(text, newline="")) for cell in row]


def test_plain_values_are_the_line_that_the_course_has() -> None:
    assert line(["mr_bean", "lawyer", "freshmen"]) == "mr_bean,lawyer,freshmen"
    assert line(["unknown", "", ""]) == "unknown,,"


@given(VALUES)
@example([])
@example([""])
@example(["'=1+1"])
@example(["''=1+1", "=1", "'", "a'=1"])
def test_values_come_back_as_they_were(values: list[str]) -> None:
    assert values_of(line(values)) == values


@given(VALUES)
def test_no_cell_begins_as_a_formula(values: list[str]) -> None:
    assert [cell for cell in cells(line(values)) if cell.startswith(tuple("=+-@\t\r\n＝＋－＠"))] == []


@given(st.lists(TEXTS.filter(lambda text: not set(text) & set("=+-@\t\r\n＝＋－＠")), min_size=1, max_size=6))
def test_what_is_no_formula_is_read_by_anybody_as_it_is(values: list[str]) -> None:
    assert cells(line(values)) == values


@pytest.mark.parametrize("text", ["a\nb", '"a', '"a"b'], ids=repr)
def test_what_is_not_one_row_is_said(text: str) -> None:
    with pytest.raises(ValueError, match="CSV"):
        values_of(text)
