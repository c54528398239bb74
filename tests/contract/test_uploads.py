"""`/v1/uploads`: a file goes to S3 by a URL that takes nothing else, and is asked about by its id, on every backend."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
import requests
from flask.testing import FlaskClient

from controller.housekeeping import forget
from facefleet import keys
from facefleet.model import Person
from facefleet.ports import Backend
from facefleet.settings import Settings
from facefleet.uploads import GOOD_FOR
from web_tier.erasure import erase_person, purge

from .conftest import OpenBackend
from .web import IMAGE, PATIENCE, code_of, is_replayed, until, web_processes, working

CLIP = b"\0\0\0\x18ftypmp42" + bytes(range(256)) * 4

OpenClient = Callable[..., FlaskClient]


@pytest.fixture
def backend(open_backend: OpenBackend) -> Backend:
    return open_backend(visibility_timeout=30.0)


@pytest.fixture
def open_client(backend: Backend, settings: Settings) -> Iterator[OpenClient]:
    """A client of a web process of its own, before the same backend."""
    with web_processes(settings, video_wait=PATIENCE) as open_it:
        yield lambda **changes: open_it(**changes).app.test_client()


@pytest.fixture
def client(backend: Backend, open_client: OpenClient) -> FlaskClient:
    return open_client()


on_aws = pytest.mark.parametrize("settings", ["aws"], indirect=True)
on_one_machine = pytest.mark.parametrize("settings", ["embedded"], indirect=True)


def begun(client: FlaskClient, filename: str = "a b.mp4", data: bytes = CLIP) -> dict[str, Any]:
    response = client.post("/v1/uploads", json={"filename": filename, "bytes": len(data)})
    assert response.status_code == 201
    body: dict[str, Any] = response.get_json()
    return body


def put(upload: dict[str, Any], data: bytes = CLIP, **headers: str) -> int:
    given = upload["headers"] | {name.replace("_", "-"): value for name, value in headers.items()}
    return requests.request(upload["method"], upload["url"], data=data, headers=given, timeout=PATIENCE).status_code


def uploaded(client: FlaskClient, filename: str = "a b.mp4", data: bytes = CLIP) -> str:
    upload = begun(client, filename, data)["upload"]
    assert put(upload, data) == 200
    return str(upload["id"])


def ask(client: FlaskClient, id: str, at: str = "/v1/videos", **more: Any) -> Any:
    return client.post(at, json={"upload": id}, **more)


@on_aws
def test_an_upload_is_answered_under_its_id_and_stays_where_it_was_put(backend: Backend, client: FlaskClient) -> None:
    body = begun(client)
    upload = body["upload"]
    assert put(upload) == 200
    with working(backend) as done:
        answered = ask(client, upload["id"])
        again = ask(client, upload["id"])
    result = answered.get_json()
    assert (answered.status_code, result["answer"], result["filename"]) == (200, "paul", "a b.mp4")
    assert done == [upload["id"]] == [result["id"]]
    assert (again.get_json(), is_replayed(answered), is_replayed(again)) == (result, False, True)
    assert client.get(body["result"]).get_json() == result
    kept = {info.key for info in backend.blobs.list(keys.INPUT)}
    assert kept == {keys.upload(upload["id"], "a b.mp4")}
    assert backend.blobs.get(keys.answer("a b.mp4")) == b"paul"


@on_aws
def test_an_image_goes_the_same_way(backend: Backend, client: FlaskClient) -> None:
    body = begun(client, "a.JPG", IMAGE)
    assert body["upload"]["headers"]["Content-Type"] == "image/jpeg"
    assert body["result"] == f"/v1/recognitions/{body['upload']['id']}"
    assert put(body["upload"], IMAGE) == 200
    with working(backend):
        assert ask(client, body["upload"]["id"], "/v1/recognitions").get_json()["answer"] == "paul"


@on_aws
def test_a_url_takes_the_file_that_was_described_and_nothing_else(backend: Backend, client: FlaskClient) -> None:
    body = begun(client)
    upload = body["upload"]
    assert upload["headers"] == {"Content-Type": "video/mp4", "Content-Length": str(len(CLIP))}
    for data, headers in ((CLIP + b"more", {}), (CLIP[1:], {}), (CLIP, {"Content_Type": "text/html"})):
        assert put(upload | {"headers": {"Content-Type": "video/mp4"}}, data, **headers) == 403
    elsewhere = upload | {"url": upload["url"].replace(upload["id"], "0" * 32)}
    assert put(elsewhere) == 403 and not list(backend.blobs.list(keys.INPUT))
    assert put(upload) == 200


@on_aws
def test_a_url_is_good_for_a_while(client: FlaskClient) -> None:
    upload = begun(client)["upload"]
    left = datetime.fromisoformat(upload["expires_at"]) - datetime.now(UTC)
    assert GOOD_FOR - 30 < left.total_seconds() <= GOOD_FOR
    assert f"X-Amz-Expires={GOOD_FOR:.0f}" in upload["url"]


@on_aws
def test_asked_by_many_at_once_and_by_another_web_process_it_is_one_job(
    backend: Backend, open_client: OpenClient
) -> None:
    clients = [open_client() for _ in range(4)]
    id = uploaded(clients[0])
    with working(backend) as done, ThreadPoolExecutor(4) as pool:
        responses = list(pool.map(lambda client: ask(client, id), clients))
    assert [one.status_code for one in responses] == [200] * 4
    assert [(one.get_json()["id"], one.get_json()["answer"]) for one in responses] == [(id, "paul")] * 4
    # Two processes that both saw it unsent send it twice: the same job, stored under its id.
    assert set(done) == {id} and len(list(backend.blobs.list(keys.RESULTS))) == 1


@on_aws
@pytest.mark.parametrize("prefer", ["wait", "respond-async"])
def test_uploads_are_not_taken_for_one_another_though_nobody_here_reads_them(
    backend: Backend, client: FlaskClient, prefer: str
) -> None:
    ids = [uploaded(client, f"{number}.mp4", CLIP + bytes(number)) for number in range(2)]
    with working(backend) as done:
        for id in ids:
            assert ask(client, id, headers={"Prefer": prefer}).status_code < 300
            until(lambda id=id: client.get(f"/v1/videos/{id}").status_code == 200)
    assert done == ids


@on_aws
def test_who_does_not_wait_finds_it_at_the_location(backend: Backend, client: FlaskClient) -> None:
    id = uploaded(client)
    response = ask(client, id, headers={"Prefer": "respond-async"})
    assert (response.status_code, response.headers["Location"]) == (202, f"/v1/videos/{id}")
    assert client.get(f"/v1/videos/{id}").status_code == 202
    with working(backend):
        until(lambda: client.get(f"/v1/videos/{id}").status_code == 200)


@on_aws
def test_before_its_file_has_come_an_upload_is_not_found(backend: Backend, client: FlaskClient) -> None:
    id = begun(client)["upload"]["id"]
    # As others may name theirs: no result of it could be asked for.
    backend.blobs.put(keys.upload("short", "a.mp4"), CLIP)
    for unknown in (id, "0" * 32, "", "../../x", "short"):
        response = ask(client, unknown)
        assert (response.status_code, code_of(response)) == (404, "no_such_upload")
        assert "PUT" in response.get_json()["detail"]


@on_aws
def test_an_upload_of_the_other_kind_is_told_where_to_go(client: FlaskClient) -> None:
    clip, image = uploaded(client), uploaded(client, "a.png", IMAGE)
    for id, at, other in ((clip, "/v1/recognitions", "/v1/videos"), (image, "/v1/videos", "/v1/recognitions")):
        response = ask(client, id, at)
        assert (response.status_code, code_of(response)) == (415, "other_kind")
        assert other in response.get_json()["detail"]


@on_aws
def test_no_one_enrols_an_upload(backend: Backend, client: FlaskClient) -> None:
    backend.people.put(Person("paul", "Paul"))
    response = ask(client, uploaded(client, "a.jpg", IMAGE), "/v1/people/paul/photos")
    assert (response.status_code, code_of(response)) == (400, "no_file")


@on_aws
@pytest.mark.parametrize("how", ["erased", "purged", "forgotten"])
def test_an_upload_goes_as_what_was_sent_goes(backend: Backend, client: FlaskClient, how: str) -> None:
    backend.people.put(Person("paul", "Paul"))
    id = uploaded(client)
    with working(backend):
        assert ask(client, id).status_code == 200
    if how == "erased":
        assert erase_person(backend.people, backend.blobs, backend.requests, "paul")
    elif how == "purged":
        until(lambda: purge(backend.requests, backend.dead, backend.blobs) is not None and not left(backend))
    else:
        until(lambda: forget(backend.blobs, 1e12) is not None and not left(backend))
    assert left(backend) == []
    assert ask(client, id).status_code == client.get(f"/v1/videos/{id}").status_code == 404


def left(backend: Backend) -> list[str]:
    areas = (keys.INPUT, keys.OUTPUT, keys.RESULTS)
    return [info.key for area in areas for info in backend.blobs.list(area, every_version=True)]


@on_aws
@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 400, "bad_upload"),
        ({"filename": "a.mp4"}, 400, "bad_upload"),
        ({"filename": "a.mp4", "bytes": 0}, 400, "bad_upload"),
        ({"filename": "a.mp4", "bytes": True}, 400, "bad_upload"),
        ({"filename": "a.mp4", "bytes": "12"}, 400, "bad_upload"),
        ({"filename": "a.exe", "bytes": 12}, 400, "bad_upload"),
        ({"filename": "mp4", "bytes": 12}, 400, "bad_upload"),
        ({"filename": "a.jpg", "bytes": 2001}, 413, "body_too_large"),
        ({"filename": "a.mp4", "bytes": 5001}, 413, "body_too_large"),
    ],
)
def test_what_may_not_be_uploaded_is_told_before_it_travels(
    open_client: OpenClient, body: dict[str, Any], status: int, code: str
) -> None:
    response = open_client(max_upload_bytes=2000, max_video_bytes=5000).post("/v1/uploads", json=body)
    assert (response.status_code, code_of(response)) == (status, code)


@on_one_machine
def test_without_a_bucket_a_client_is_told_to_send_the_file_itself(client: FlaskClient) -> None:
    begun = client.post("/v1/uploads", json={"filename": "a.mp4", "bytes": 12})
    for response in (begun, ask(client, "0" * 32), ask(client, "0" * 32, "/v1/recognitions")):
        assert (response.status_code, code_of(response)) == (501, "no_uploads")
        assert "/v1/videos" in response.get_json()["detail"]
