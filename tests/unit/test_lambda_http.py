"""Requests to a function: the fleet's routes, the course's forms, and what is wrong with a request in clear words."""

import base64
import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from awake import (
    BLACK,
    GREEN,
    RED,
    Place,
    answered,
    enrol,
    file_of,
    function_of,
    headers_of,
    image_of,
    keys_of,
    picture,
    place,
)
from clips import clip_of, sound_alone
from PIL import Image
from woken import Json, asked_1, asked_2

from facefleet.backends import connect
from facefleet.ports import Presigned
from facefleet.settings import Settings
from lambda_tier.uploaded import GIVEN_UP

PHOTO = picture(RED)
CLIP = clip_of((image_of(BLACK), 0.2), (image_of(RED), 0.3))
#: More of it than a header.
NOISE = file_of(Image.effect_noise((256, 256), 90))
TEXT = base64.b64encode(PHOTO).decode()
JSON = {"Content-Type": "application/json"}
ASKED = [asked_1, asked_2]
Asked = Callable[..., Json]


@pytest.fixture
def here(tmp_path: Path) -> Place:
    settings = Settings(data=tmp_path)
    made = place(connect(settings), settings)
    enrol(made.backend.people)
    return made


def form(name: str, data: bytes, filename: str = "a.jpg") -> tuple[bytes, dict[str, str]]:
    head = f'--x y\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"\r\n\r\n'.encode()
    other = b'--x y\r\nContent-Disposition: form-data; name="note"\r\n\r\nhello\r\n'
    return other + head + data + b"\r\n--x y--\r\n", {"Content-Type": 'multipart/form-data; boundary="x y"'}


#: With a comment as the boundary is, in the middle of a line.
HAS_BOUNDARY = PHOTO[:2] + b"\xff\xfe\x00\x07--x y" + PHOTO[2:]
SHAPES = {
    "a form of a file that holds its boundary": form("file", HAS_BOUNDARY),
    "the image": (PHOTO, {"Content-Type": "image/jpeg"}),
    "without a type": (PHOTO, {}),
    "base64 as text": (TEXT, {"Content-Type": "text/plain"}),
    "base64 as text, said to be an image": (TEXT.encode(), {"Content-Type": "image/jpeg"}),
    "a browser's": (f"data:image/jpeg;base64,{TEXT}", {}),
    "a form": form("file", PHOTO),
    "a form of another field": form("anything", PHOTO),
    **{
        f"JSON {field}": (json.dumps({field: TEXT}), JSON)
        for field in ("image", "content", "frame", "body", "file", "video")
    },
    "JSON without a type": (json.dumps({"image": TEXT}), {}),
    "JSON as base64": (json.dumps({"image": TEXT}).encode(), JSON),
}


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_frame_in_any_shape_is_answered_with_who_it_is_and_what_they_study(
    here: Place, asked: Asked, shape: str
) -> None:
    body, headers = SHAPES[shape]
    status, told = answered(here.wake(asked("POST", "/any/path", body, headers=headers)))
    assert (status, told["name"], told["major"], told["year"]) == (200, "mr_bean", "lawyer", "freshmen")
    assert told["result"]["answer"] == "mr_bean"


def test_a_stranger_is_unknown_and_has_no_attributes(here: Place) -> None:
    status, told = answered(here.wake(asked_2("POST", "/", picture(GREEN))))
    assert (status, told["name"], set(told)) == (200, "unknown", {"name", "result"})


def test_a_clip_is_answered_as_a_frame_is(here: Place) -> None:
    _, told = answered(here.wake(asked_2("POST", "/", CLIP)))
    assert (told["name"], told["result"]["video"]["at"]) == ("mr_bean", 0.2)


@pytest.mark.parametrize("asked", ASKED)
def test_the_form_of_2025_is_answered_and_told(here: Place, asked: Asked) -> None:
    body = json.dumps({"request_id": "r-1", "content": TEXT, "filename": "test_00.jpg"})
    status, told = answered(here.wake(asked("POST", "/", body, headers=JSON)))
    assert (status, told) == (200, {"request_id": "r-1", "result": "mr_bean"})
    assert [json.loads(text) for text in here.sent()] == [told]


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("stage", ["", "/prod", "/my/base"])
def test_the_fleets_routes_answer_as_the_fleet(here: Place, asked: Asked, stage: str) -> None:
    made = here.wake(asked("POST", f"{stage}/v1/recognitions", PHOTO, filename="me.jpg", top_k="1"))
    status, result = answered(made)
    assert (status, result["filename"], result["answer"]) == (200, "me.jpg", "mr_bean")
    assert [one["person"] for one in result["faces"][0]["candidates"]] == ["mr_bean"]
    assert answered(here.wake(asked("GET", f"{stage}/v1/recognitions/{result['id']}"))) == (200, result)
    assert headers_of(made)["content-type"] == "application/json"


def test_appearances_are_told_where_they_are_asked_for(here: Place) -> None:
    _, bare = answered(here.wake(asked_2("POST", "/v1/videos", CLIP)))
    _, whole = answered(here.wake(asked_2("POST", "/v1/videos", CLIP, appearances="true")))
    assert bare["video"]["appearances"] == []
    assert [(one["person"], one["from"]) for one in whole["video"]["appearances"]] == [("mr_bean", 0.2)]


def test_nothing_of_a_frame_is_kept_but_its_result(here: Place) -> None:
    # What lay in the input bucket would wake the function.
    here.wake(asked_2("POST", "/", PHOTO))
    assert [key.partition("/")[0] for key in keys_of(here.backend.blobs, "in/", "out/", "results/")] == ["results"]


WRONG = {
    "nothing": ("/", b"", {}, 400, "no_file"),
    "no image": ("/", b"nonsense", {}, 415, "not_an_image"),
    "no base64": ("/", '{"image": "!"}', JSON, 400, "bad_base64"),
    "no text": ("/", '{"image": 5}', JSON, 400, "no_file"),
    "no object": ("/", "[", JSON, 400, "bad_json"),
    "nested without end": ("/", '{"a":' * 100_000, JSON, 400, "bad_json"),
    "no field": ("/", "{}", JSON, 400, "no_file"),
    "a form without a file": (
        "/",
        *form("file", b"")[:1],
        {"Content-Type": "multipart/form-data"},
        400,
        "malformed_request",
    ),
    "an empty file": ("/", *form("file", b""), 400, "empty_file"),
    "a form of nothing": ("/", b"--x--", {"Content-Type": "multipart/form-data; boundary=x"}, 400, "no_file"),
    "a cut photo": ("/", NOISE[:-3000], {}, 422, "damaged_image"),
    "sound": ("/", sound_alone(), {}, 422, "no_video_stream"),
    "a photo for a clip": ("/v1/videos", PHOTO, {}, 415, "not_a_video"),
    "a clip for a photo": ("/v1/recognitions", CLIP, {}, 415, "not_an_image"),
    "an upload, where there is no bucket": (
        "/v1/uploads",
        '{"filename": "a.mp4", "bytes": 9}',
        JSON,
        501,
        "no_uploads",
    ),
    "an unknown upload": ("/v1/videos", '{"upload": "abc"}', JSON, 404, "no_such_upload"),
    "a route that is not": ("/v1/people", PHOTO, {}, 404, "not_found"),
    "a key of blanks": ("/v1/recognitions", PHOTO, {"Idempotency-Key": " "}, 400, "bad_idempotency_key"),
    "half a quoted key": ("/v1/recognitions", PHOTO, {"Idempotency-Key": '"a'}, 400, "bad_idempotency_key"),
}


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_said_with_a_code_and_words(here: Place, asked: Asked, wrong: str) -> None:
    path, body, headers, expected, code = WRONG[wrong]
    answer = here.wake(asked("POST", path, body, headers=headers))
    status, problem = answered(answer)
    assert (status, problem["code"], problem["status"]) == (expected, code, expected)
    assert problem["type"] == f"urn:facefleet:problem:{code}"
    assert len(problem["detail"]) > 10
    assert headers_of(answer)["content-type"] == "application/problem+json"


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize(
    ("name", "value"), [("top_k", "-1"), ("top_k", "101"), ("top_k", "²"), ("appearances", "maybe")]
)
def test_a_parameter_out_of_bounds_is_refused(here: Place, asked: Asked, name: str, value: str) -> None:
    status, problem = answered(here.wake(asked("POST", "/v1/videos", CLIP, **{name: value})))
    assert (status, problem["code"]) == (400, f"bad_{name}")


def test_a_result_that_nobody_knows_is_not_found(here: Place) -> None:
    for id in ("a" * 32, "..", "x"):
        status, problem = answered(here.wake(asked_2("GET", f"/v1/videos/{id}")))
        assert (status, problem["code"]) == (404, "not_found")


def test_an_upload_is_asked_for_put_waited_for_and_found(here: Place) -> None:
    def presign(key: str, *, size: int, type: str, seconds: float) -> Presigned:
        return Presigned(f"https://bucket/{key}", {"Content-Type": type, "Content-Length": str(size)})

    here = replace(here, function=function_of(replace(here.outside, presign=presign), here.settings))
    wanted = json.dumps({"filename": "my clip.mp4", "bytes": len(CLIP)})
    status, told = answered(here.wake(asked_2("POST", "/v1/uploads", wanted, headers=JSON)))
    upload, where = told["upload"], told["result"]
    assert (status, upload["method"], where) == (201, "PUT", f"/v1/videos/{upload['id']}")
    assert upload["headers"] == {"Content-Type": "video/mp4", "Content-Length": str(len(CLIP))}
    assert upload["expires_at"].endswith("Z")
    named = json.dumps({"upload": upload["id"]})
    assert answered(here.wake(asked_2("POST", "/v1/videos", named, headers=JSON)))[0] == 404
    here.backend.blobs.put(f"in/uploads/{upload['id']}/my clip.mp4", CLIP)
    queued = here.wake(asked_2("POST", "/v1/videos", named, headers=JSON))
    assert answered(queued) == (202, {"id": upload["id"], "status": "queued"})
    assert (headers_of(queued)["location"], headers_of(queued)["retry-after"]) == (where, "1")
    assert answered(here.wake(asked_2("GET", where)))[0] == 202
    status, problem = answered(here.wake(asked_2("POST", "/v1/recognitions", named, headers=JSON)))
    assert (status, problem["code"]) == (415, "other_kind")


def test_a_photo_that_was_uploaded_is_recognised_when_it_is_asked_about(here: Place) -> None:
    here.backend.blobs.put(f"in/uploads/{'d' * 32}/me.jpg", PHOTO)
    named = json.dumps({"upload": "d" * 32})
    asked = asked_2("POST", "/v1/recognitions", named, headers=JSON)
    status, result = answered(here.wake(asked))
    assert (status, result["id"], result["filename"], result["answer"]) == (200, "d" * 32, "me.jpg", "mr_bean")
    assert answered(here.wake(asked)) == (200, result)
    assert here.blob("out/me") == "mr_bean,lawyer,freshmen\n"


def test_an_upload_s_line_has_the_ending_that_is_set(here: Place) -> None:
    settings = replace(here.settings, line_suffix=".csv")
    here.function = function_of(here.outside, settings)
    here.backend.blobs.put(f"in/uploads/{'d' * 32}/me.jpg", PHOTO)
    named = json.dumps({"upload": "d" * 32})
    assert answered(here.wake(asked_2("POST", "/v1/recognitions", named, headers=JSON)))[0] == 200
    assert keys_of(here.backend.blobs, "out/") == ["out/me.csv"]


def test_an_upload_that_no_url_would_have_let_in_is_not_read(here: Place) -> None:
    here.backend.blobs.put(f"in/uploads/{'d' * 32}/me.jpg", PHOTO)
    function = function_of(here.outside, replace(here.settings, max_upload_bytes=len(PHOTO) - 1))
    asked = asked_2("POST", "/v1/recognitions", json.dumps({"upload": "d" * 32}), headers=JSON)
    status, problem = answered(replace(here, function=function).wake(asked))
    assert (status, problem["code"]) == (413, "body_too_large")


def test_a_clip_that_lambda_has_given_up_is_not_waited_for_any_more(here: Place) -> None:
    key = f"in/uploads/{'d' * 32}/a.mp4"
    here.backend.blobs.put(key, CLIP)
    asked = asked_2("GET", f"/v1/videos/{'d' * 32}")
    assert answered(here.wake(asked))[0] == 202
    file = here.backend.blobs.local(key)
    os.utime(file, (time.time() - GIVEN_UP - 60,) * 2)
    status, problem = answered(here.wake(asked))
    assert (status, problem["code"]) == (422, "given_up")
