"""The doors that a load goes in by, against services that say what each test has them say."""

import base64
import json
import socket
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest
from standin import KEY, Asked, Reply, Said, StandIn, json_said, problem, raw

from facefleet.cli.loading.answer import STRANGE, TIMEOUT, UNREACHABLE, UNREADABLE, Answer, NoAnswer
from facefleet.cli.loading.entrances import V1, Classic, Entrance, Function, Presigned
from facefleet.cli.loading.exchange import Exchange, retry_after
from facefleet.cli.loading.patience import Patience
from facefleet.cli.loading.work import Upload

PHOTO, CLIP = b"\xff\xd8 a photo", b"\0\0\0\x18ftypmp42 a clip"
DONE = json_said(
    200,
    {"id": "a" * 32, "answer": "paul", "error": None, "faces": [{"attributes": {"major": "physics", "year": 3}}]},
)
FOUND = Answer("paul", {"major": "physics", "year": 3}, "a" * 32)


@pytest.fixture
def photo(tmp_path: Path) -> Upload:
    (tmp_path / "a.jpg").write_bytes(PHOTO)
    return Upload(0, tmp_path / "a.jpg", "test_00.jpg")


@pytest.fixture
def clip(tmp_path: Path) -> Upload:
    (tmp_path / "a.mp4").write_bytes(CLIP)
    return Upload(0, tmp_path / "a.mp4", "test_0.mp4")


def v1(url: str) -> V1:
    return V1(Exchange(url, KEY))


def classic(url: str) -> Classic:
    return Classic(Exchange(url, KEY, fresh=True), "inputFile")


def function(url: str) -> Function:
    return Function(Exchange(url, KEY))


def presigned(url: str) -> Presigned:
    return Presigned(Exchange(url, KEY), Exchange)


def sent(entrance: Entrance, upload: Upload, *, seconds: float = 10.0) -> Answer:
    try:
        return entrance.send(upload, Patience(seconds, Event()))
    finally:
        entrance.close()


def code_of(entrance: Entrance, upload: Upload, *, seconds: float = 10.0) -> str:
    with pytest.raises(NoAnswer) as refused:
        sent(entrance, upload, seconds=seconds)
    return refused.value.code


# /v1


def test_a_photo_and_a_clip_go_where_each_is_answered(photo: Upload, clip: Upload) -> None:
    with StandIn(DONE) as service:
        assert (sent(v1(service.url), photo), sent(v1(service.url), clip)) == (FOUND, FOUND)
    first, second = service.asked
    assert (first.path, second.path) == ("/v1/recognitions", "/v1/videos")
    assert b'name="file"; filename="test_00.jpg"' in first.body and PHOTO in first.body
    assert CLIP in second.body and first.headers["x-api-key"] == KEY


def test_somebody_unknown_is_an_answer_and_has_no_attributes(photo: Upload) -> None:
    nobody = json_said(200, {"id": "b", "answer": "unknown", "error": None, "faces": [{"attributes": {}}]})
    with StandIn(nobody) as service:
        assert sent(v1(service.url), photo) == Answer("unknown", {}, "b")


@pytest.mark.parametrize("first", [202, 504])
def test_an_answer_that_comes_later_is_fetched_where_it_will_be(photo: Upload, first: int) -> None:
    later = json_said(first, {"id": "a", "status": "queued"}, Location="/v1/videos/a")
    queued = json_said(202, {"id": "a", "status": "queued"})
    with StandIn(later, queued, DONE) as service:
        assert sent(v1(service.url), photo) == FOUND
    assert [(one.method, one.path) for one in service.asked[1:]] == [("GET", "/v1/videos/a")] * 2


def test_behind_a_gateway_with_stages_an_answer_is_fetched_there_too(photo: Upload) -> None:
    for location in ("/v1/videos/a", "/prod/v1/videos/a"):
        with StandIn(json_said(202, {}, Location=location), DONE) as service:
            assert sent(v1(f"{service.url}/prod/"), photo) == FOUND
        assert [one.path for one in service.asked] == ["/prod/v1/recognitions", "/prod/v1/videos/a"]


def test_nobody_else_is_told_our_key(photo: Upload) -> None:
    with StandIn(DONE) as other:
        for said in (202, 302):
            with StandIn(json_said(said, {}, Location=f"{other.url}/v1/videos/a")) as service:
                assert code_of(v1(service.url), photo) in (STRANGE, "http_302")
    assert other.asked == []


def test_a_busy_service_is_asked_again_when_it_says_and_that_is_counted(photo: Upload) -> None:
    busy = problem(503, "too_many_uploads", Retry_After="0"), problem(429, "throttled", Retry_After="0")
    patience = Patience(10.0, Event())
    with StandIn(*busy, DONE) as service:
        assert v1(service.url).send(photo, patience) == FOUND
    assert patience.retries == 2 and service.asked[0].body.count(PHOTO) == service.asked[2].body.count(PHOTO) == 1


def test_a_busy_service_that_says_no_time_or_one_too_late_is_a_failure(photo: Upload) -> None:
    for said in (problem(503, "too_many_uploads"), problem(503, "too_many_uploads", Retry_After="60")):
        with StandIn(said) as service:
            assert code_of(v1(service.url), photo) == "too_many_uploads"
        assert len(service.asked) == 1


def test_the_time_to_come_again_may_be_a_date() -> None:
    assert retry_after({"Retry-After": "Wed, 21 Oct 2015 07:28:05 GMT"}, 1445412480.0) == 5.0
    assert retry_after({"Retry-After": "Wed, 21 Oct 2015 07:28:05 GMT"}, 1445499999.0) == 0.0
    assert retry_after({"Retry-After": "120"}, 0.0) == 120.0
    assert [retry_after({"Retry-After": text}, 0.0) for text in ("", "soon", "-1", "²")] == [None] * 4


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (problem(415, "not_an_image"), "not_an_image"),
        (Said(500, b"<h1>oh</h1>"), "http_500"),
        (json_said(404, {"code": "x"}), "http_404"),
        (Said(200, b"hello"), STRANGE),
        (Said(200, b"[1]"), STRANGE),
        (json_said(200, {"status": "ok"}), STRANGE),
        (json_said(200, {"error": None, "answer": "a", "id": "b", "faces": [1]}), STRANGE),
        (json_said(200, {"error": {"code": "not_a_video", "detail": "send another"}}), "not_a_video"),
        (json_said(202, {"id": "a"}), STRANGE),
    ],
)
def test_what_went_wrong_has_a_code(said: Said, code: str, photo: Upload) -> None:
    with StandIn(said) as service:
        assert code_of(v1(service.url), photo) == code


def test_nobody_there_is_a_failure_and_not_the_end(photo: Upload) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    assert code_of(v1(url), photo) == UNREACHABLE
    with raw(lambda connection: connection.recv(10)) as url:
        assert code_of(v1(url), photo) == UNREACHABLE
    photo.file.unlink()
    assert code_of(v1(url), photo) == UNREADABLE


def drip(connection: socket.socket) -> None:
    connection.recv(65_536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(100):
        connection.sendall(b"x")
        time.sleep(0.05)


def silence(connection: socket.socket) -> None:
    while connection.recv(65_536):
        pass


@pytest.mark.parametrize("speak", [drip, silence])
def test_no_server_holds_an_upload_longer_than_its_time(speak: Callable[[socket.socket], None], photo: Upload) -> None:
    with raw(speak) as url:
        began = time.monotonic()
        assert code_of(v1(url), photo, seconds=0.5) == TIMEOUT
        assert time.monotonic() - began < 2.0


def test_an_answer_that_is_looked_for_in_vain_ends_in_time(photo: Upload) -> None:
    with StandIn(json_said(202, {}, Location="/v1/videos/a")) as service:
        assert code_of(v1(service.url), photo, seconds=0.6) == TIMEOUT


def endless(connection: socket.socket) -> None:
    connection.recv(65_536)
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        connection.sendall(b"x" * 1_000_000)


def test_an_answer_without_end_fills_no_memory(photo: Upload) -> None:
    with raw(endless) as url:
        assert code_of(v1(url), photo) == STRANGE


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
