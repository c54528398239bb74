"""The handler under AWS's own runtime, against our side of its API: as Lambda starts it, and as it wakes it."""

import json
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from awake import taken
from unit.clips import clip_of
from woken import KEY, TEST_EVENT, Json, message, put, records

from bench import emulators
from bench.http_front import http_front
from bench.runtime_api import EXITED, Crashed, Running, running
from facefleet.backends.aws.clients import connect_clients
from facefleet.model import Box, Person, Photo
from facefleet.recognition.encoder import Encoder, open_encoder
from facefleet.recognition.images import Picture
from facefleet.settings import Settings, env_name
from lambda_tier.handler import outside_of
from lambda_tier.outside import Outside

from .bare import make_bare
from .conftest import aws

OBAMA = Person("obama", "Barack Obama", {"major": "law", "year": "1991"})


@pytest.fixture(scope="module")
def encode(models: Path) -> Encoder:
    return open_encoder(models, smallest_face=0.03)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return aws(tmp_path_factory.mktemp("function"))


@pytest.fixture(scope="module")
def outside(store: emulators.Emulator, settings: Settings, encode: Encoder, photos: Path) -> Iterator[Outside]:
    """An account where Obama is enrolled."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in store.env.items():
            patch.setenv(name, value)
        clients = connect_clients()
        make_bare(clients, settings)
        clients.sqs.create_queue(QueueName=settings.response_queue)
        outside = outside_of(settings, {})
        [face] = encode(Picture((photos / "obama.jpg").read_bytes(), max_pixels=10**8))
        photo = Photo("0" * 32, Box(0, 0, 1, 1), face.encoding.tobytes())
        outside.people.put(Person(OBAMA.id, OBAMA.name, OBAMA.attributes, (photo,)))
        yield outside


@pytest.fixture(scope="module")
def function(store: emulators.Emulator, settings: Settings, outside: Outside, models: Path) -> Iterator[Running]:
    with running(env_of(store, settings, models)) as function:
        yield function


def env_of(store: emulators.Emulator, settings: Settings, models: Path) -> dict[str, str]:
    given = {env_name(f): str(value) for f in fields(settings) if (value := getattr(settings, f.name)) != f.default}
    return {**store.env, **given, "FACEFLEET_MODELS": str(models), "FACEFLEET_API_KEYS": f"{KEY}:recognise"}


def test_a_clip_that_came_is_recognised(function: Running, outside: Outside, settings: Settings, photos: Path) -> None:
    from PIL import Image

    clip = clip_of((Image.open(photos / "obama2.jpg").convert("RGB"), 0.3))
    outside.blobs.put("in/test_7.mp4", clip)
    done = function.api.invoke(records(put(settings.input_bucket, "test_7.mp4", len(clip))))
    assert done.error is None
    assert outside.blobs.get("out/test_7") == b"obama,law,1991\n"
    assert taken(outside.responses()) == ["obama,law,1991,test_7"]


def test_a_test_event_is_nothing_to_do(function: Running) -> None:
    done = function.api.invoke(TEST_EVENT)
    assert (done.answer, done.error) == (None, None)


def test_an_event_of_nobody_is_an_error_with_words(function: Running) -> None:
    done = function.api.invoke({"hello": "world"})
    assert done.error is not None
    assert done.error["errorType"] == "BadMessage"
    assert "wire the function" in done.error["errorMessage"]


def asked(
    url: str, path: str, body: bytes | None = None, *, key: str = KEY, kind: str = "image/jpeg"
) -> tuple[int, Json]:
    request = Request(url + path, body, {"x-api-key": key, "Content-Type": kind})  # noqa: S310  # our own http address
    try:
        with urlopen(request, timeout=60) as answer:  # noqa: S310  # our own http address
            return answer.status, json.load(answer)
    except HTTPError as e:
        return e.code, json.load(e)


def test_a_frame_over_http_is_answered_with_attributes(function: Running, photos: Path) -> None:
    with http_front(function.api) as url:
        status, body = asked(url, "/", (photos / "obama2.jpg").read_bytes())
        assert (status, body["name"], body["major"], body["year"]) == (200, "obama", "law", "1991")
        assert asked(url, f"/v1/recognitions/{body['result']['id']}", None) == (200, body["result"])
        assert asked(url, "/", b"nonsense")[0] == 415
        assert asked(url, "/", b"nonsense", key="wrong")[0] == 401
        assert asked(url, "/healthz", None, key="")[0] == 200


def test_each_line_that_it_logs_is_one_of_json_and_so_are_its_metrics(
    store: emulators.Emulator, settings: Settings, outside: Outside, models: Path, tmp_path: Path
) -> None:
    with (tmp_path / "log").open("wb") as log, running(env_of(store, settings, models), stdout=log) as function:
        assert function.api.invoke(records(message("poison", "1"))).error is None
    told = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert sum("message 1 comes again" in line.get("message", "") for line in told) == 1
    assert [line["Failures"] for line in told if "_aws" in line] == [[1.0]]


def test_a_process_that_ends_over_an_event_is_told_as_lambda_tells_it(
    store: emulators.Emulator, settings: Settings, outside: Outside, models: Path
) -> None:
    with running(env_of(store, settings, models)) as function, ThreadPoolExecutor(1) as pool:
        # It has asked for an event already, and goes no further.
        function.process.send_signal(signal.SIGSTOP)
        told = pool.submit(function.api.invoke, TEST_EVENT)
        deadline = time.monotonic() + 20
        while not function.api.is_at_work and time.monotonic() < deadline:
            time.sleep(0.01)
        function.process.kill()
        assert told.result(30).error == {"errorType": "Runtime.ExitError", "errorMessage": EXITED["errorMessage"]}
        with pytest.raises(Crashed):
            function.api.invoke(TEST_EVENT)
