"""The course's workload by way of a relay: clips into a bucket, files at home, and every count the same.

Behind Lambda's door stands a function that knows its clips by heart; all else is real processes over real sockets.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

import pytest
from relayed import PATIENCE, Site, site

from bench import emulators
from bench.lambda_api import LambdaApi
from facefleet.backends.aws.clients import connect_clients

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

CLIPS = 100
LINES = {b"one": "mary,history,senior", b"two": "mr_bean,lawyer,freshmen"}


def truth(number: int) -> str:
    return "lawyer,freshmen" if number % 2 else "history,senior"


class Function:
    """Answers as ours does: a line in the output bucket, and a message on the queue of results."""

    def __init__(self, here: Site) -> None:
        self._s3, self._sqs, self._settings = here.clients.s3, connect_clients().sqs, here.settings
        self._output = here.url(here.settings.response_queue)

    def __call__(self, event: Any) -> None:
        for record in event["Records"]:
            key = unquote_plus(record["s3"]["object"]["key"])
            clip = self._s3.get_object(Bucket=self._settings.input_bucket, Key=key)["Body"].read()
            line, stem = LINES[clip], Path(key).stem
            self._s3.put_object(Bucket=self._settings.output_bucket, Key=stem, Body=f"{line}\n".encode())
            self._sqs.send_message(QueueUrl=self._output, MessageBody=f"{line},{stem}")


@pytest.fixture
def here(tmp_path: Path, photos: Path, models: Path) -> Iterator[Site]:
    with ExitStack() as opened:
        store = opened.enter_context(emulators.store())
        yield opened.enter_context(site(tmp_path, store.env, photos, models, RELAY_BY="function"))


@pytest.fixture
def lesson(tmp_path: Path) -> Path:
    """Two clips, what they show, and the course's hundred names."""
    folder = tmp_path / "classroom"
    folder.mkdir()
    for name, data in zip(("a", "b"), LINES, strict=True):
        (folder / f"{name}.mp4").write_bytes(data)
    (folder / "labels.csv").write_text(
        "file,name,major,year\na.mp4,mary,history,senior\nb.mp4,mr_bean,lawyer,freshmen\n"
    )
    (folder / "mapping").write_text("".join(f"test_{n}.mp4:{truth(n)}\n" for n in range(CLIPS)))
    return folder


def facefleet(here: Site, *words: object) -> "subprocess.CompletedProcess[str]":
    line = [sys.executable, "-m", "facefleet.cli", *map(str, words)]
    env = {**os.environ, **here.env}
    return subprocess.run(line, cwd=here.folder, env=env, capture_output=True, text=True, timeout=2 * PATIENCE)


def leave_some(here: Site) -> None:
    """What an earlier run left in both buckets, of which nobody is told any more."""
    s3, settings = here.clients.s3, here.settings
    told = s3.get_bucket_notification_configuration(Bucket=settings.input_bucket)
    told.pop("ResponseMetadata")
    s3.put_bucket_notification_configuration(Bucket=settings.input_bucket, NotificationConfiguration={})
    here.put("test_1.mp4", b"one")
    s3.put_object(Bucket=settings.output_bucket, Key="test_1", Body=b"mary,history,senior\n")
    s3.put_bucket_notification_configuration(Bucket=settings.input_bucket, NotificationConfiguration=told)


def test_a_hundred_clips_are_a_hundred_events_calls_results_and_files(here: Site, lesson: Path) -> None:
    leave_some(here)
    with LambdaApi(Function(here)).serving() as api:
        here.relay(AWS_ENDPOINT_URL_LAMBDA=api.url)
        load = ("load", lesson, "--mapping", lesson / "mapping", "--entrance", "bucket")
        sent = facefleet(here, *load, "--videos", "--clear", "--yes", "--out", "results.csv")
        assert sent.returncode == 0, sent.stdout + sent.stderr
        assert "removed: 1 from the input bucket" in sent.stderr
        files = here.await_files(CLIPS)
        here.await_all_acked()
        assert len(api.seen) == CLIPS
    assert files["test_1.txt"] == "mr_bean,lawyer,freshmen\n"
    each = {"events": CLIPS, "invocations": CLIPS, "results": CLIPS}
    for results, counts in (
        ("results.csv", {"uploads": CLIPS, **each}),
        ("results", each),
        (f"s3://{here.settings.output_bucket}", each),
    ):
        done = facefleet(here, "verify", results, lesson / "mapping", "--relay", "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        told = json.loads(done.stdout)
        assert (told["right"], told["counts"]) == (CLIPS, counts)
    assert here.backlog(here.settings.response_queue) == 0
