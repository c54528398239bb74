"""A load by way of the buckets, with an operator's credentials, and its outputs held against the truth."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import boto3
import pytest
from meanwhile import for_each_new

from bench import emulators
from facefleet.backends.aws.account.resources import ensure
from facefleet.backends.aws.clients import connect_clients
from facefleet.cli.loading import bucket, results
from facefleet.model import BlobInfo
from facefleet.ports import Blobs
from facefleet.settings import Settings, env_name

from .conftest import aws

PATIENCE = 60.0
LINES = {b"one": "mary,history,senior", b"two": "mr_bean,lawyer,freshmen"}


@pytest.fixture
def settings(store: emulators.Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name, value in {**store.env, "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS": store.url}.items():
        monkeypatch.setenv(name, value)
    settings = aws(tmp_path)
    ensure(connect_clients(), settings)
    return settings


@pytest.fixture
def blobs(settings: Settings) -> Blobs:
    return bucket.blobs_of(settings, connections=8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    clips = tmp_path / "clips"
    clips.mkdir()
    for number, data in enumerate(LINES):
        (clips / f"test_{number}.mp4").write_bytes(data)
    (clips / "labels.csv").write_text(
        "file,name,major,year\ntest_0.mp4,mary,history,senior\ntest_1.mp4,bean,lawyer,freshmen\n"
    )
    (clips / "mapping").write_text("".join(f"test_{i}.mp4:{truth(i)}\n" for i in range(12) if i != 3))
    return clips


def truth(number: int) -> str:
    return "lawyer,freshman" if number % 2 else "history,senior"


@contextmanager
def answered(blobs: Blobs) -> Iterator[None]:
    """Somebody who answers what comes into the input bucket, as the function does."""

    def answer(info: BlobInfo) -> None:
        blobs.put(f"out/{Path(info.key).stem}", f"{LINES[blobs.get(info.key)]}\n".encode())

    with for_each_new(blobs, answer):
        yield


def facefleet(settings: Settings, *args: object) -> "subprocess.CompletedProcess[str]":
    env = {name: value for name, value in os.environ.items() if not name.startswith("FACEFLEET_")}
    names = {f.name: env_name(f) for f in settings.__dataclass_fields__.values()}
    for name in ("input_bucket", "output_bucket", "state_bucket"):
        env[names[name]] = getattr(settings, name)
    line = [sys.executable, "-m", "facefleet.cli", *map(str, args)]
    return subprocess.run(line, env=env, capture_output=True, text=True, timeout=PATIENCE)


def test_a_mapping_s_uploads_are_answered_in_the_output_bucket_and_all_are_right(
    settings: Settings, blobs: Blobs, folder: Path, tmp_path: Path
) -> None:
    blobs.put("out/test_99", b"of an earlier run")
    blobs.put("in/test_99.mp4", b"one")
    blobs.put("in/test_99.mp4", b"two")
    out = tmp_path / "r.csv"
    options = ("--mapping", folder / "mapping", "--entrance", "bucket", "--clear", "--yes", "--out", out)
    with answered(blobs):
        run = facefleet(settings, "load", folder, *options, "--concurrency", 4)
    assert run.returncode == 0, run.stderr
    assert "removed: 1 from the input bucket" in run.stderr and "removed: 1 from the output bucket" in run.stderr
    rows = {row.name: row for row in results.read(out)}
    assert len(rows) == 11 and rows["test_5.mp4"].file == "test_1.mp4"
    assert rows["test_4.mp4"].attributes == {"major": "history", "year": "senior"}
    assert list(blobs.list("in/test_99", every_version=True)) == [], "all versions are gone"
    for source in (out, f"s3://{settings.output_bucket}"):
        judged = facefleet(settings, "verify", source, folder / "mapping", "--json")
        told = json.loads(judged.stdout)
        assert judged.returncode == 0 and (told["right"], len(told["spelling"]), told["expected"]) == (11, 5, 11)


def test_an_output_that_lies_there_already_is_not_taken_for_the_answer(
    settings: Settings, blobs: Blobs, folder: Path
) -> None:
    blobs.put("out/test_1", b"of an earlier run")
    run = facefleet(settings, "load", folder, "--entrance", "bucket")
    assert run.returncode == 78 and "holds 1 of these already (test_1): --clear" in run.stderr
    assert list(blobs.list("in/")) == []


def test_who_names_the_bucket_of_clips_is_told_that_these_are_no_outputs(
    settings: Settings, blobs: Blobs, folder: Path
) -> None:
    blobs.put("in/test_0.mp4", bytes(2_000_000))
    run = facefleet(settings, "verify", f"s3://{settings.input_bucket}", folder / "labels.csv", "--json")
    told = json.loads(run.stdout)
    assert run.returncode == 1 and told["extra"] == ["test_0.mp4"] and told["counts"] == {"results": 0}


def test_an_upload_that_nobody_answers_ends_in_time_and_fails(settings: Settings, folder: Path) -> None:
    run = facefleet(settings, "load", folder, "--entrance", "bucket", "--timeout", "0.5", "--json")
    told = json.loads(run.stdout)
    assert run.returncode == 1 and told["errors"]["timeout"]["count"] == 2 and told["seconds"] < 10


def test_a_bucket_that_there_is_not_is_said_by_each_upload_and_by_verify(settings: Settings, folder: Path) -> None:
    elsewhere = replace(settings, input_bucket="no-such-bucket")
    run = facefleet(elsewhere, "load", folder, "--entrance", "bucket", "--json")
    assert run.returncode == 1 and json.loads(run.stdout)["errors"]["unavailable"]["count"] == 2
    judged = facefleet(settings, "verify", "s3://no-such-bucket", folder / "mapping")
    assert judged.returncode == 1 and "no such bucket" in judged.stderr and "Traceback" not in judged.stderr


def test_the_function_s_log_group_is_counted(settings: Settings, blobs: Blobs, folder: Path) -> None:
    group = f"/aws/lambda/{settings.input_bucket}"
    logs = boto3.client("logs")
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="a")
    (folder / "two").write_text("test_0.mp4:history,senior\ntest_1.mp4:lawyer,freshman\n")
    now = int(time.time() * 1000)
    for number in range(2):
        blobs.put(f"out/test_{number}", LINES[b"two" if number else b"one"].encode())
        told = {"event": "s3", "record": str(number), "invocation": str(number), "outcome": "done"}
        events = [{"timestamp": now + number, "message": text} for text in ("START RequestId", json.dumps(told))]
        logs.put_log_events(logGroupName=group, logStreamName="a", logEvents=events)
    options = (f"s3://{settings.output_bucket}", folder / "two", "--json")
    run = facefleet(settings, "verify", *options, "--log-group", group)
    assert json.loads(run.stdout)["counts"] == {"events": 2, "invocations": 2, "results": 2} and run.returncode == 0
    unknown = facefleet(settings, "verify", *options, "--log-group", "/aws/lambda/nobody")
    assert unknown.returncode == 78 and "/aws/lambda/NAME" in unknown.stderr
