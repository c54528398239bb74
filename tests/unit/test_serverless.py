"""A function's deployment: what is told over what was told before, names apart from a fleet's, and what it costs."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facefleet.backends.aws.account.function_image import Uri
from facefleet.backends.aws.account.serverless import (
    NONE,
    PASSED_ON,
    FunctionOptions,
    FunctionWish,
    Shared,
    function_wish,
    given_function_options,
)
from facefleet.backends.aws.account.serverless_cost import function_estimate
from facefleet.backends.aws.account.templates import Options, store_parameters
from facefleet.errors import BadSettings
from facefleet.settings import Settings

ROOT = Path(__file__).parent.parent.parent
DIGEST = f"sha256:{'0' * 64}"
IMAGE = f"123456789012.dkr.ecr.us-east-1.amazonaws.com/facefleet-function@{DIGEST}"
OTHER = IMAGE.replace("0" * 64, "1" * 64)
AWS = Settings(backend="aws")
OPTIONS = FunctionOptions(IMAGE)


def shared(settings: Settings = AWS) -> Shared:
    return Shared("arn:secret", "arn:topic", store_parameters(settings, Options("ami-1")))


def wish(env: dict[str, str] | None = None, **given: object) -> FunctionWish:
    return function_wish("facefleet", {}, None, {}, env or {}, {"image": IMAGE} | given)


# What is told, and told before


def test_what_is_not_given_again_stays_as_it_was() -> None:
    first = wish({"FACEFLEET_COLUMNS": "year", "FACEFLEET_KEEP_DAYS": "2.5"}, memory=3008, photos=False, budget=20.0)
    again = function_wish("facefleet", first.parameters, None, {}, {"FACEFLEET_VIDEO_INTERVAL": "0.2"}, {"queue": True})
    assert again.settings == replace(first.settings, video_interval=0.2)
    assert again.options == replace(first.options, queue=True)


def test_a_setting_that_is_given_empty_is_the_default_again() -> None:
    first = wish({"FACEFLEET_THRESHOLD": "0.5"})
    again = function_wish("facefleet", first.parameters, None, {}, {"FACEFLEET_THRESHOLD": ""}, {})
    assert (first.settings.threshold, again.settings.threshold) == (0.5, None)


@given(
    st.builds(
        FunctionOptions,
        image=st.just(IMAGE),
        memory=st.integers(512, 10240),
        concurrency=st.integers(0, 1000),
        photos=st.booleans(),
        relay=st.booleans(),
        queue=st.booleans(),
        function_url=st.sampled_from(["", "NONE", "AWS_IAM"]),
        architecture=st.sampled_from(["x86_64", "arm64"]),
        budget=st.one_of(st.none(), st.integers(1, 500).map(float)),
        previous_image=st.sampled_from(["", OTHER]),
    )
)
def test_options_come_back_from_parameters_whatever_they_are(options: FunctionOptions) -> None:
    assert given_function_options("facefleet", FunctionWish(AWS, options).parameters) == options


def test_every_setting_that_it_is_told_is_one_that_it_heeds() -> None:
    code = "".join(
        path.read_text() for part in ("lambda_tier", "facefleet/recognition") for path in (ROOT / part).rglob("*.py")
    )
    unheeded = [name for name in PASSED_ON.values() if f"settings.{name}" not in code]
    # S3 and SQS heed it.
    assert unheeded == ["keep_days"]


def test_another_image_leaves_the_one_before_to_go_back_to() -> None:
    first = wish()
    second = function_wish("facefleet", first.parameters, None, {}, {}, {"image": OTHER})
    again = function_wish("facefleet", second.parameters, None, {}, {}, {"image": OTHER})
    assert (first.options.previous_image, second.options.previous_image) == ("", IMAGE)
    assert again.options.previous_image == IMAGE, "the same once more forgets nothing"


def test_a_relay_s_queue_keeps_its_name_and_goes_where_nobody_wants_it_any_more() -> None:
    first = wish({"FACEFLEET_RELAY_INPUT": "mine"}, relay=True)
    again = function_wish("facefleet", first.parameters, None, {}, {}, {"memory": 3008})
    without = function_wish("facefleet", again.parameters, None, {}, {}, {"relay": False})
    assert [one.parameters["Arrivals"] for one in (first, again, without)] == ["mine", "mine", ""]


def test_a_relay_is_told_of_photos_too() -> None:
    with pytest.raises(BadSettings, match="--no-photos"):
        wish(relay=True, photos=False)


def test_without_an_image_there_is_nothing_to_deploy() -> None:
    with pytest.raises(BadSettings, match=r"deploy/push\.sh"):
        function_wish("facefleet", {}, None, {}, {}, {})


# Beside a fleet


def test_beside_a_fleet_it_has_the_same_people_and_other_buckets_and_queues() -> None:
    env = {"FACEFLEET_INPUT_BUCKET": "mine-input", "FACEFLEET_STATE_BUCKET": "mine-state"}
    fleet = shared(Settings.from_env(env | {"FACEFLEET_BACKEND": "aws"}))
    for told in (env, {}):
        found = function_wish("facefleet", {}, fleet, told, told, {"image": IMAGE}).settings
        assert found.state_bucket == "mine-state" and found.people_table == AWS.people_table
        assert found.input_bucket not in (fleet.names["InputBucket"], "mine-input")
        assert {found.request_queue, found.response_queue}.isdisjoint(fleet.names.values())
    chosen = function_wish("facefleet", {}, fleet, {}, {"FACEFLEET_INPUT_BUCKET": "clips"}, {"image": IMAGE}).settings
    assert chosen.input_bucket == "clips"


def test_beside_a_fleet_it_takes_strangers_for_strangers_as_the_fleet_does() -> None:
    fleets = {"FACEFLEET_STRANGER_RATE": "0.001", "FACEFLEET_INSTANCE_TYPES": "c7g.large"}
    found = function_wish("facefleet", {}, shared(), fleets, {}, {"image": IMAGE})
    assert found.settings.stranger_rate == 0.001
    other = function_wish("facefleet", found.parameters, shared(), fleets, {"FACEFLEET_STRANGER_RATE": "0.02"}, {})
    assert other.settings.stranger_rate == 0.02


def test_the_second_time_names_are_not_put_apart_once_more() -> None:
    fleet = shared()
    first = function_wish("facefleet", {}, fleet, {}, {}, {"image": IMAGE})
    assert function_wish("facefleet", first.parameters, fleet, {}, {}, {}).settings == first.settings
    assert first.parameters["ApiKeySecret"] == "arn:secret"
    assert wish().parameters["ApiKeySecret"] == wish().parameters["AlarmTopic"] == NONE


# Images


def test_an_image_is_read_by_tag_and_by_digest() -> None:
    by_tag, by_digest = Uri.read(f"{IMAGE.partition('@')[0]}:1.0"), Uri.read(IMAGE)
    assert (by_tag.tag, by_tag.digest, by_digest.tag, by_digest.digest) == ("1.0", "", "", DIGEST)
    assert by_tag.repository == by_digest.repository == "facefleet-function"
    assert (by_tag.registry, by_tag.region) == ("123456789012", "us-east-1")
    china = Uri.read("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/team/faces:1")
    assert (china.place, china.repository) == ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", "team/faces")


# What it costs


def test_memory_is_paid_for_by_the_second_and_arm_is_cheaper() -> None:
    def function(**options: Any) -> float:
        found = function_estimate(FunctionWish(AWS, replace(OPTIONS, **options)))
        return next(one.dollars or 0.0 for one in found.clips if one.what == "function")

    assert function(memory=3538) == pytest.approx(2 * function(memory=1769))
    assert function(architecture="arm64") < function()


def test_a_fleets_key_and_a_queue_that_nobody_listens_to_cost_nothing() -> None:
    def idle(found: FunctionWish) -> set[str]:
        return {one.what for one in function_estimate(found).idle}

    assert idle(FunctionWish(AWS, OPTIONS)) == {"images in ECR", "API key", "alarms"}
    assert idle(FunctionWish(AWS, replace(OPTIONS, queue=True), shared())) == {"images in ECR", "alarms", "SQS"}


def test_an_estimate_can_be_told_as_json_and_names_its_region() -> None:
    found = function_estimate(FunctionWish(AWS, OPTIONS), region="eu-west-1")
    told = json.loads(json.dumps(found.as_json))
    assert told["idle_sum"] > 0 and told["clips_sum"] > told["frames_sum"] > 0
    assert any("eu-west-1" in note for note in told["notes"])


def test_store_and_function_forget_at_the_same_time() -> None:
    settings = replace(AWS, keep_days=3.5)
    ours, theirs = FunctionWish(settings, OPTIONS).parameters, store_parameters(settings, Options("ami-1"))
    assert {name: ours[name] for name in ("KeepDays", "LogDays", "MessageRetention")} == {
        name: theirs[name] for name in ("KeepDays", "LogDays", "MessageRetention")
    }
