"""What the service uses on AWS, measured in short, against what estimates are made of."""

import json
import subprocess
import sys
from typing import Any

import pytest

from facefleet.backends.aws.account.bill import usage
from facefleet.backends.aws.account.prices import prices

pytestmark = pytest.mark.slow

IMAGES, FACTOR = 30, 2.0


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    command = ["bench.cost", "--quick", "--json", "--per-round", str(IMAGES), "--core-factor", str(FACTOR)]
    done = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_an_image_uses_what_estimates_say(told: dict[str, Any]) -> None:
    said = usage()["image"]
    assert told["sqs_requests"] == pytest.approx(said.sqs_requests, rel=0.2)
    # Some are by the clock: the fewer images a second, the more of them are an image's.
    assert told["s3_puts"] == pytest.approx(said.s3_puts, rel=0.25)
    assert told["dynamodb_reads"] == pytest.approx(said.dynamodb_reads, rel=0.2)
    assert told["bytes_stored"] == pytest.approx(said.bytes_stored, rel=0.1)
    assert told["bytes_answered"] == pytest.approx(said.bytes_answered, rel=0.5)


def test_an_hour_of_idleness_uses_what_estimates_say(told: dict[str, Any]) -> None:
    said = usage()["idle_hour"]
    assert told["idle_sqs_requests_per_hour"] == pytest.approx(said.sqs_requests, rel=0.25)
    # What is done each twenty or thirty seconds is done once more or less in thirty.
    assert told["idle_s3_puts_per_hour"] == pytest.approx(said.s3_puts, rel=0.6)


def test_recognition_is_the_larger_part_of_a_workers_time(told: dict[str, Any]) -> None:
    assert told["cpu_ms"] / 4 < told["recognition_cpu_ms"] < told["cpu_ms"]


def test_dollars_are_those_of_the_time_that_was_measured(told: dict[str, Any]) -> None:
    rows = {row["kind"]: row for row in told["rows"]}
    listed = prices().instances["c7g.large"]
    # Rounded to a tenth of a millisecond.
    hours = FACTOR * told["cpu_ms"] / 3600
    assert rows["c7g.large"]["compute"] == pytest.approx(hours * (listed.hour + 0.005) / 2, rel=0.01)
    assert rows["c7g.large spot"]["compute"] == pytest.approx(hours * (listed.spot + 0.005) / 2, rel=0.01)
    for row in rows.values():
        assert row["compute"] < row["all"]
        assert row["times_all"] == pytest.approx(1 / row["all"], rel=0.01)
