"""`/v1/videos` over every backend: a clip goes the way an image goes, and a client that waits too long is not lost."""

import json
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from facefleet import answers, keys, wire
from facefleet.model import JobKind
from facefleet.ports import Backend
from facefleet.problems import Problem
from facefleet.settings import Settings
from web_tier.room import Room
from web_tier.videos import CLIPS_AT_ONCE, VideoViews

from .conftest import OpenBackend
from .web import IMAGE, PATIENCE, code_of, is_replayed, until, web_processes, working

#: Its head says so; nobody here looks further.
CLIP = b"\0\0\0\x18ftypmp42" + bytes(range(256)) * 4
LATER = {"Prefer": "respond-async"}


@dataclass(frozen=True)
class Door:
    """A web process, asked about clips."""

    app: Flask

    def post(self, data: Any = CLIP, *, query: str = "?filename=a.mp4", **headers: str) -> TestResponse:
        given = {"Content-Type": "video/mp4"} | {name.replace("_", "-"): value for name, value in headers.items()}
        return self.app.test_client().post(f"/v1/videos{query}", data=data, headers=given)

    def get(self, path: str) -> TestResponse:
        return self.app.test_client().get(path)


OpenDoor = Callable[..., Door]


@pytest.fixture
def backend(open_backend: OpenBackend) -> Backend:
    return open_backend(visibility_timeout=30.0)


@pytest.fixture
def open_door(backend: Backend, settings: Settings) -> Iterator[OpenDoor]:
    """`open_door(video_wait=0.0)`: a web process with a response queue of its own, before the same backend."""
    with web_processes(settings, video_wait=PATIENCE) as open_it:
        yield lambda **changes: Door(open_it(**changes).app)


def jobs(backend: Backend) -> list[Any]:
    return [wire.load_job(message.body) for message in backend.requests.receive(limit=10)]


@pytest.mark.parametrize(
    "sent",
    [
        {"data": CLIP},
        {"data": CLIP, "Content_Type": "application/octet-stream"},
        {
            "data": json.dumps({"video": b64encode(CLIP).decode(), "filename": "a.mp4"}),
            "Content_Type": "application/json",
        },
    ],
    ids=["body", "octets", "base64"],
)
def test_a_clip_is_answered_in_every_shape_that_clients_send(
    backend: Backend, open_door: OpenDoor, sent: dict[str, Any]
) -> None:
    with working(backend):
        response = open_door().post(**sent)
    assert (response.status_code, response.get_json()["answer"]) == (200, "paul")
    assert backend.blobs.get(keys.input_image("a.mp4")) == CLIP
    assert backend.blobs.get(keys.answer("a.mp4")) == b"paul"


def test_who_waits_longer_than_is_let_is_told_where_the_result_will_be(backend: Backend, open_door: OpenDoor) -> None:
    door = open_door(video_wait=0.05)
    response = door.post()
    assert (response.status_code, response.get_json()["status"]) == (202, "queued")
    where = response.headers["Location"]
    assert where == f"/v1/videos/{response.get_json()['id']}" and "Preference-Applied" not in response.headers
    assert door.get(where).status_code == 202
    with working(backend):
        until(lambda: door.get(where).status_code == 200)
    assert door.get(where).get_json()["answer"] == "paul"


def test_a_job_says_what_was_asked_of_the_clip(backend: Backend, open_door: OpenDoor) -> None:
    door = open_door()
    for query in ("?filename=a.mp4&appearances=true&top_k=2", "?filename=b.mp4"):
        assert door.post(query=query, Prefer="respond-async").status_code == 202
    asked = {(job.kind, job.filename, job.everybody, job.top_k) for job in jobs(backend)}
    assert asked == {(JobKind.VIDEO, "a.mp4", True, 2), (JobKind.VIDEO, "b.mp4", False, 0)}


def test_a_clip_that_fits_no_message_waits_in_a_blob_that_goes_with_its_job(
    open_backend: OpenBackend, settings: Settings, open_door: OpenDoor
) -> None:
    backend = open_backend(visibility_timeout=30.0)
    door, large = open_door(), CLIP + bytes(backend.requests.max_message_bytes)
    response = door.post(large, Prefer="respond-async")
    assert [info.size for info in backend.blobs.list(keys.claim(""))] == [len(large)]
    with working(backend):
        until(lambda: door.get(response.headers["Location"]).status_code == 200)
        until(lambda: not list(backend.blobs.list(keys.claim(""))))
    assert backend.blobs.get(keys.input_image("a.mp4")) == large


def test_under_a_key_the_same_clip_counts_once_and_another_question_is_another_request(
    backend: Backend, open_door: OpenDoor
) -> None:
    door = open_door()
    with working(backend) as done:
        first, again = (door.post(Idempotency_Key="one") for _ in range(2))
        other = door.post(query="?filename=a.mp4&appearances=true", Idempotency_Key="one")
    assert (first.status_code, again.status_code, is_replayed(again)) == (200, 200, True)
    assert again.get_json() == first.get_json() and len(done) == 1
    assert (other.status_code, code_of(other)) == (422, "idempotency_key_reused")


def test_the_cache_answers_the_same_clip_and_no_other_question_about_it(backend: Backend, open_door: OpenDoor) -> None:
    door = open_door()
    with working(backend) as done:
        door.post()
        again = door.post(query="?filename=b.mp4")
        door.post(query="?filename=a.mp4&appearances=true")
    assert again.headers["Cache-Status"] == "facefleet; hit" and len(done) == 2
    assert (again.get_json()["filename"], backend.blobs.get(keys.input_image("b.mp4"))) == ("b.mp4", CLIP)


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        ({"data": b""}, 400, "empty_file"),
        ({"data": IMAGE}, 415, "not_a_video"),
        ({"data": CLIP, "Content_Type": "image/jpeg"}, 415, "unsupported_body"),
        ({"data": b"{}", "Content_Type": "application/json"}, 400, "no_file"),
        ({"data": b'{"video": "%"}', "Content_Type": "application/json"}, 400, "bad_base64"),
        ({"query": "?appearances=maybe"}, 400, "bad_appearances"),
        ({"query": "?top_k=-1"}, 400, "bad_top_k"),
    ],
)
def test_what_cannot_be_a_clip_is_told_at_the_door(
    backend: Backend, open_door: OpenDoor, sent: dict[str, Any], status: int, code: str
) -> None:
    response = open_door().post(**sent)
    assert (response.status_code, code_of(response)) == (status, code)
    assert backend.requests.depth().backlog == 0


def test_a_clip_may_be_larger_than_an_image_and_only_so_large(open_door: OpenDoor) -> None:
    door = open_door(max_upload_bytes=1000, max_video_bytes=3000)
    allowed, beyond = door.post(CLIP, **LATER), door.post(CLIP * 3, **LATER)
    assert (allowed.status_code, beyond.status_code, code_of(beyond)) == (202, 413, "body_too_large")
    image = door.app.test_client().post("/v1/recognitions", data=CLIP, headers={"Content-Type": "image/jpeg"})
    assert (image.status_code, code_of(image)) == (413, "body_too_large")


def room_of(door: Door) -> Room:
    views: VideoViews = door.app.view_functions["videos.watch"].__self__
    return views.room


def is_free(room: Room, size: int) -> bool:
    try:
        with room.held(size):
            return True
    except Problem:
        return False


def test_clips_beyond_what_a_process_has_room_for_are_sent_away_until_one_has_gone_on(open_door: OpenDoor) -> None:
    door = open_door(max_video_bytes=2000)
    with room_of(door).held(CLIPS_AT_ONCE * 2000 - len(CLIP) + 1):
        refused = door.post(CLIP, **LATER)
        assert (refused.status_code, code_of(refused)) == (503, "too_many_clips")
        assert int(refused.headers["Retry-After"]) > 0
    assert [door.post(CLIP, **LATER).status_code for _ in range(2 * CLIPS_AT_ONCE)] == [202] * 2 * CLIPS_AT_ONCE


def test_a_clip_whose_answer_is_waited_for_takes_no_room(backend: Backend, open_door: OpenDoor) -> None:
    door = open_door(max_video_bytes=2000)
    room, everything = room_of(door), CLIPS_AT_ONCE * 2000
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(door.post, Idempotency_Key="one") for _ in range(2)]
        until(lambda: backend.requests.depth().backlog == 1 and is_free(room, everything))
        assert not any(one.done() for one in waiting)
        with working(backend):
            assert {one.result().status_code for one in waiting} == {200}
    assert is_free(room, everything)


def test_a_result_that_never_was_is_not_found(open_door: OpenDoor) -> None:
    response = open_door().get(f"/v1/videos/{'0' * 32}")
    assert (response.status_code, code_of(response)) == (404, "not_found")


def test_a_promise_holds_for_a_client_that_did_not_wait(backend: Backend, open_door: OpenDoor) -> None:
    response = open_door().post(**LATER)
    assert response.headers["Preference-Applied"] == "respond-async"
    assert answers.promised(backend.blobs, response.get_json()["id"])
