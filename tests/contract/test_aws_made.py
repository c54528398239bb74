"""What `facefleet setup` takes for its own: what it made, and nothing that stood there before or is somebody else's."""

import json
from dataclasses import replace
from typing import Any

import boto3
import pytest

from facefleet.backends.aws.account.resources import Verb, apply, ensure, plan, removal
from facefleet.backends.aws.clients import Clients
from facefleet.backends.aws.replies import RESPONSE_QUEUE
from facefleet.errors import BadSettings
from facefleet.settings import Settings

from .test_aws_resources import ALIVE, clients, settings, standing, verbs

__all__ = ["clients", "settings"]


def test_a_removal_takes_queues_of_web_processes_alone_and_only_of_this_very_response_queue(
    clients: Clients, settings: Settings
) -> None:
    ours, other = settings.response_queue, f"{settings.response_queue}-test"
    theirs = {
        f"{ours}-archive": {},
        f"{ours}-host-1-0123abcd": {},
        f"{other}-host-1-0123abcd": ALIVE | {RESPONSE_QUEUE: other},
        f"{ours}-host-2-0123abcd": ALIVE,
    }
    taken = {f"{ours}-a-2": ALIVE | {RESPONSE_QUEUE: ours}}
    for name, tags in (theirs | taken).items():
        clients.sqs.create_queue(QueueName=name, tags=tags)
    steps = removal(clients, settings, people=True)
    assert {step.what for step in steps} == {f"queue {name}" for name in taken}
    apply(steps)
    left = clients.sqs.list_queues(QueueNamePrefix=ours)["QueueUrls"]
    assert {url.rpartition("/")[2] for url in left} == theirs.keys()


def a_bucket_of_somebodys(clients: Clients, bucket: str) -> None:
    clients.s3.create_bucket(Bucket=bucket)
    clients.s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [{"Key": "team", "Value": "pay"}]})
    clients.s3.put_object(Bucket=bucket, Key="payroll.csv", Body=b"paul,1")


def test_a_bucket_that_was_there_and_is_not_empty_is_left_as_it_is(clients: Clients, settings: Settings) -> None:
    bucket = settings.input_bucket
    a_bucket_of_somebodys(clients, bucket)
    with pytest.raises(BadSettings, match="--adopt"):
        ensure(clients, settings)
    assert clients.s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == [{"Key": "team", "Value": "pay"}]
    assert verbs(removal(clients, settings, people=True)) == {f"bucket {bucket}": Verb.LEAVE}


def test_what_is_adopted_is_changed_keeps_its_tags_and_survives_a_removal(clients: Clients, settings: Settings) -> None:
    bucket = settings.input_bucket
    a_bucket_of_somebodys(clients, bucket)
    apply(plan(clients, settings, adopt=True))
    assert verbs(plan(clients, settings)) == {}
    ensure(clients, replace(settings, keep_days=30.0))
    apply(removal(clients, settings, people=True))
    assert clients.s3.get_object(Bucket=bucket, Key="payroll.csv")["Body"].read() == b"paul,1"
    tags = {tag["Key"]: tag["Value"] for tag in clients.s3.get_bucket_tagging(Bucket=bucket)["TagSet"]}
    assert tags == {"team": "pay", "facefleet:made-by": "adoption"}


def test_tables_and_queues_that_were_there_are_left_by_a_removal(clients: Clients, settings: Settings) -> None:
    clients.sqs.create_queue(QueueName=settings.request_queue)
    clients.dynamodb.create_table(
        TableName=settings.people_table,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "name", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "name", "KeyType": "HASH"}],
    )
    ensure(clients, settings)
    apply(removal(clients, settings, people=True))
    assert standing(clients, settings) == {f"queue {settings.request_queue}", f"table {settings.people_table}"}


def test_keys_of_kms_that_somebody_chose_for_a_bucket_stay(clients: Clients, settings: Settings) -> None:
    ensure(clients, settings)
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}
    chosen = {"Bucket": settings.output_bucket, "ServerSideEncryptionConfiguration": {"Rules": [rule]}}
    clients.s3.put_bucket_encryption(**chosen)
    assert verbs(plan(clients, settings)) == {}


def test_a_policy_of_one_statement_without_brackets_is_kept(clients: Clients, settings: Settings) -> None:
    ensure(clients, settings)
    bucket = settings.output_bucket
    theirs = {"Sid": "Theirs", "Effect": "Deny", "Principal": "*", "Action": "s3:GetObject"}
    theirs["Resource"] = f"arn:aws:s3:::{bucket}/secret"
    clients.s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": theirs}))
    ensure(clients, settings)
    statements = json.loads(clients.s3.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"]
    assert theirs in statements and len(statements) == 2


def test_a_bucket_whose_owner_lets_us_in_is_not_taken_for_ours(clients: Clients, settings: Settings) -> None:
    """Who takes the name first would get every image."""
    theirs, bucket = somebody_elses_s3(), settings.input_bucket
    theirs.create_bucket(Bucket=bucket)
    theirs.delete_public_access_block(Bucket=bucket)
    everybody = {"Effect": "Allow", "Principal": "*", "Action": "s3:*"}
    everybody["Resource"] = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    theirs.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [everybody]}))
    clients.s3.head_bucket(Bucket=bucket)
    with pytest.raises(BadSettings, match="FACEFLEET_INPUT_BUCKET"):
        plan(clients, settings)


def somebody_elses_s3() -> Any:
    return boto3.client("s3", aws_access_key_id="111122223333", aws_secret_access_key="theirs")  # noqa: S106
