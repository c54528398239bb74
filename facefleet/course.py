"""What the course's systems expect: a line of CSV for each clip, a message that ends in its name, JSON for a frame."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from facefleet import answers, csvline, keys
from facefleet.answers import Store
from facefleet.model import Job, Result
from facefleet.ports import Blobs
from facefleet.wire import Json


def store_line(columns: Iterable[str], ending: str = "") -> Store:
    """Keeps the result by id, and under the file's stem, with this ending, `mr_bean,lawyer,freshmen`.

    What came into the bucket lies there already.
    """
    columns = tuple(columns)

    def store(blobs: Blobs, job: Job, result: Result, image: bytes | None) -> Json:
        whole = answers.whole_of(job, result)
        kept: dict[str, bytes] = {}
        if whole["error"] is None:
            key = keys.answer(job.filename, ending)
            kept[key] = f"{csvline.line(answers.row(whole, columns))}\n".encode()
            if ending:
                # An erasure finds it where the setting is another one by then, or nobody's: a web tier has none.
                whole[answers.LINE] = key
        # Last: whoever finds it takes the job as done.
        kept[keys.result(job.id)] = json.dumps(whole).encode()
        blobs.put_all(kept)
        return answers.shown(whole)

    return store


def store_result(blobs: Blobs, job: Job, result: Result, image: bytes | None) -> Json:
    """Keeps the result by id alone: an image in the input bucket would wake the function once more."""
    whole = answers.whole_of(job, result)
    blobs.put(keys.result(job.id), json.dumps(whole).encode())
    return answers.shown(whole)


def message(result: Json, columns: Iterable[str]) -> str:
    """`mr_bean,lawyer,freshmen,test_0`, of characters that a queue takes."""
    line = csvline.line([*answers.row(result, columns), keys.stem(result["filename"])])
    return "".join(c if c.isprintable() or c in "\r\n\t" else "_" for c in line)


def frame_answer(result: Json) -> Json:
    """`{"name": "mr_bean", "major": "lawyer", …, "result": {…}}`: every attribute of who answers."""
    attributes = result["faces"][0]["attributes"] if result["faces"] else {}
    return {**attributes, "name": result["answer"], "result": result}


def asked_by_form(body: Mapping[str, Any]) -> str | None:
    """The `request_id` of the form of 2025, `{"request_id": "…", "content": "<base64>", "filename": "a.jpg"}`."""
    request_id = body.get("request_id")
    return request_id if isinstance(request_id, str) and request_id and isinstance(body.get("content"), str) else None


def form_answer(request_id: str, result: Json) -> Json:
    return {"request_id": request_id, "result": result["answer"]}
