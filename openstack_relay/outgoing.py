"""What a message of the output queue holds: a result, and what its file is to be called by. Pure."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from facefleet import answers, csvline, keys, wire
from facefleet.errors import BadMessage
from facefleet.wire import GARBAGE, Json


@dataclass(frozen=True, slots=True)
class Kept:
    """`line`: of CSV, without the stem, as `facefleet verify` reads it."""

    stem: str
    line: str


def result_of(text: str, columns: Iterable[str]) -> Kept:
    """Of `mr_bean,lawyer,freshmen,test_0`, the form of 2025, or the fleet's reply; raises `BadMessage`.

    Whatever raises is no result, or says that there is none: a job that failed.
    """
    try:
        body = json.loads(text)
    except GARBAGE:
        body = None
    if not isinstance(body, dict):
        kept = _of_line(text)
    else:
        kept = _of_form(body) if "request_id" in body else row_of(wire.load_reply(text), columns)
    try:
        kept.line.encode()
    except UnicodeEncodeError as e:
        # A message may hold halves of a character, a file not.
        raise BadMessage("a result of characters that there are not") from e
    return kept


def row_of(result: Json, columns: Iterable[str]) -> Kept:
    """Of a result's JSON; raises `BadMessage` for one that failed."""
    try:
        if (error := result["error"]) is not None:
            raise BadMessage(str(error["detail"]), code=str(error["code"]))
        line, stem = csvline.line(answers.row(result, columns)), keys.stem(keys.clean_filename(result["filename"]))
    except BadMessage:
        raise
    except GARBAGE as e:
        raise BadMessage(f"not a result of ours: {type(e).__name__} {e}"[:200]) from e
    return Kept(stem, line)


def _of_line(text: str) -> Kept:
    try:
        *row, stem = csvline.values_of(text.rstrip("\r\n"))
    except ValueError as e:
        raise BadMessage(f"not a line of results: {e}"[:200]) from e
    if not row or not stem.strip():
        raise BadMessage("not a line of results: NAME,…,STEM is expected")
    return Kept(stem, csvline.line(row))


def _of_form(body: dict[str, Any]) -> Kept:
    request_id, result = body["request_id"], body.get("result")
    if not (isinstance(request_id, str) and request_id.strip() and isinstance(result, str)):
        raise BadMessage('not a result of 2025: {"request_id": "…", "result": "…"} is expected')
    return Kept(request_id, csvline.line([result]))
