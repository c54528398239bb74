"""A function's stack whose bucket tells a relay's queue: made, asked, and made one that the bucket wakes again."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import boto3
import pytest

from bench.emulators import ACCOUNT, AccountEmulator
from bench.local import awaited
from facefleet.backends.aws.account import relay
from facefleet.backends.aws.account.resources import Verb
from facefleet.backends.aws.account.serverless_account import FunctionAccount
from facefleet.backends.aws.account.serverless_destruction import of_function
from facefleet.errors import BadSettings

from .serverless import made, names, pushed


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
    name = account.account.name
    return names(name) | {"FACEFLEET_RELAY_INPUT": f"{name}-arrivals"}


def told(account: FunctionAccount) -> dict[str, Any]:
    bucket = account.outputs()["InputBucket"]
    answer = boto3.client("s3").get_bucket_notification_configuration(Bucket=bucket)
    return {name: value for name, value in answer.items() if name.endswith("Configurations") and value}


def queues(account: FunctionAccount) -> set[str]:
    urls = boto3.client("sqs").list_queues(QueueNamePrefix=account.account.name).get("QueueUrls", ())
    return {url.rpartition("/")[2].removeprefix(f"{account.account.name}-") for url in urls}


def test_an_object_is_told_to_the_relay_s_queue_and_wakes_nobody(account: FunctionAccount, image: str) -> None:
    made(account, env(account), image=image, relay=True)
    (only,) = told(account).pop("QueueConfigurations")
    assert told(account).keys() == {"QueueConfigurations"}
    assert (only["QueueArn"].rpartition(":")[2], only["Events"]) == (
        account.outputs()["Arrivals"],
        ["s3:ObjectCreated:*"],
    )
    boto3.client("s3").put_object(Bucket=account.outputs()["InputBucket"], Key="test_0.mp4", Body=b"clip")
    sqs = boto3.client("sqs")
    url = sqs.get_queue_url(QueueName=account.outputs()["Arrivals"])["QueueUrl"]

    def came() -> list[str]:
        found = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages", ())
        return [one["s3"]["object"]["key"] for m in found for one in json.loads(m["Body"]).get("Records", ())]

    assert awaited(came, "S3 tells of it", seconds=30) == ["test_0.mp4"]


def test_relay_setup_finds_all_fine_and_leaves_it_when_it_removes(account: FunctionAccount, image: str) -> None:
    wish = made(account, env(account), image=image, relay=True)
    settings = replace(wish.settings, relay_input=env(account)["FACEFLEET_RELAY_INPUT"])
    steps = relay.plan(account.account.clients, settings)
    assert {step.what: step.verb for step in steps} == {step.what: Verb.FINE for step in steps} and len(steps) == 5
    assert {step.verb for step in relay.removal(account.account.clients, settings)} == {Verb.LEAVE}


def test_only_the_bucket_of_this_account_may_send_there(account: FunctionAccount, image: str) -> None:
    made(account, env(account), image=image, relay=True)
    sqs = boto3.client("sqs")
    url = sqs.get_queue_url(QueueName=account.outputs()["Arrivals"])["QueueUrl"]
    policy = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])["Attributes"]["Policy"]
    (only,) = json.loads(policy)["Statement"]
    assert only["Condition"]["StringEquals"] == {"aws:SourceAccount": ACCOUNT}
    assert only["Condition"]["ArnEquals"] == {"aws:SourceArn": f"arn:aws:s3:::{account.outputs()['InputBucket']}"}


def test_a_relay_comes_and_goes_and_stays_where_nothing_is_said(account: FunctionAccount, image: str) -> None:
    made(account, env(account), image=image)
    assert told(account).keys() == {"LambdaFunctionConfigurations"}
    assert queues(account) == {"request", "request-dead", "response"}
    made(account, env(account), relay=True)
    assert told(account).keys() == {"QueueConfigurations"}
    assert queues(account) == {"request", "request-dead", "response", "response-dead", "arrivals", "arrivals-dead"}
    alarms = boto3.client("cloudwatch").describe_alarms(AlarmNamePrefix=f"{account.account.name}-function-not-taken")
    assert len(alarms["MetricAlarms"]) == 1
    again = account.wish({}, {})
    assert account.plan(again).verb is Verb.FINE and again.options.relay
    sqs = boto3.client("sqs")
    url = sqs.get_queue_url(QueueName=account.outputs()["Arrivals"])["QueueUrl"]
    sqs.purge_queue(QueueUrl=url)
    sqs.send_message(QueueUrl=url, MessageBody="an object that waits")
    with pytest.raises(BadSettings, match="1 messages are in the queue"):
        made(account, env(account), relay=False)
    sqs.purge_queue(QueueUrl=url)
    made(account, env(account), relay=False)
    assert told(account).keys() == {"LambdaFunctionConfigurations"}
    assert "Arrivals" not in account.outputs()
    assert queues(account) == {"request", "request-dead", "response"}


def test_a_relay_s_queue_that_is_called_otherwise_would_lose_what_is_in_it(
    account: FunctionAccount, image: str
) -> None:
    made(account, env(account), image=image, relay=True)
    other = account.wish(env(account) | {"FACEFLEET_RELAY_INPUT": f"{account.account.name}-others"}, {})
    with pytest.raises(BadSettings, match="NewObjects"):
        account.plan(other)
