"""Whoever works on what is stored with credentials of their own: each such command, with IAM enforced by the server."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from meanwhile import for_each_new

from facefleet import answers, course
from facefleet.backends import connect
from facefleet.backends.aws.faults import DENIED, code_of
from facefleet.model import BlobInfo, Box, Face, Job, JobKind, Result
from facefleet.settings import env_name

from .iam import Place, user

PATIENCE = 60.0
LINE = "mr_bean,lawyer,freshmen"
ROSTER = [{"id": 1, "name": "mr_bean", "major": "lawyer", "year": "freshmen"}]
GROUP = "/aws/lambda/facefleet-function"


@dataclass(frozen=True)
class Desk:
    place: Place
    folder: Path

    def facefleet(self, *args: object) -> "subprocess.CompletedProcess[str]":
        named = {env_name(f): str(getattr(self.place.settings, f.name)) for f in fields(self.place.settings)}
        told = {name: named[name] for name in named if name.endswith(("_BUCKET", "_TABLE", "_QUEUE", "_BACKEND"))}
        env = {name: value for name, value in os.environ.items() if not name.startswith(("FACEFLEET_", "AWS_"))}
        line = [sys.executable, "-m", "facefleet.cli", *map(str, args)]
        env |= told | self.place.env("data") | {"FACEFLEET_DATA": str(self.folder), "FACEFLEET_LINE_SUFFIX": ".csv"}
        return subprocess.run(line, env=env, cwd=self.folder, capture_output=True, text=True, timeout=PATIENCE)

    def told(self, *args: object) -> Any:
        run = self.facefleet(*args, "--json")
        assert run.returncode == 0, run.stdout + run.stderr
        return json.loads(run.stdout)


@pytest.fixture
def desk(guarded: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    own = user(guarded.client("root", "iam"), "data", guarded.settings)
    # For what the test does itself, as the function would.
    for name, value in guarded.env("root").items():
        monkeypatch.setenv(name, value)
    (tmp_path / "students.json").write_text(json.dumps(ROSTER))
    (tmp_path / "mapping").write_text("test_0.mp4:lawyer,freshman\ntest_1.mp4:lawyer,freshmen\n")
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "test_0.mp4").write_bytes(b"clip")
    return Desk(replace(guarded, keys={**guarded.keys, "data": own}), tmp_path)


@contextmanager
def answered(desk: Desk) -> Iterator[None]:
    """Somebody who answers what comes into the input bucket, as a function does whose lines end in .csv."""
    blobs = connect(desk.place.settings).blobs
    seen = (Face(Box(0, 0, 9, 9), 0.5, "mr_bean", attributes={"major": "lawyer", "year": "freshmen"}),)
    store = course.store_line(("major", "year"), ".csv")

    def answer(info: BlobInfo) -> None:
        name = info.key.removeprefix("in/")
        job = Job(f"job-{name}", JobKind.VIDEO, name, time.time(), blob=info.key)
        store(blobs, job, Result(job.id, name, seen), None)

    with for_each_new(blobs, answer):
        yield


def test_a_workload_by_the_bucket_is_sent_judged_and_erased_again(desk: Desk) -> None:
    place = desk.place
    root, bucket = place.client("root", "s3"), place.settings.output_bucket
    root.put_object(Bucket=place.settings.input_bucket, Key="of-before.mp4", Body=b"old")
    assert desk.told("roster", "load", "students.json", "--store", "--yes")["done"] == 1
    assert json.loads(desk.facefleet("roster", "export", "--store").stdout)[0]["major"] == "lawyer"
    with answered(desk):
        options = ("--mapping", "mapping", "--entrance", "bucket", "--clear", "--yes")
        assert desk.told("load", "clips", *options)["answered"] == 2
    found = root.list_objects_v2(Bucket=bucket)["Contents"]
    assert [one["Key"] for one in found] == ["test_0.csv", "test_1.csv"]
    again = desk.facefleet("load", "clips", "--mapping", "mapping", "--entrance", "bucket")
    assert again.returncode == 78 and "holds 2 of these already (test_0, test_1)" in again.stderr
    logs = place.client("root", "logs")
    logs.create_log_group(logGroupName=GROUP)
    judged = desk.told("verify", f"s3://{bucket}", "mapping")
    assert judged["right"] == 2 and judged["ok"]
    with_log = desk.facefleet("verify", f"s3://{bucket}", "mapping", "--log-group", GROUP)
    assert "0 events ≠ 0 invocations ≠ 2 results" in with_log.stdout, with_log.stderr
    connect(place.settings).blobs.put("photos/mr_bean/1", b"photo")
    connect(place.settings).blobs.put("gallery/snapshot", b"encodings")
    erased = desk.told("people", "erase", "mr_bean", "--store", "--yes")
    assert erased == {"people": 1, "photos": 1, "encodings": 0, "answers": 2}
    areas = ("in/", "out/", "results/", "photos/", "gallery/")
    blobs = connect(place.settings).blobs
    assert [info.key for area in areas for info in blobs.list(area, every_version=True)] == []
    assert answers.erased_since(blobs, 0.0)


def test_nothing_else_is_theirs(desk: Desk) -> None:
    s = desk.place.settings
    root = desk.place.client("root", "sqs")
    queue = root.get_queue_url(QueueName=s.request_queue)["QueueUrl"]
    for service, operation, about in (
        ("s3", "get_object", {"Bucket": s.input_bucket, "Key": "test_0.mp4"}),
        ("s3", "get_object", {"Bucket": s.state_bucket, "Key": "photos/mr_bean/1"}),
        ("s3", "get_object", {"Bucket": s.state_bucket, "Key": "gallery/snapshot"}),
        ("s3", "put_object", {"Bucket": s.output_bucket, "Key": "test_0"}),
        ("s3", "put_object", {"Bucket": s.state_bucket, "Key": "results/1.json"}),
        ("s3", "delete_bucket", {"Bucket": s.output_bucket}),
        ("sqs", "receive_message", {"QueueUrl": queue}),
        ("sqs", "delete_queue", {"QueueUrl": queue}),
        ("dynamodb", "delete_table", {"TableName": s.people_table}),
        ("logs", "filter_log_events", {"logGroupName": "facefleet"}),
        ("secretsmanager", "get_secret_value", {"SecretId": "ApiKey-0123"}),
    ):
        with pytest.raises(ClientError) as refused:
            getattr(desk.place.client("data", service), operation)(**about)
        assert code_of(refused.value) in DENIED, (service, operation, about)
