"""What a relay takes of the messages that its output queue holds."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facefleet import course, csvline, keys
from facefleet.errors import BadMessage
from openstack_relay.outgoing import Kept, result_of

COLUMNS = ("major", "year")


def result(**about: object) -> dict[str, object]:
    face = {"attributes": {"major": "lawyer", "year": "freshmen"}, "person": "mr_bean"}
    whole = {"id": "1", "filename": "test_0.mp4", "answer": "mr_bean", "error": None, "faces": [face]}
    return whole | about


def reply(**about: object) -> str:
    return json.dumps({"v": 1, "id": "1", "result": result(**about)})


def test_a_line_ends_in_the_stem_of_its_file() -> None:
    assert result_of("mr_bean,lawyer,freshmen,test_0", COLUMNS) == Kept("test_0", "mr_bean,lawyer,freshmen")


def test_the_form_of_2025_is_filed_by_its_request() -> None:
    assert result_of('{"request_id": "r-1", "result": "mr_bean"}', COLUMNS) == Kept("r-1", "mr_bean")


def test_the_fleets_reply_is_a_row_of_the_columns_that_are_set() -> None:
    assert result_of(reply(), COLUMNS) == Kept("test_0", "mr_bean,lawyer,freshmen")
    assert result_of(reply(faces=[], answer="unknown"), ("year",)) == Kept("test_0", "unknown,")


def test_a_job_that_failed_is_no_result_and_says_why() -> None:
    with pytest.raises(BadMessage, match="no clip") as caught:
        result_of(reply(error={"code": "bad_video", "detail": "no clip"}), COLUMNS)
    assert caught.value.code == "bad_video"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "mr_bean",
        "mr_bean,",
        "mr_\ud800,test_0",
        "a,b\nc,d",
        '"a,b',
        "{}",
        "[]",
        "7",
        '{"request_id": 7, "result": "x"}',
        "\n",
        '{"request_id": " ", "result": "x"}',
        '{"request_id": "r"}',
        '{"v": 1}',
        reply(filename=None),
        reply(faces=7),
        '{"request_id": "r", "result": "\\ud800"}',
    ],
)
def test_anything_else_is_poison(text: str) -> None:
    with pytest.raises(BadMessage):
        result_of(text, COLUMNS)


@given(
    answer=st.from_regex(r"[a-z][a-z0-9_]{0,9}", fullmatch=True),
    cells=st.lists(st.text(st.characters(codec="utf-8"), max_size=8), min_size=2, max_size=2),
    name=st.text(st.characters(codec="utf-8"), min_size=1, max_size=20),
)
def test_what_the_function_tells_is_what_comes_home(answer: str, cells: list[str], name: str) -> None:
    filename = keys.clean_filename(name)
    whole = result(answer=answer, filename=filename, faces=[{"attributes": dict(zip(COLUMNS, cells, strict=True))}])
    sent = course.message(whole, COLUMNS)
    kept = result_of(sent, COLUMNS)
    assert csvline.values_of(sent) == [*csvline.values_of(kept.line), kept.stem]
    # As the queue has it: without characters that it does not take.
    assert kept.stem == keys.stem(filename)


@given(st.text())
def test_whatever_it_holds_a_message_ends_in_our_words(text: str) -> None:
    try:
        kept = result_of(text, COLUMNS)
    except BadMessage:
        return
    assert kept.stem and kept.line.encode()
