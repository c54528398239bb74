"""A load by `/v1`, and how long an upload may take by any door: services say what each test has them say."""

import socket
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest
from doors import CLIP, DONE, FOUND, PHOTO, code_of, sent
from standin import KEY, Said, StandIn, json_said, problem, raw

from facefleet.cli.loading.answer import STRANGE, TIMEOUT, UNREACHABLE, UNREADABLE, Answer
from facefleet.cli.loading.entrances import V1
from facefleet.cli.loading.exchange import Exchange, retry_after
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


def v1(url: str) -> V1:
    return V1(Exchange(url, KEY))


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
