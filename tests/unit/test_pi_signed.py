"""Captures that go right into the service's bucket, by URLs that it signs: nothing twice, and nowhere less safe."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from standin import KEY, Asked, Entrance, Said, StandIn, json_said, problem
from test_pi_entrances import CLIP, DATA, PHOTO, at_once, methods, service

from pi_uploader.addresses import may_take
from pi_uploader.door import Away
from pi_uploader.spool import Item

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("item", "place"), [(CLIP, "videos"), (PHOTO, "recognitions")])
def test_a_signed_url_takes_the_capture_and_no_key(item: Item, place: str) -> None:
    with StandIn(Entrance(looks=2)) as standin:
        answer = service(standin, presigned=True).ask(item, DATA, at_once)
    wanted, put, asked, *_ = standin.asked
    assert json.loads(wanted.body) == {
        "filename": f"pi-20251122T040000-{item.key[:8]}.{item.suffix}",
        "bytes": len(DATA),
        "sha256": sha256(DATA).hexdigest(),
    }
    assert (put.method, put.body) == ("PUT", DATA)
    assert {"x-api-key", "Authorization", "Idempotency-Key"} & set(put.headers) == set()
    assert (put.headers["Content-Type"], put.headers["x-amz-a"], put.headers["Content-Length"]) == (
        "video/mp4",
        "b",
        str(len(DATA)),
    )
    assert (asked.path, json.loads(asked.body)) == (f"/v1/{place}", {"upload": f"{1:032x}"})
    assert asked.headers["x-api-key"] == KEY
    assert answer.people == ("Mary",)


def test_a_try_again_uses_the_url_that_there_is_and_puts_nothing_twice() -> None:
    entrance = Entrance()
    down = {"PUT": 1, "POST /v1/videos": 2}

    def now_and_then_down(asked: Asked) -> Said:
        for what, left in down.items():
            if left and f"{asked.method} {asked.path}".startswith(what):
                down[what] -= 1
                return Said(503, b"<html>")
        return entrance(asked)

    with StandIn(now_and_then_down) as standin:
        entrance.url = standin.url
        asking = service(standin, presigned=True)
        for _ in range(3):
            with pytest.raises(Away):
                asking.ask(CLIP, DATA, at_once)
        assert asking.ask(CLIP, DATA, at_once).people == ("Mary",)
    counts = {what: sum(one.startswith(what) for one in methods(standin)) for what in ("POST /v1/uploads", "PUT")}
    assert counts == {"POST /v1/uploads": 1, "PUT": 2}


def test_a_url_that_is_too_old_is_asked_for_anew() -> None:
    entrance = Entrance()
    entrance.gone.add(f"{1:032x}")
    with StandIn(entrance) as standin:
        asking = service(standin, presigned=True)
        with pytest.raises(Away, match=r"does not take them \(403\)"):
            asking.ask(CLIP, DATA, at_once)
        assert asking.ask(CLIP, DATA, at_once).people == ("Mary",)
    assert entrance.put == {f"{2:032x}": DATA}


def test_an_upload_that_is_gone_begins_anew() -> None:
    entrance = Entrance()
    with StandIn(entrance) as standin:
        asking = service(standin, presigned=True)

        def gone(asked: Asked) -> Said:
            entrance.put.clear()
            standin.replies[:] = [entrance]
            return entrance(asked)

        standin.replies[:] = [entrance, entrance, gone]
        with pytest.raises(Away):
            asking.ask(CLIP, DATA, at_once)
        assert asking.ask(CLIP, DATA, at_once).people == ("Mary",)
    assert entrance.uploads == 2


def test_a_service_without_a_bucket_says_what_to_set() -> None:
    with (
        StandIn(problem(501, "no_uploads", "this service has no bucket")) as standin,
        pytest.raises(Away, match="set upload to direct"),
    ):
        service(standin, presigned=True).ask(CLIP, DATA)


def test_no_url_is_told_to_anybody_since_it_is_a_secret() -> None:
    upload = {"id": "0" * 32, "url": "http://127.0.0.1:9/b?X-Amz-Signature=secret", "headers": {}}
    with StandIn(json_said(201, {"upload": upload})) as standin, pytest.raises(Away) as caught:
        service(standin, presigned=True).ask(CLIP, DATA)
    assert "http://127.0.0.1:9 cannot be reached" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_no_line_of_a_log_has_a_signed_url(tmp_path: Path) -> None:
    entrance = Entrance()

    def oddly(asked: Asked) -> Said:
        said = entrance(asked)
        # Of what is no header urllib3 warns, with the whole address.
        return replace(said, headers={"Content-Length": "0", "no header": "a"}) if asked.method == "PUT" else said

    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8picture")
    (tmp_path / "pi.toml").write_text('upload = "presigned"\n')
    with StandIn(oddly) as standin:
        entrance.url = standin.url
        options = ("--settings", tmp_path / "pi.toml", "--data", tmp_path / "data", "--camera", f"folder:{tmp_path}")
        command = [sys.executable, "-m", "pi_uploader", "--url", standin.url, *options, "live", "--seconds", "0.1"]
        env = os.environ | {"HOME": str(tmp_path)}
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)
    assert "1 answered" in done.stdout
    assert "ecret" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    "upload",
    [None, [], {}, {"id": "0", "url": "http://127.0.0.1:9"}, {"id": "0", "url": 7, "headers": {}}],
)
def test_what_is_no_upload_is_no_answer(upload: object) -> None:
    with StandIn(json_said(201, {"upload": upload})) as standin, pytest.raises(Away):
        service(standin, presigned=True).ask(CLIP, DATA)
    assert methods(standin) == ["POST /v1/uploads"]


def test_a_redirect_of_the_bucket_is_not_followed() -> None:
    with StandIn(Said(200)) as other:
        entrance = Entrance()

        def sent_on(asked: Asked) -> Said:
            return Said(307, b"", {"Location": f"{other.url}/b"}) if asked.method == "PUT" else entrance(asked)

        with StandIn(sent_on) as standin:
            entrance.url = standin.url
            with pytest.raises(Away, match="307"):
                service(standin, presigned=True).ask(CLIP, DATA)
    assert other.asked == []


@pytest.mark.parametrize(
    ("url", "service_url", "may"),
    [
        ("https://bucket.s3.amazonaws.com/a?b", "https://facefleet.test", True),
        ("http://bucket.s3.amazonaws.com/a?b", "https://facefleet.test", False),
        ("http://10.0.0.7:5566/a", "http://10.0.0.7:8000", True),
        ("http://127.0.0.1:5566/a", "https://facefleet.test", True),
        ("ftp://facefleet.test/a", "http://facefleet.test", False),
        ("file:///etc/passwd", "http://facefleet.test", False),
        ("https://a:b@facefleet.test/", "https://facefleet.test", False),
        ("https://", "https://facefleet.test", False),
        ("https://[", "https://facefleet.test", False),
        ("https://facefleet.test:99999/", "https://facefleet.test", False),
    ],
)
def test_a_capture_goes_nowhere_where_it_is_less_safe(url: str, service_url: str, may: bool) -> None:
    assert may_take(url, service_url) is may
