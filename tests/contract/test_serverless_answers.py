"""What the stack tells its function, told to the real handler under the real runtime: `deploy` sees it answer."""

import json
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from awake import enrol, taken
from click.testing import CliRunner
from PIL import Image
from unit.clips import clip_of
from woken import Json, put, records

from bench.emulators import AccountEmulator
from bench.http_front import http_front
from bench.runtime_api import running
from facefleet.backends.aws import function
from facefleet.cli.__main__ import main
from facefleet.settings import Settings

from .serverless import answering, deployment, names, pushed


@pytest.fixture
def name(one_account: AccountEmulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with deployment(one_account, monkeypatch) as name:
        yield name


def deploy(name: str, image: str, url: str) -> Json:
    words = ("deploy", "--serverless", "--name", name, "--image", image, "--at", url, "--yes", "--json")
    done = CliRunner().invoke(main, [*words, "--patience", "60"])
    assert done.exit_code == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_the_handler_answers_with_what_its_stack_tells_it(
    name: str, one_account: AccountEmulator, models: Path, photos: Path
) -> None:
    image = pushed(f"v{name}")
    with answering() as (door, _):
        told = deploy(name, image, door)
    configured = boto3.client("lambda").get_function_configuration(FunctionName=f"{name}-function")
    env = configured["Environment"]["Variables"] | {"FACEFLEET_MODELS": str(models)}
    with running({**one_account.env, **env}) as process:
        with http_front(process.api) as url:
            assert deploy(name, image, url)["done"] is False
        settings = Settings.from_env(names(name) | {"FACEFLEET_BACKEND": "aws"})
        account = function.connect(settings)
        enrol(account.people)
        clip = clip_of((Image.open(photos / "obama2.jpg").convert("RGB"), 0.3))
        account.blobs.put("in/test_7.mp4", clip)
        assert process.api.invoke(records(put(told["input_bucket"], "test_7.mp4", len(clip)))).error is None
        assert account.blobs.get("out/test_7") == b"unknown,,\n"
        assert taken(account.queue(settings.response_queue)) == ["unknown,,,test_7"]
        account.blobs.put("in/test_8.mp4", b"no clip")
        process.api.invoke(records(put(told["input_bucket"], "test_8.mp4", 7)))
        (letter,) = taken(account.queue(told["dead_letters"]))
        assert json.loads(letter)["responsePayload"]["errorType"] == "not_a_video"
