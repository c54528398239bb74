"""A function's stack on the emulators: made, changed and removed, alone and beside a fleet's store."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import boto3
import pytest

from bench.emulators import ACCOUNT, AccountEmulator
from facefleet import clipfile
from facefleet.backends.aws.account.deployment import Wish
from facefleet.backends.aws.account.resources import Verb, plan
from facefleet.backends.aws.account.serverless_account import FunctionAccount
from facefleet.backends.aws.account.serverless_destruction import of_function
from facefleet.backends.aws.account.templates import Options
from facefleet.errors import BadSettings
from facefleet.settings import Settings

from .serverless import PLACE, made, names, pushed


@pytest.fixture(autouse=True)
def place(one_account: AccountEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in one_account.env.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def account() -> Iterator[FunctionAccount]:
    account = FunctionAccount(f"f-{uuid4().hex[:8]}")
    yield account
    for step in of_function(account.account):
        step.act()


@pytest.fixture
def image() -> str:
    return pushed(f"v{uuid4().hex[:8]}")


def env(account: FunctionAccount) -> dict[str, str]:
    return names(account.account.name)


def function(account: FunctionAccount) -> dict[str, Any]:
    return dict(boto3.client("lambda").get_function_configuration(FunctionName=f"{account.account.name}-function"))


def store(account: FunctionAccount) -> Settings:
    """A fleet's store of the same name, as it stands."""
    settings = Settings.from_env(env(account) | {"FACEFLEET_BACKEND": "aws", "FACEFLEET_STRANGER_RATE": "0.002"})
    wish = Wish(settings, Options("ami-1", account.account.name, email="ops@example.org"))
    account.account.store.carry_out(account.account.plan_store(wish))
    return settings


def test_what_it_has_in_common_with_setup_setup_finds_fine(account: FunctionAccount, image: str) -> None:
    wish = made(account, env(account), image=image)
    # A lease and tries of this queue are as Lambda asks for them.
    settings = replace(wish.settings, visibility_timeout=360.0, max_receives=5)
    found = {step.what: step.verb for step in plan(account.account.clients, settings)}
    assert len(found) == 8 and set(found.values()) == {Verb.FINE}


def test_the_function_is_what_was_asked_for(account: FunctionAccount, image: str) -> None:
    wish = made(account, env(account) | {"FACEFLEET_VIDEO_INTERVAL": "0.25"}, image=image, memory=2048, concurrency=7)
    found, told = function(account), account.outputs()
    assert (found["MemorySize"], found["Timeout"], found["TracingConfig"]["Mode"]) == (2048, 60, "Active")
    assert found["PackageType"] == "Image" and found["Architectures"] == ["x86_64"]
    variables = dict(found["Environment"]["Variables"])
    ours = {name: value for name, value in variables.items() if name.startswith("FACEFLEET_")}
    assert replace(Settings.from_env(ours), data=Settings().data) == wish.settings
    assert wish.settings.video_interval == 0.25
    assert variables["API_KEY_SECRET"] == told["ApiKeySecret"]
    assert variables["IDEMPOTENCY_TABLE"] == f"{account.account.name}-function-records"
    assert variables["DEAD_QUEUE"].endswith(f"/{account.account.name}-request-dead")
    reserved = boto3.client("lambda").get_function_concurrency(FunctionName=found["FunctionName"])
    assert reserved["ReservedConcurrentExecutions"] == 7


def test_what_fails_ends_in_the_dead_letters(account: FunctionAccount, image: str) -> None:
    made(account, env(account), image=image)
    functions, name = boto3.client("lambda"), f"{account.account.name}-function"
    told = functions.get_function_event_invoke_config(FunctionName=name, Qualifier="$LATEST")
    dead = f"arn:aws:sqs:us-east-1:{ACCOUNT}:{account.account.name}-request-dead"
    assert told["DestinationConfig"]["OnFailure"]["Destination"] == dead
    assert told["MaximumRetryAttempts"] == 2


def suffixes(account: FunctionAccount) -> list[str]:
    """Of what wakes the function."""
    bucket = account.outputs()["InputBucket"]
    told = boto3.client("s3").get_bucket_notification_configuration(Bucket=bucket)
    found = told["LambdaFunctionConfigurations"]
    assert {one["LambdaFunctionArn"].rpartition(":")[2] for one in found} == {f"{account.account.name}-function"}
    assert {event for one in found for event in one["Events"]} == {"s3:ObjectCreated:*"}
    return [rule["Value"] for one in found for rule in one["Filter"]["Key"]["FilterRules"]]


def test_clips_wake_it_whatever_letters_their_names_are_in_and_photos_where_they_shall(
    account: FunctionAccount, image: str
) -> None:
    made(account, env(account), image=image)
    found = suffixes(account)
    clips = {*clipfile.SUFFIXES, *(one.upper() for one in clipfile.SUFFIXES)}
    assert {one for one in found if one.lower() in clipfile.SUFFIXES} == clips
    assert {one.lower() for one in found} - clipfile.SUFFIXES == {".jpg", ".jpeg", ".png"}
    # S3 takes no two of which one is the end of the other.
    assert not any(a != b and a.endswith(b) for a in found for b in found)
    made(account, env(account), photos=False)
    assert set(suffixes(account)) == clips


def test_only_the_bucket_of_this_account_may_wake_it(account: FunctionAccount, image: str) -> None:
    made(account, env(account), image=image)
    policy = boto3.client("lambda").get_policy(FunctionName=f"{account.account.name}-function")["Policy"]
    of = {one["Principal"]["Service"]: one["Condition"] for one in json.loads(policy)["Statement"]}
    assert of.keys() == {"s3.amazonaws.com", "apigateway.amazonaws.com"}
    s3 = of["s3.amazonaws.com"]
    assert s3["StringEquals"]["AWS:SourceAccount"] == ACCOUNT
    assert s3["ArnLike"]["AWS:SourceArn"] == f"arn:aws:s3:::{account.outputs()['InputBucket']}"


def test_http_lets_through_so_much_and_no_more(account: FunctionAccount, image: str) -> None:
    made(account, env(account), image=image, requests_per_second=20)
    http = boto3.client("apigatewayv2")
    (api,) = [one for one in http.get_apis()["Items"] if one["Name"] == f"{account.account.name}-function"]
    assert api["ApiId"] in account.outputs()["Url"]
    (stage,) = http.get_stages(ApiId=api["ApiId"])["Items"]
    limits = stage["DefaultRouteSettings"]
    assert {float(limits[name]) for name in ("ThrottlingRateLimit", "ThrottlingBurstLimit")} == {20.0}
    assert "sourceIp" not in stage["AccessLogSettings"]["Format"]


def test_a_second_address_and_the_queue_come_and_go(account: FunctionAccount, image: str) -> None:
    functions, name = boto3.client("lambda"), f"{account.account.name}-function"
    made(account, env(account), image=image, function_url="NONE", queue=True)
    assert account.outputs()["FunctionUrl"].startswith("http")
    assert functions.get_function_url_config(FunctionName=name)["AuthType"] == "NONE"
    (source,) = functions.list_event_source_mappings(FunctionName=name)["EventSourceMappings"]
    assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    made(account, env(account), function_url="", queue=False)
    assert "FunctionUrl" not in account.outputs()
    assert functions.list_event_source_mappings(FunctionName=name)["EventSourceMappings"] == []


def test_alarms_tell_its_own_topic_and_whoever_is_given(account: FunctionAccount, image: str) -> None:
    made(account, env(account), image=image, email="ops@example.org", budget=20.0, queue=True)
    topic = account.outputs()["AlarmTopic"]
    alarms = boto3.client("cloudwatch").describe_alarms(AlarmNamePrefix=f"{account.account.name}-function-")
    assert len(alarms["MetricAlarms"]) == 9
    assert all(one["AlarmActions"] == one["OKActions"] == [topic] for one in alarms["MetricAlarms"])
    told = boto3.client("sns").list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert [one["Endpoint"] for one in told] == ["ops@example.org"]


def test_its_lines_are_kept_no_longer_than_all_else(account: FunctionAccount, image: str) -> None:
    made(account, env(account) | {"FACEFLEET_KEEP_DAYS": "2.5"}, image=image)
    logs = boto3.client("logs")
    for prefix in (f"/aws/lambda/{account.account.name}", f"/aws/vendedlogs/{account.account.name}"):
        (group,) = logs.describe_log_groups(logGroupNamePrefix=prefix)["logGroups"]
        assert group["retentionInDays"] == 3


def test_the_same_again_is_fine_and_what_is_not_given_again_stays(account: FunctionAccount, image: str) -> None:
    wish = made(account, env(account) | {"FACEFLEET_COLUMNS": "year"}, image=image, memory=3008)
    again = account.wish({}, {})
    assert again == wish and account.plan(again).verb is Verb.FINE


def test_a_tag_that_another_image_has_by_now_is_another_image(account: FunctionAccount, image: str) -> None:
    first = made(account, env(account), image=image)
    pushed(image.rpartition(":")[2])
    second = account.wish({}, {"image": image})
    assert second.options.image != first.options.image
    assert second.options.previous_image == first.options.image
    planned = account.plan(second)
    assert planned.verb is Verb.CHANGE and "Function" in [one.what for one in planned.changes]
    account.stack.drop(planned)


def test_beside_a_fleet_it_knows_the_same_people_and_has_what_must_not_be_the_fleets(
    account: FunctionAccount, image: str
) -> None:
    fleet = store(account)
    # With the environment of the fleet, as whoever deploys both has it.
    wish = made(account, env(account), image=image)
    told, its = account.outputs(), account.account.outputs()
    assert (told["ApiKeySecret"], told["AlarmTopic"]) == (its["ApiKeySecret"], its["AlarmTopic"])
    assert (wish.settings.people_table, wish.settings.state_bucket) == (fleet.people_table, fleet.state_bucket)
    for name in ("input_bucket", "output_bucket", "request_queue", "response_queue"):
        assert getattr(wish.settings, name) == f"{getattr(fleet, name)}-function"
    kinds = set(account.stack.members().values())
    assert not kinds & {"AWS::SecretsManager::Secret", "AWS::SNS::Topic"}
    assert [kind for kind in account.stack.members().values() if kind == "AWS::DynamoDB::Table"] == [
        "AWS::DynamoDB::Table"
    ]
    policies = json.dumps(
        [
            boto3.client("iam").get_role_policy(RoleName=name, PolicyName="function")["PolicyDocument"]
            for name, kind in account.stack.members().items()
            if kind == "AWS::IAM::Role"
        ]
    )
    assert its["ApiKeySecret"] in policies and "${" not in policies and "none" not in policies
    assert account.plan(account.wish(env(account), {})).verb is Verb.FINE


def test_a_fleets_alarms_are_told_of_to_the_fleet(account: FunctionAccount, image: str) -> None:
    store(account)
    with pytest.raises(BadSettings, match="--email is the fleet's"):
        account.wish(env(account), {"image": image, "email": "me@example.org"})


def test_one_that_has_people_of_its_own_keeps_them_when_a_fleet_comes_to_stand_beside_it(
    account: FunctionAccount, image: str
) -> None:
    first = made(account, env(account), image=image)
    kinds = ("input_bucket", "output_bucket", "state_bucket", "people_table", "request_queue", "response_queue")
    others = replace(first.settings, **{kind: f"{account.account.name}-fleets-{kind[:5]}" for kind in kinds})
    wish = Wish(others, Options("ami-1", account.account.name, email="ops@example.org", budget=10.0))
    account.account.store.carry_out(account.account.plan_store(wish))
    again = account.wish({}, {})
    assert again.shared is None and again.settings.people_table == first.settings.people_table
    assert account.plan(again).verb is Verb.FINE


def test_names_that_stand_already_are_told_before_anything_is_made(account: FunctionAccount, image: str) -> None:
    boto3.client("s3").create_bucket(Bucket=env(account)["FACEFLEET_OUTPUT_BUCKET"])
    with pytest.raises(BadSettings, match=f"bucket {account.account.name}-output: there already"):
        account.check(account.wish(env(account), {"image": image}))


@pytest.mark.parametrize(
    ("image", "words"),
    [
        ("ami-0123456789abcdef0", "no image that a function"),
        (f"{PLACE}:never", "there is no image"),
        (f"{PLACE.replace('facefleet', 'another')}:1", "there is no image"),
        (f"{PLACE.replace('us-east-1', 'eu-west-1')}:1", "is in eu-west-1"),
        (f"{PLACE}@sha256:{'0' * 64}", "there is no image"),
    ],
)
def test_an_image_that_will_not_do_is_told(account: FunctionAccount, image: str, words: str) -> None:
    pushed("1")
    with pytest.raises(BadSettings, match=words):
        account.wish(env(account), {"image": image})
