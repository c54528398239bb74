"""The function's image, really built: it answers through Lambda's Runtime API, on a read-only root, as nobody."""

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from PIL import Image as Picture

from bench.cold_start import frame, most_memory
from bench.container import Image
from bench.runtime_api import Running
from tests.unit.clips import clip_of

from .conftest import Account, started

pytestmark = [pytest.mark.image, pytest.mark.timeout(600)]

#: The least that Lambda gives a function with so much work to do in time, and what a start may take on a busy machine.
MEMORY = 512 << 20
START = 5.0


def created(bucket: str, key: str) -> dict[str, Any]:
    """What S3 tells of an object: https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html"""
    told = {"bucket": {"name": bucket}, "object": {"key": key, "size": 1, "eTag": uuid4().hex, "sequencer": "0"}}
    return {"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": told}]}


@pytest.fixture(scope="module")
def clip(photos: Path) -> bytes:
    """Two seconds of 1080p."""
    obama = Picture.open(photos / "obama2.jpg").convert("RGB")
    obama.thumbnail((1080, 1080))
    image = Picture.new("RGB", (1920, 1080))
    image.paste(obama, (400, 0))
    return clip_of((image, 2.0), rate=25)


def test_a_frame_is_answered_with_the_persons_attributes(up: Running, photos: Path) -> None:
    answer = up.api.invoke(frame((photos / "obama2.jpg").read_bytes())).answer
    assert answer["statusCode"] == 200, answer
    body = json.loads(answer["body"])
    assert (body["name"], body["major"], body["year"]) == ("obama", "law", "senior")


def test_without_a_key_nobody_is_named(up: Running, photos: Path) -> None:
    assert up.api.invoke(frame((photos / "obama2.jpg").read_bytes(), **{"x-api-key": "no"})).answer["statusCode"] == 401


def test_a_clip_of_1080p_becomes_a_line_in_no_more_memory_than_lambda_gives(
    function: Image, account: Account, clip: bytes, tmp_path: Path
) -> None:
    settings, s3 = account.settings, account.clients.s3
    s3.put_object(Bucket=settings.input_bucket, Key="test_0.mp4", Body=clip)
    with started(function, account, tmp_path / "log") as own:
        own.api.invoke(created(settings.input_bucket, "test_0.mp4"))
        line = s3.get_object(Bucket=settings.output_bucket, Key="test_0")["Body"].read()
        assert line == b"obama,law,senior\n", (tmp_path / "log").read_text()
        assert most_memory(own.process.pid) < MEMORY
    url = account.clients.sqs.get_queue_url(QueueName=settings.response_queue)["QueueUrl"]
    (message,) = account.clients.sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5)["Messages"]
    assert message["Body"] == "obama,law,senior,test_0"


def test_it_starts_soon(up: Running) -> None:
    assert up.init_seconds < START


def test_an_event_of_nobodys_ends_in_an_error_and_not_the_function(up: Running, photos: Path) -> None:
    error = up.api.invoke({"nonsense": True}).error
    assert error is not None and error["errorType"] == "BadMessage"
    assert up.api.invoke(frame((photos / "biden.jpg").read_bytes())).answer["statusCode"] == 200


def test_an_image_that_is_none_is_the_senders_fault(up: Running) -> None:
    assert up.api.invoke(frame(b"no image")).answer["statusCode"] in (400, 415, 422)
