"""What `facefleet setup` makes on an account: all of it, once, privately, and only the difference the next time."""

import json
from collections.abc import Iterator
from dataclasses import replace
from math import ceil
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.emulators import Emulator
from facefleet.backends.aws.account.buckets import PRIVATE
from facefleet.backends.aws.account.resources import Step, Verb, apply, ensure, plan, removal
from facefleet.backends.aws.account.wanted import RULE, WantedBucket, lifecycle, retention, wanted
from facefleet.backends.aws.clients import Clients, connect_clients
from facefleet.backends.aws.replies import RESPONSE_QUEUE
from facefleet.errors import BadSettings
from facefleet.settings import Settings

from .conftest import aws

EVERYTHING = 8
ALIVE = {"facefleet:alive-at": "1"}


@pytest.fixture
def settings(store: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name, value in store.env.items():
        monkeypatch.setenv(name, value)
    return aws(tmp_path)


@pytest.fixture
def clients(settings: Settings) -> Clients:
    return connect_clients()


@pytest.fixture
def buckets(settings: Settings) -> tuple[str, ...]:
    return settings.input_bucket, settings.output_bucket, settings.state_bucket


def verbs(steps: tuple[Step, ...]) -> dict[str, Verb]:
    return {step.what: step.verb for step in steps if step.verb is not Verb.FINE}


def attributes(clients: Clients, queue: str) -> dict[str, str]:
    url = clients.sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    return dict(clients.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"])


def test_on_an_empty_account_everything_is_made_and_then_nothing_is_left_to_do(
    clients: Clients, settings: Settings
) -> None:
    first = plan(clients, settings)
    assert len(first) == EVERYTHING and {step.verb for step in first} == {Verb.MAKE}
    assert verbs(plan(clients, settings)) == verbs(first), "a plan makes nothing"
    begun: list[Step] = []
    apply(first, begun.append)
    assert begun == list(first)
    second = plan(clients, settings)
    assert len(second) == EVERYTHING and verbs(second) == {}
    apply(second, begun.append)
    assert begun == list(first), "where all is fine nothing is begun"


def test_steps_taken_twice_do_no_harm(clients: Clients, settings: Settings) -> None:
    steps = plan(clients, settings)
    apply(steps[:6])
    apply(steps[:6])
    assert verbs(plan(clients, settings)) == {step.what: Verb.MAKE for step in steps[6:]}


def test_what_was_made_by_hand_is_brought_to_what_is_wanted(clients: Clients, settings: Settings) -> None:
    clients.sqs.create_queue(QueueName=settings.request_queue)
    clients.s3.create_bucket(Bucket=settings.input_bucket)
    # As the course has it made.
    clients.dynamodb.create_table(
        TableName=settings.people_table,
        AttributeDefinitions=[{"AttributeName": "name", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "name", "KeyType": "HASH"}],
        ProvisionedThroughput={"ReadCapacityUnits": 5, "WriteCapacityUnits": 5},
    )
    ensure(clients, settings)
    assert verbs(plan(clients, settings)) == {}
    table = clients.dynamodb.describe_table(TableName=settings.people_table)["Table"]
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST" and table["DeletionProtectionEnabled"]


def test_changed_settings_change_what_they_say_and_nothing_else(clients: Clients, settings: Settings) -> None:
    ensure(clients, settings)
    changed = replace(settings, max_message_bytes=1024, max_receives=3, keep_days=30.0)
    steps = {step.what: step for step in plan(clients, changed) if step.verb is not Verb.FINE}
    assert {what: set(step.wanted or ()) for what, step in steps.items()} == {
        f"queue {settings.request_queue}": {"MaximumMessageSize", "MessageRetentionPeriod", "RedrivePolicy"},
        f"queue {settings.request_queue}-dead": {"MessageRetentionPeriod"},
        f"queue {settings.response_queue}": {"MessageRetentionPeriod"},
        f"bucket {settings.input_bucket}": {"forgets"},
        f"bucket {settings.output_bucket}": {"forgets"},
        f"bucket {settings.state_bucket}": {"forgets"},
    }
    size = steps[f"queue {settings.request_queue}"]
    assert size.now is not None and size.now["MaximumMessageSize"] == "1048576"
    ensure(clients, changed)
    assert verbs(plan(clients, changed)) == {}
    assert attributes(clients, settings.request_queue)["MaximumMessageSize"] == "1024"


def test_queues_are_encrypted_and_the_request_queue_has_its_dead_letters(clients: Clients, settings: Settings) -> None:
    ensure(clients, replace(settings, visibility_timeout=2.5))
    found = attributes(clients, settings.request_queue)
    dead = attributes(clients, f"{settings.request_queue}-dead")
    assert json.loads(found["RedrivePolicy"]) == {"deadLetterTargetArn": dead["QueueArn"], "maxReceiveCount": 10}
    assert (found["VisibilityTimeout"], found["ReceiveMessageWaitTimeSeconds"]) == ("3", "20")
    assert found["MessageRetentionPeriod"] == dead["MessageRetentionPeriod"] == str(7 * 24 * 3600)
    for queue in (found, dead, attributes(clients, settings.response_queue)):
        assert queue["SqsManagedSseEnabled"] == "true"


def test_versions_are_kept_of_what_clients_sent_and_were_told(clients: Clients, settings: Settings) -> None:
    """Of what is written every few seconds they would pile up."""
    ensure(clients, settings)
    kept = {
        bucket: clients.s3.get_bucket_versioning(Bucket=bucket).get("Status")
        for bucket in (settings.input_bucket, settings.output_bucket, settings.state_bucket)
    }
    assert list(kept.values()) == ["Enabled", "Enabled", None]


def test_buckets_are_private_and_encrypted(clients: Clients, settings: Settings, buckets: Any) -> None:
    ensure(clients, settings)
    for bucket in buckets:
        assert clients.s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"] == PRIVATE
        rule = clients.s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"][0]
        assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
        (statement,) = json.loads(clients.s3.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"]
        assert (statement["Effect"], statement["Principal"]) == ("Deny", "*")
        assert statement["Resource"] == [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
        assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_what_others_set_on_a_bucket_stays(clients: Clients, settings: Settings) -> None:
    ensure(clients, settings)
    bucket = settings.output_bucket
    theirs = {"ID": "theirs", "Status": "Enabled", "Filter": {"Prefix": "x/"}, "Expiration": {"Days": 3}}
    statement = {"Sid": "Theirs", "Effect": "Deny", "Principal": "*", "Action": "s3:GetObject"}
    statement["Resource"] = f"arn:aws:s3:::{bucket}/secret"
    clients.s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [theirs]})
    clients.s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    ensure(clients, settings)
    assert verbs(plan(clients, settings)) == {}
    rules = clients.s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    assert [rule["ID"] for rule in rules if not rule["ID"].startswith(RULE)] == ["theirs"] and len(rules) == 3
    assert statement in json.loads(clients.s3.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"]


@pytest.mark.parametrize("opened", ["access", "versions", "policy", "a rule switched off"])
def test_a_bucket_that_somebody_opened_is_found_and_closed(clients: Clients, settings: Settings, opened: str) -> None:
    ensure(clients, settings)
    s3, bucket = clients.s3, settings.output_bucket
    if opened == "access":
        s3.put_public_access_block(
            Bucket=bucket, PublicAccessBlockConfiguration=PRIVATE | {"RestrictPublicBuckets": False}
        )
    elif opened == "versions":
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    elif opened == "policy":
        s3.delete_bucket_policy(Bucket=bucket)
    else:
        rules = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
        off = [rule | {"Status": "Disabled"} if "tidy" in rule["ID"] else rule for rule in rules]
        s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": off})
    (step,) = [step for step in plan(clients, settings) if step.verb is not Verb.FINE]
    assert (step.what, len(step.wanted or ())) == (f"bucket {bucket}", 1) and step.now != step.wanted
    apply([step])
    assert verbs(plan(clients, settings)) == {}


def test_a_bucket_of_another_account_is_refused_by_the_setting_that_names_it(
    clients: Clients, settings: Settings
) -> None:
    other = boto3.client("s3", aws_access_key_id="111122223333", aws_secret_access_key="theirs")  # noqa: S106
    other.create_bucket(Bucket=settings.output_bucket)
    with pytest.raises(BadSettings, match="FACEFLEET_OUTPUT_BUCKET") as refused:
        ensure(clients, settings)
    assert settings.output_bucket in str(refused.value)


def test_elsewhere_a_bucket_is_made_in_its_region(
    clients: Clients, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    ensure(connect_clients(), settings)
    where = clients.s3.get_bucket_location(Bucket=settings.input_bucket)["LocationConstraint"]
    assert where == "eu-central-1"


def test_a_table_with_other_keys_is_refused_and_left_alone(clients: Clients, settings: Settings) -> None:
    clients.dynamodb.create_table(
        TableName=settings.people_table,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "N"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )
    with pytest.raises(BadSettings, match=r"id \(N\).*FACEFLEET_PEOPLE_TABLE"):
        plan(clients, settings)


def test_nobody_deletes_a_table_of_people_by_a_slip_and_no_backup_outlives_an_erasure(
    clients: Clients, settings: Settings
) -> None:
    ensure(clients, settings)
    for table in (settings.people_table, f"{settings.people_table}-index"):
        with pytest.raises(clients.dynamodb.exceptions.ClientError, match="protect"):
            clients.dynamodb.delete_table(TableName=table)
    on = {"PointInTimeRecoveryEnabled": True}
    clients.dynamodb.update_continuous_backups(TableName=settings.people_table, PointInTimeRecoverySpecification=on)
    (step,) = [step for step in plan(clients, settings) if step.verb is not Verb.FINE]
    assert step.wanted == {"point-in-time recovery": "off"}
    apply([step])
    assert verbs(plan(clients, settings)) == {}


def filled(clients: Clients, settings: Settings) -> None:
    """Everything, with old versions, delete markers, people, and a web process's queue."""
    ensure(clients, settings)
    tags = ALIVE | {RESPONSE_QUEUE: settings.response_queue}
    clients.sqs.create_queue(QueueName=f"{settings.response_queue}-host-1-0123abcd", tags=tags)
    for bucket in (settings.input_bucket, settings.state_bucket):
        for _ in range(2):
            clients.s3.put_object(Bucket=bucket, Key="photos/paul/1", Body=b"photo")
        clients.s3.delete_object(Bucket=bucket, Key="photos/paul/1")
        clients.s3.put_object(Bucket=bucket, Key="photos/paul/2", Body=b"photo")
    clients.dynamodb.put_item(TableName=settings.people_table, Item={"name": {"S": "paul"}})


def standing(clients: Clients, settings: Settings) -> set[str]:
    return {step.what for step in plan(clients, settings) if step.verb is not Verb.MAKE}


def test_a_removal_spares_people_unless_asked_for(clients: Clients, settings: Settings) -> None:
    filled(clients, settings)
    apply(removal(clients, settings, people=False))
    table, index = f"table {settings.people_table}", f"table {settings.people_table}-index"
    assert standing(clients, settings) == {f"bucket {settings.state_bucket}", table, index}
    assert clients.dynamodb.get_item(TableName=settings.people_table, Key={"name": {"S": "paul"}})["Item"]
    assert clients.s3.list_object_versions(Bucket=settings.state_bucket)["Versions"]


def test_a_removal_with_people_leaves_nothing_and_again_finds_nothing(clients: Clients, settings: Settings) -> None:
    filled(clients, settings)
    steps = removal(clients, settings, people=True)
    assert len(steps) == EVERYTHING + 1, "the queue of a web process, too"
    apply(steps)
    assert standing(clients, settings) == set()
    apply(steps)
    assert removal(clients, settings, people=True) == ()
    names = {name for page in clients.dynamodb.get_paginator("list_tables").paginate() for name in page["TableNames"]}
    assert settings.people_table not in names


def test_a_removal_leaves_what_others_have_whose_names_begin_alike(clients: Clients, settings: Settings) -> None:
    ensure(clients, settings)
    theirs = (f"{settings.request_queue}-archive", f"{settings.response_queue}archive")
    for name in theirs:
        clients.sqs.create_queue(QueueName=name)
    apply(removal(clients, settings, people=True))
    for name in theirs:
        assert clients.sqs.get_queue_url(QueueName=name)


@pytest.fixture
def many_versions(clients: Clients, settings: Settings) -> Iterator[str]:
    ensure(clients, settings)
    for number in range(1100):
        clients.s3.put_object(Bucket=settings.input_bucket, Key=f"many/{number}", Body=b"")
    yield settings.input_bucket


def test_a_bucket_of_more_versions_than_one_page_shows_is_emptied(
    clients: Clients, settings: Settings, many_versions: str
) -> None:
    apply(removal(clients, settings, people=False))
    assert f"bucket {many_versions}" not in standing(clients, settings)


@given(days=st.floats(0.05, 10_000))
def test_messages_and_blobs_are_kept_as_long_as_the_settings_say_within_what_aws_can(days: float) -> None:
    settings = Settings(backend="aws", keep_days=days)
    assert 60 <= retention(days) <= 14 * 24 * 3600
    if 60 <= days * 86_400 <= 14 * 86_400:
        assert 0 <= retention(days) - days * 86_400 < 1
    for bucket in (one for one in wanted(settings) if isinstance(one, WantedBucket)):
        expiries = {rule["Filter"]["Prefix"]: rule["Expiration"].get("Days") for rule in lifecycle(bucket)[1:]}
        for_a_day = {expiries.pop(area, 1) for area in ("workers/", "idempotency/")}
        assert for_a_day == {1} and set(expiries.values()) == {max(1, ceil(days))}


def test_photos_of_people_are_never_forgotten_and_old_versions_of_everything_are_within_days() -> None:
    state = next(one for one in wanted(Settings(backend="aws")) if isinstance(one, WantedBucket) and one.holds_people)
    tidy, *forgetting = lifecycle(state)
    assert not any("photos/".startswith(rule["Filter"]["Prefix"]) for rule in forgetting)
    assert (tidy["Filter"], tidy["NoncurrentVersionExpiration"]) == ({"Prefix": ""}, {"NoncurrentDays": 1})
    assert tidy["Expiration"] == {"ExpiredObjectDeleteMarker": True} and "Days" not in tidy["Expiration"]


def test_names_of_the_account_come_from_the_settings_alone() -> None:
    own = uuid4().hex
    names = {field: own + str(number) for number, field in enumerate(("request_queue", "response_queue"))}
    names |= {field: own + field for field in ("input_bucket", "output_bucket", "state_bucket", "people_table")}
    assert all(one.name.startswith(own) for one in wanted(Settings(backend="aws", **names)))
