"""A function's template: what CloudFormation takes, and holds what a fleet's store does."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from facefleet import clipfile
from facefleet.backends.aws.account import serverless_cost
from facefleet.backends.aws.account.serverless import (
    SERVERLESS,
    TOLD,
    FunctionOptions,
    FunctionWish,
    Shared,
)
from facefleet.backends.aws.account.templates import (
    FOLDER,
    MOST_TEMPLATE_BYTES,
    Options,
    rendered,
    store_parameters,
)
from facefleet.backends.aws.account.wanted import relay_queues
from facefleet.settings import Settings
from facefleet.settingtext import PREFIX

DIGEST = f"sha256:{'0' * 64}"
IMAGE = f"123456789012.dkr.ecr.us-east-1.amazonaws.com/facefleet-function@{DIGEST}"
AWS = Settings(backend="aws")
OPTIONS = FunctionOptions(IMAGE)
TEMPLATE = yaml.safe_load((FOLDER / "serverless.yaml").read_text())
RESOURCES: dict[str, Any] = TEMPLATE["Resources"]


def shared(settings: Settings = AWS) -> Shared:
    return Shared("arn:secret", "arn:topic", store_parameters(settings, Options("ami-1")))


# The template


def test_it_passes_cloudformations_own_rules_as_it_is_sent(tmp_path: Path) -> None:
    sent = tmp_path / "serverless.json"
    sent.write_text(rendered(SERVERLESS))
    command = [Path(sys.executable).with_name("cfn-lint"), "-r", "us-east-1", "eu-central-1", "--", sent]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("", 0)
    assert len(sent.read_bytes()) < MOST_TEMPLATE_BYTES


def test_it_is_given_just_the_parameters_that_it_asks_for() -> None:
    for one in (FunctionWish(AWS, OPTIONS), FunctionWish(AWS, OPTIONS, shared())):
        assert one.parameters.keys() == TEMPLATE["Parameters"].keys()
        assert all(type(value) is str for value in one.parameters.values())


def test_defaults_of_parameters_are_what_default_settings_give() -> None:
    given_by_us = FunctionWish(AWS, OPTIONS).parameters
    said = {name: str(one["Default"]) for name, one in TEMPLATE["Parameters"].items() if "Default" in one}
    assert {name: given_by_us[name] for name in said} == said


def test_what_parameters_hold_is_what_they_may() -> None:
    odd = replace(AWS, keep_days=0.05, threshold=0.55, log_level="DEBUG", max_video_seconds=0.0)
    options = replace(OPTIONS, memory=10240, concurrency=1, email="a@b.c", budget=5.0, function_url="NONE", queue=True)
    for one in (FunctionWish(odd, options), FunctionWish(replace(odd, keep_days=9999.0), options, shared())):
        for name, value in one.parameters.items():
            asked = TEMPLATE["Parameters"][name]
            assert re.search(asked.get("AllowedPattern", ""), value), name
            assert value in map(str, asked.get("AllowedValues", [value])), name
            if asked["Type"] == "Number":
                assert float(asked.get("MinValue", 0)) <= float(value) <= float(asked.get("MaxValue", "inf")), name


@pytest.mark.parametrize(
    "bad", ["ami-0123456789abcdef0", IMAGE.partition("@")[0], f"docker.io/facefleet@{DIGEST}", f"{IMAGE} "]
)
def test_an_image_that_is_none_or_could_be_another_tomorrow_is_refused(bad: str) -> None:
    assert not re.search(TEMPLATE["Parameters"]["Image"]["AllowedPattern"], bad)


def test_what_it_has_itself_where_no_fleet_stands_is_what_a_fleets_store_has() -> None:
    store = yaml.safe_load((FOLDER / "store.yaml").read_text())["Resources"]
    same = {"State": "State", "StatePolicy": "StatePolicy", "People": "People", "PeopleIndex": "PeopleIndex"}
    same |= {"OwnApiKey": "ApiKey", "Output": "Output", "InputPolicy": "InputPolicy"}
    for ours, theirs in same.items():
        assert RESOURCES[ours]["Properties"] == store[theirs]["Properties"], ours
        assert RESOURCES[ours].get("UpdateReplacePolicy") == store[theirs].get("UpdateReplacePolicy")
    besides = {"NotificationConfiguration"}
    own = {name: value for name, value in RESOURCES["Input"]["Properties"].items() if name not in besides}
    assert own == store["Input"]["Properties"]


def test_what_a_fleet_has_is_made_only_where_none_stands() -> None:
    alone = {name for name, one in RESOURCES.items() if one.get("Condition") == "Alone"}
    assert alone == {
        *("State", "StatePolicy", "People", "PeopleIndex"),
        *("OwnApiKey", "OwnAlarms", "AlarmTopicPolicy"),
    }


def test_people_come_last_so_that_what_fails_before_can_be_taken_back() -> None:
    first = {*RESOURCES["People"]["DependsOn"]}
    asked = json.dumps(RESOURCES["People"]["Metadata"]["After"])
    left = {
        name
        for name, one in RESOURCES.items()
        if name not in first and f'"{name}"' not in asked and one["Type"] not in ("AWS::DynamoDB::Table",)
    }
    # Those that others of the list wait for, or that cannot fail.
    assert left <= {
        *("Logs", "Role", "Function", "DeadLetters", "MayBeWokenByS3", "Input", "Output", "State", "Http"),
        *("HttpToFunction", "HttpRoute", "HttpLogs", "UrlMayBeAsked", "UrlMayInvoke", "OwnAlarms", "OwnApiKey"),
        *("OldMessages", "NewObjects", "NotRecognised", "NoResults", "S3MayTell"),
    }


def test_a_lease_is_six_times_as_long_as_a_call_as_lambda_asks() -> None:
    assert (
        RESOURCES["Requests"]["Properties"]["VisibilityTimeout"] == 6 * RESOURCES["Function"]["Properties"]["Timeout"]
    )
    assert RESOURCES["Requests"]["Properties"]["RedrivePolicy"]["maxReceiveCount"] >= 5


def test_an_alarm_tells_of_a_call_that_takes_most_of_its_time() -> None:
    seconds = RESOURCES["Function"]["Properties"]["Timeout"]
    assert RESOURCES["Slow"]["Properties"]["Threshold"] == 0.8 * 1000 * seconds
    assert AWS.video_effort < seconds - 5


def test_every_kind_of_clip_wakes_it() -> None:
    said = json.dumps(RESOURCES["Input"]["Properties"]["NotificationConfiguration"])
    found = set(re.findall(r'"Value": "(\.\w+)"', said))
    assert {one for one in found if one.lower() in clipfile.SUFFIXES} >= clipfile.SUFFIXES
    assert {one.lower() for one in found} == clipfile.SUFFIXES | {".jpg", ".jpeg", ".png"}


def test_either_the_bucket_wakes_it_or_a_relay_s_queue_is_told() -> None:
    condition, queue, function = RESOURCES["Input"]["Properties"]["NotificationConfiguration"]["Fn::If"]
    assert condition == "HasRelay" and (queue.keys(), function.keys()) == (
        {"QueueConfigurations"},
        {"LambdaConfigurations"},
    )
    assert RESOURCES["MayBeWokenByS3"]["Condition"] == "BucketWakesIt"
    # S3 refuses to tell a queue that it may not send to.
    assert "S3MayTell" in json.dumps(RESOURCES["Input"]["Metadata"]["After"])


def test_a_relay_s_queues_are_as_relay_setup_makes_them() -> None:
    wanted = {one.name: one for one in relay_queues(replace(AWS, relay_input="${Arrivals}", response_queue="R"))}
    for name, resource in {
        "${Arrivals}": "NewObjects",
        "${Arrivals}-dead": "NotRecognised",
        "R-dead": "NoResults",
    }.items():
        properties = RESOURCES[resource]["Properties"]
        for attribute, value in wanted[name].attributes:
            if attribute != "MessageRetentionPeriod":
                assert str(properties[attribute]).lower() == value, (resource, attribute)
    assert wanted["R"].max_receives == RESOURCES["NewObjects"]["Properties"]["RedrivePolicy"]["maxReceiveCount"]


def test_alarms_look_at_as_many_metrics_as_are_paid_for() -> None:
    alarms = [one for one in RESOURCES.values() if one["Type"] == "AWS::CloudWatch::Alarm"]

    def watched(some: list[Any]) -> int:
        return sum(sum("MetricStat" in m for m in one["Properties"].get("Metrics", ())) or 1 for one in some)

    def on(condition: str) -> int:
        return watched([one for one in alarms if one.get("Condition", "") == condition])

    assert on("") == serverless_cost.WATCHED
    assert (on("HasQueue"), on("HasRelay")) == (serverless_cost.OF_THE_QUEUE, serverless_cost.OF_A_RELAY)
    assert watched(alarms) == on("") + on("HasQueue") + on("HasRelay")


def test_every_setting_that_is_told_reaches_the_function() -> None:
    variables = RESOURCES["Function"]["Properties"]["Environment"]["Variables"]
    for parameter, setting in TOLD.items():
        assert variables[f"{PREFIX}{setting.upper()}"] == {"Ref": parameter}
    assert {name for name in variables if name.startswith(PREFIX)} == {
        *(f"{PREFIX}{setting.upper()}" for setting in TOLD.values()),
        *("FACEFLEET_BACKEND", "FACEFLEET_DATA"),
    }
