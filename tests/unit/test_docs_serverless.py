"""What `docs/serverless.md` tells of a function's deployment: alarms, costs, limits, options."""

import re
from pathlib import Path

import yaml

from facefleet import clipfile
from facefleet.backends.aws.account.bill import Line, total
from facefleet.backends.aws.account.cost import MONTH
from facefleet.backends.aws.account.prices import prices
from facefleet.backends.aws.account.serverless import FunctionOptions, FunctionWish
from facefleet.backends.aws.account.serverless_cost import POLLS_AN_HOUR, function_estimate, function_usage
from facefleet.cli.deploy import OF_FUNCTION
from facefleet.settings import Settings

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/serverless.md").read_text()
RESOURCES = yaml.safe_load((ROOT / "deploy/serverless.yaml").read_text())["Resources"]
WISH = FunctionWish(Settings(backend="aws"), FunctionOptions("x"))


def table(lines: tuple[Line, ...], digits: int) -> str:
    rows = [f"| {line.what} | {line.dollars:.{digits}f} | {line.how} |" for line in lines]
    return "\n".join([*rows, f"| **all** | **{total(lines):.{digits}f}** | |"])


def test_costs_are_what_a_deployment_is_told() -> None:
    found = function_estimate(WISH)
    for wanted in (table(found.idle, 2), table(found.clips, 5), table(found.frames, 5)):
        assert wanted in TEXT, f"write this there:\n{wanted}"
    listening = POLLS_AN_HOUR * MONTH * prices().of("sqs-request")
    assert f"Lambda listens for ${listening:.2f}" in TEXT
    assert f"clips of {function_usage()['clip'].bytes_stored / 1e6:.0f} MB" in TEXT


def test_each_alarm_has_a_heading_and_each_heading_an_alarm() -> None:
    alarms = [one["Properties"] for one in RESOURCES.values() if one["Type"] == "AWS::CloudWatch::Alarm"]
    names = [one["AlarmName"]["Fn::Sub"].removeprefix("${Name}-") for one in alarms]
    part = TEXT.partition("\n## Alarms\n")[2].partition("\n## ")[0]
    assert sorted(re.findall(r"^### (.+)$", part, re.MULTILINE)) == sorted(names)
    for name, one in zip(names, alarms, strict=True):
        assert f'docs/serverless.md, "{name}".' in one["AlarmDescription"]


def test_limits_are_those_of_the_template_and_the_settings() -> None:
    timeout = RESOURCES["Function"]["Properties"]["Timeout"]
    assert f"| a call by S3 or SQS | {timeout} s | ours |" in TEXT
    http = RESOURCES["HttpToFunction"]["Properties"]["TimeoutInMillis"] // 1000
    assert f"| a call by HTTP | {http} s, with `--function-url` {timeout} s |" in TEXT
    assert f"| requests | {WISH.options.requests_per_second} a second, then 429 | ours |" in TEXT
    assert f"`FACEFLEET_MAX_VIDEO_BYTES`, {WISH.settings.max_video_bytes / 1e6:.0f} MB" in TEXT
    assert f"`FACEFLEET_VIDEO_EFFORT`, {WISH.settings.video_effort:.0f} s" in TEXT
    tries = RESOURCES["Requests"]["Properties"]["RedrivePolicy"]["maxReceiveCount"]
    assert {5: "failed five times"}[tries] in TEXT
    assert RESOURCES["Async"]["Properties"]["MaximumRetryAttempts"] == 2 and "again by itself, twice" in TEXT


def test_every_kind_of_clip_is_named() -> None:
    assert f"`{' '.join(clipfile.TYPES)}`" in TEXT


def test_options_are_those_of_the_command() -> None:
    told = {option.removeprefix("no-") for option in re.findall(r"^\| `--([a-z-]+)", TEXT, re.MULTILINE)}
    assert told | {"at"} == {option.replace("_", "-") for option in OF_FUNCTION}
    assert f"| {WISH.options.memory} |" in TEXT
