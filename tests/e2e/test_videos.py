"""Clips as clients send them: short ones, long ones, ones that are none; and workers that die in the middle."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from described import Ask, asking
from PIL import Image
from services import Service, running, until

from facefleet import keys
from tests.unit.clips import clip_of, sound_alone

pytestmark = pytest.mark.slow

#: Looked at all the way, this many frames take a worker some seconds.
LONG = 15.0


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Iterator[Service]:
    """A service with two workers, which stay, and which knows obama and biden; nothing is answered from the cache."""
    settings = {"MIN_INSTANCES": "2", "MAX_INSTANCES": "2", "CACHE_BYTES": "0", "VISIBILITY_TIMEOUT": "1"}
    with running(tmp_path_factory.mktemp("own"), **settings, VIDEO_EFFORT="20") as service:
        for person, major in (("obama", "law"), ("biden", "history")):
            assert service.enrol(person, photos / f"{person}.jpg").status_code == 201
            attributes = {"attributes": {"major": major}}
            assert requests.patch(f"{service.url}/v1/people/{person}", json=attributes, timeout=60).ok
        yield service


@pytest.fixture(scope="module")
def ask(own: Service) -> Ask:
    return asking(own)


@pytest.fixture(scope="module")
def obama(photos: Path) -> Image.Image:
    return a_picture(photos / "obama2.jpg")


@pytest.fixture(scope="module")
def biden(photos: Path) -> Image.Image:
    return a_picture(photos / "biden.jpg")


def a_picture(path: Path, size: tuple[int, int] = (640, 640)) -> Image.Image:
    whole, picture = Image.new("RGB", size), Image.open(path).convert("RGB")
    picture.thumbnail(size)
    whole.paste(picture)
    return whole


def nothing(seconds: float, *, rate: int = 10, size: tuple[int, int] = (64, 48)) -> tuple[bytes, float]:
    return clip_of((Image.new("RGB", size), seconds), rate=rate), seconds


def send(ask: Ask, clip: bytes, name: str = "clip.mp4", **options: Any) -> requests.Response:
    return ask("POST", "/v1/videos", files={"file": (name, clip)}, **options)


@pytest.mark.parametrize("kind", ["mp4", "mov", "h264", "matroska", "webm"])
def test_a_short_clip_of_any_kind_is_answered_at_once(own: Service, ask: Ask, obama: Image.Image, kind: str) -> None:
    clip = clip_of((obama, 0.5), kind=kind)
    result = send(ask, clip, f"of_him.{kind}").json()
    assert (result["answer"], result["faces"][0]["attributes"]) == ("obama", {"major": "law"})
    assert result["video"]["appearances"] == []
    assert own.backend.blobs.get(keys.input_image(f"of_him.{kind}")) == clip
    assert own.backend.blobs.get(keys.answer(f"of_him.{kind}")) == b"obama"


def test_everybody_in_a_clip_is_told_with_their_time(ask: Ask, obama: Image.Image, biden: Image.Image) -> None:
    clip = clip_of((obama, 1.0), (Image.new("RGB", obama.size), 1.0), (biden, 1.0))
    result = send(ask, clip, params={"appearances": "true"}).json()
    first, second = result["video"]["appearances"]
    assert (first["person"], first["from"], round(first["to"])) == ("obama", 0.0, 1)
    assert (second["person"], second["attributes"], round(second["from"])) == ("biden", {"major": "history"}, 2)
    assert result["answer"] == "obama" and result["video"]["at"] == 0.0


def test_a_long_clip_is_answered_later_and_only_once_though_its_lease_is_short(
    own: Service, ask: Ask, obama: Image.Image
) -> None:
    """A lease of a second is extended until some seconds of work are done, or the other worker would do it, too."""
    clip = clip_of((obama, LONG))
    with_key = {"Idempotency-Key": "long"}
    response = send(ask, clip, params={"appearances": "true"}, headers=with_key | {"Prefer": "respond-async"})
    assert response.status_code == 202
    answered = until(lambda: done(ask, response.headers["Location"]), say="looked at all the way")
    assert answered["video"]["frames"] == pytest.approx(10 * LONG, abs=1) and not answered["video"]["cut"]
    until(lambda: own.backend.requests.depth().backlog == 0)
    log = (own.folder / "data/fleet/workers.log").read_text()
    assert log.count(f"job {answered['id']}: done") == 1
    again = send(ask, clip, params={"appearances": "true"}, headers=with_key)
    assert again.json() == answered and again.headers["Idempotent-Replayed"] == "true"


def done(ask: Ask, where: str) -> dict[str, Any] | None:
    response = ask("GET", where)
    return dict(response.json()) if response.status_code == 200 else None


def test_after_so_many_seconds_a_client_is_told_where_the_answer_will_be(
    start_service: Callable[..., Service], obama: Image.Image
) -> None:
    service = start_service(VIDEO_WAIT="0.1", MAX_INSTANCES="1")
    ask = asking(service)
    started = time.monotonic()
    response = send(ask, clip_of((obama, LONG)), params={"appearances": "true"})
    assert response.status_code == 202 and time.monotonic() - started < 10
    assert until(lambda: done(ask, response.headers["Location"]))["answer"] == "unknown"


@pytest.mark.parametrize(
    ("clip", "status", "code"),
    [
        (b"", 400, "empty_file"),
        (b"no clip at all", 415, "not_a_video"),
        (sound_alone, 422, "no_video_stream"),
        (lambda: nothing(1.0)[0][:200], 422, "damaged_video"),
        (lambda: clip_of((Image.new("RGB", (7680, 4320)), 0.2)), 413, "too_many_pixels"),
    ],
    ids=["empty", "text", "sound alone", "cut short", "8K"],
)
def test_a_clip_that_will_not_do_is_a_problem_that_says_what_to_do(
    ask: Ask, clip: bytes | Callable[[], bytes], status: int, code: str
) -> None:
    response = send(ask, clip if isinstance(clip, bytes) else clip())
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert "send" in response.json()["detail"]


def test_an_hour_takes_no_longer_than_is_looked_at(ask: Ask) -> None:
    clip, seconds = nothing(3600.0, rate=2)
    started = time.monotonic()
    video = send(ask, clip, params={"appearances": "true"}).json()["video"]
    assert time.monotonic() - started < 30
    assert video["cut"] and video["until"] <= 60 and video["seconds"] == pytest.approx(seconds)


def test_two_clients_with_the_same_file_name_have_each_their_own_answer(
    ask: Ask, obama: Image.Image, biden: Image.Image
) -> None:
    clips = [clip_of((picture, 0.5)) for picture in (obama, biden)] * 3
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda clip: send(ask, clip, "same.mp4").json()["answer"], clips))
    assert answers == ["obama", "biden"] * 3


def test_a_clip_whose_worker_is_killed_in_the_middle_is_answered_once(
    start_service: Callable[..., Service], obama: Image.Image
) -> None:
    service = start_service(MIN_INSTANCES="1", MAX_INSTANCES="1", VISIBILITY_TIMEOUT="1")
    ask = asking(service)
    until(lambda: any(worker["state"] == "idle" for worker in service.fleet()["workers"]))
    (worker,) = service.workers()
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(send, ask, clip_of((obama, LONG)), params={"appearances": "true"})
        until(lambda: service.backend.requests.depth().in_flight == 1)
        os.kill(worker, signal.SIGKILL)
        response = answer.result()
    where = response.headers.get("Location") or f"/v1/videos/{response.json()['id']}"
    assert until(lambda: done(ask, where))["answer"] == "unknown"
    until(lambda: service.backend.requests.depth().backlog == 0)
    assert len(list(service.backend.blobs.list(keys.RESULTS))) == 1
    assert not list(service.backend.blobs.list(keys.claim("")))


def test_the_command_line_sends_clips_by_their_names(own: Service, obama: Image.Image, tmp_path: Path) -> None:
    clip, photo = tmp_path / "lesson.MP4", tmp_path / "photo.jpg"
    clip.write_bytes(clip_of((obama, 0.5)))
    obama.save(photo)
    told = own.cli("send", str(clip), str(photo), "--appearances")
    assert told.returncode == 0, told.stderr
    of_clip, of_photo = told.stdout.splitlines()
    assert ": obama (distance 0." in of_clip and "; major law); 0.0 s to 0.4 s: obama; id " in of_clip
    assert ": obama (distance 0." in of_photo and "; major law); id " in of_photo
