"""The other doors that a load goes in by, against services that say what each test has them say."""

import base64
import json
import socket
from pathlib import Path
from threading import Event

import pytest
from doors import CLIP, DONE, FOUND, PHOTO, code_of, sent
from standin import KEY, Asked, Reply, Said, StandIn, json_said, problem, raw

from facefleet.cli.loading.answer import STRANGE, UNREACHABLE, Answer, NoAnswer
from facefleet.cli.loading.entrances import Classic, Function, Presigned
from facefleet.cli.loading.exchange import Exchange
from facefleet.cli.loading.patience import Patience
from facefleet.cli.loading.work import Upload


@pytest.fixture
def photo(tmp_path: Path) -> Upload:
    (tmp_path / "a.jpg").write_bytes(PHOTO)
    return Upload(0, tmp_path / "a.jpg", "test_00.jpg")


@pytest.fixture
def clip(tmp_path: Path) -> Upload:
    (tmp_path / "a.mp4").write_bytes(CLIP)
    return Upload(0, tmp_path / "a.mp4", "test_0.mp4")


def classic(url: str) -> Classic:
    return Classic(Exchange(url, KEY, fresh=True), "inputFile")


def function(url: str) -> Function:
    return Function(Exchange(url, KEY))


def presigned(url: str) -> Presigned:
    return Presigned(Exchange(url, KEY), Exchange)


# The course's


def test_the_classic_upload_is_as_the_course_s_load_generators_make_it(photo: Upload) -> None:
    with StandIn(Said(200, b"test_00:Paul\n")) as service:
        door = classic(f"{service.url}/")
        assert [door.send(photo, Patience(10.0, Event())) for _ in range(2)] == [Answer("Paul")] * 2
    one, _ = service.asked
    assert service.connections == 2 and one.path == "/"
    part = one.body.partition(b"\r\n\r\n")[0]
    assert b'name="inputFile"; filename="test_00.jpg"' in part and b"Content-Type" not in part


def test_a_classic_upload_leaves_its_connection_to_nobody(photo: Upload) -> None:
    """Not even to its next one, where the server would go on: as it closes then, that would be lost."""
    later: list[bytes] = []

    def speak(connection: socket.socket) -> None:
        request = b""
        while not request.endswith(b"--\r\n"):
            request += connection.recv(65_536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\ntest_00:Paul")
        later.append(connection.recv(65_536))

    with raw(speak) as url:
        door = classic(url)
        assert [door.send(photo, Patience(10.0, Event())) for _ in range(3)] == [Answer("Paul")] * 3
    assert later[:2] == [b""] * 2


def test_the_older_dialect_s_answer_is_the_name_alone(photo: Upload) -> None:
    with StandIn(Said(200, b" Paul \n", {"Cache-Status": "facefleet; hit"})) as service:
        assert sent(Classic(Exchange(service.url), "myfile"), photo) == Answer("Paul", was_cached=True)
    assert b'name="myfile"' in service.asked[0].body


@pytest.mark.parametrize("said", [b"Paul", b"test_01:Paul", b""])
def test_a_classic_answer_to_something_else_is_a_failure(said: bytes, photo: Upload) -> None:
    with StandIn(Said(200, said)) as service:
        assert code_of(classic(service.url), photo) == STRANGE


def form(answer: dict[str, object]) -> Reply:
    """The course's function of 2025."""
    return lambda asked: json_said(200, {"request_id": json.loads(asked.body)["request_id"]} | answer)


def test_the_function_gets_json_and_its_answer_is_matched_by_the_request(photo: Upload) -> None:
    with StandIn(form({"result": "Paul"}), form({"result": "Paul", "attributes": {"year": "junior"}})) as service:
        first, second = sent(function(service.url), photo), sent(function(service.url), photo)
    asked = json.loads(service.asked[0].body)
    assert asked.keys() == {"request_id", "content", "filename"} and asked["filename"] == "test_00.jpg"
    assert base64.b64decode(asked["content"]) == PHOTO and service.asked[0].path == "/"
    assert first == Answer("Paul", None, asked["request_id"])
    assert (second.answer, second.attributes) == ("Paul", {"year": "junior"}) and second.job_id != first.job_id


@pytest.mark.parametrize("said", [json_said(200, {"request_id": "other", "result": "Paul"}), form({"result": 7})])
def test_an_answer_to_another_request_is_a_failure(said: Reply, photo: Upload) -> None:
    with StandIn(said) as service:
        assert code_of(function(service.url), photo) == STRANGE


# S3, by an address that the service gives


def granting(bucket: StandIn) -> Said:
    headers = {"Content-Type": "video/mp4", "Content-Length": str(len(CLIP))}
    upload = {"id": "c" * 32, "method": "PUT", "url": f"{bucket.url}/in/uploads/c?signed=1", "headers": headers}
    return json_said(201, {"upload": upload, "result": f"/v1/videos/{'c' * 32}"})


def test_a_clip_goes_to_the_bucket_without_our_key_and_is_then_asked_about_by_its_id(clip: Upload) -> None:
    with (
        StandIn(Said(200)) as bucket,
        StandIn(granting(bucket), json_said(202, {}, Location="/v1/videos/c"), DONE) as service,
    ):
        assert sent(presigned(service.url), clip) == FOUND
    (put,) = bucket.asked
    assert (put.method, put.path, put.body) == ("PUT", "/in/uploads/c?signed=1", CLIP)
    assert put.headers["Content-Type"] == "video/mp4" and KEY not in put.headers.values()
    begin, ask, fetch = service.asked
    assert (begin.path, json.loads(begin.body)) == ("/v1/uploads", {"filename": "test_0.mp4", "bytes": len(CLIP)})
    assert (ask.path, json.loads(ask.body)) == ("/v1/videos", {"upload": "c" * 32})
    assert (fetch.method, fetch.path) == ("GET", "/v1/videos/c")


def test_a_service_without_a_bucket_says_so(clip: Upload) -> None:
    with StandIn(problem(501, "no_uploads")) as service:
        assert code_of(presigned(service.url), clip) == "no_uploads"
    for body in ({}, {"upload": 1}, {"upload": {"id": "c", "url": "http://x", "headers": 3, "method": "PUT"}}):
        with StandIn(json_said(201, body)) as service:
            assert code_of(presigned(service.url), clip) == STRANGE


def test_a_bucket_that_refuses_the_file_is_a_failure_and_nothing_is_asked(clip: Upload) -> None:
    with StandIn(Said(403, b"<Error/>")) as bucket, StandIn(granting(bucket), DONE) as service:
        assert code_of(presigned(service.url), clip) == "http_403"
    assert len(service.asked) == 1


def test_what_a_service_says_is_told_without_what_signs_an_address(clip: Upload) -> None:
    def grant(asked: Asked) -> Said:
        upload = {"id": "c", "method": "PUT", "url": "http://127.0.0.1:9/in?X-Amz-Signature=secret", "headers": {}}
        return json_said(201, {"upload": upload})

    with StandIn(grant) as service, pytest.raises(NoAnswer) as refused:
        sent(presigned(service.url), clip)
    assert refused.value.code == UNREACHABLE and "secret" not in refused.value.detail
