"""What the function may call, and what it may not, with IAM enforced by the server."""

from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from facefleet.backends.aws.faults import DENIED, code_of
from facefleet.settings import Settings

from .iam import ACCOUNT, Place, user

RECORDS = "facefleet-function-records"
KEY = {"Key": {"name": {"S": "x"}}}
KEYED = {"kind": {"S": "none"}, "key": {"S": "x"}}
OF_KIND = {"KeyConditionExpression": "kind = :k", "ExpressionAttributeValues": {":k": {"S": "none"}}}
#: By service and operation: on what, with what.
Calls = tuple[tuple[str, str, dict[str, Any]], ...]


def an_object(operation: str, bucket: str, key: str, **more: str) -> tuple[str, str, dict[str, Any]]:
    return "s3", operation, {"Bucket": bucket, "Key": key, **more}


def on_queue(operation: str, queue: str, **more: object) -> tuple[str, str, dict[str, Any]]:
    return "sqs", operation, {"QueueUrl": queue, **more}


def may(s: Settings) -> Calls:
    return (
        an_object("get_object", s.input_bucket, "test_0.mp4"),
        an_object("get_object", s.input_bucket, "test_0.mp4", VersionId="none"),
        # What it signs for a client is its own right.
        an_object("put_object", s.input_bucket, "uploads/1/test_0.mp4"),
        an_object("put_object", s.output_bucket, "test_0"),
        an_object("put_object", s.state_bucket, "results/1.json"),
        an_object("get_object", s.state_bucket, "results/1.json"),
        an_object("get_object", s.state_bucket, "state/erased"),
        an_object("get_object", s.state_bucket, "gallery/snapshot"),
        an_object("delete_object", s.output_bucket, "test_0", VersionId="none"),
        an_object("delete_object", s.input_bucket, "uploads/1/test_0.mp4", VersionId="none"),
        ("s3", "list_objects_v2", {"Bucket": s.state_bucket, "Prefix": "results/"}),
        on_queue("send_message", s.response_queue, MessageBody="mr_bean,lawyer,freshmen,test_0"),
        on_queue("send_message", f"{s.response_queue}-host-1", MessageBody="x"),
        on_queue("send_message", f"{s.request_queue}-dead", MessageBody="x"),
        on_queue("receive_message", s.request_queue, WaitTimeSeconds=0),
        on_queue("delete_message", s.request_queue, ReceiptHandle="none"),
        ("dynamodb", "get_item", {"TableName": s.people_table, **KEY}),
        ("dynamodb", "batch_get_item", {"RequestItems": {s.people_table: {"Keys": [KEY["Key"]]}}}),
        ("dynamodb", "query", {"TableName": f"{s.people_table}-index", **OF_KIND}),
        ("dynamodb", "put_item", {"TableName": RECORDS, "Item": {"id": {"S": "x"}}}),
        ("dynamodb", "get_item", {"TableName": RECORDS, "Key": {"id": {"S": "x"}}}),
        ("dynamodb", "delete_item", {"TableName": RECORDS, "Key": {"id": {"S": "x"}}}),
        ("secretsmanager", "get_secret_value", {"SecretId": "ApiKey-4567"}),
        (
            "logs",
            "create_log_stream",
            {"logGroupName": "/aws/lambda/facefleet-function", "logStreamName": "2026/01/01"},
        ),
    )


def may_not(s: Settings) -> Calls:
    return (
        # It would wake itself.
        an_object("put_object", s.input_bucket, "test_0.mp4"),
        an_object("get_object", s.state_bucket, "photos/paul/1"),
        an_object("put_object", s.state_bucket, "photos/paul/1"),
        an_object("delete_object", s.state_bucket, "photos/paul/1"),
        an_object("put_object", s.state_bucket, "state/controller"),
        an_object("put_object", s.state_bucket, "state/erased"),
        an_object("get_object", s.state_bucket, "tls/caddy.zip"),
        an_object("get_object", "somebody-elses-too", "a"),
        on_queue("send_message", s.request_queue, MessageBody="x"),
        on_queue("receive_message", f"{s.request_queue}-dead", WaitTimeSeconds=0),
        on_queue("receive_message", s.response_queue, WaitTimeSeconds=0),
        on_queue("purge_queue", s.request_queue),
        on_queue("send_message", "somebody-elses", MessageBody="x"),
        ("dynamodb", "put_item", {"TableName": s.people_table, "Item": {"name": {"S": "x"}}}),
        ("dynamodb", "update_item", {"TableName": s.people_table, **KEY}),
        ("dynamodb", "delete_item", {"TableName": s.people_table, **KEY}),
        ("dynamodb", "scan", {"TableName": s.people_table}),
        ("dynamodb", "put_item", {"TableName": f"{s.people_table}-index", "Item": KEYED}),
        ("dynamodb", "scan", {"TableName": RECORDS}),
        ("dynamodb", "get_item", {"TableName": f"{s.people_table}-of-others", **KEY}),
        ("secretsmanager", "get_secret_value", {"SecretId": "another-secret"}),
        ("logs", "get_log_events", {"logGroupName": "/aws/lambda/facefleet-function", "logStreamName": "x"}),
        ("logs", "create_log_stream", {"logGroupName": "facefleet", "logStreamName": "x"}),
        ("ec2", "describe_instances", {}),
        ("iam", "create_user", {"UserName": "another"}),
    )


@pytest.fixture
def function(guarded: Place) -> Place:
    """The place, where the function has come to be, too."""
    root = guarded.client("root", "sqs")
    for name in ("somebody-elses", f"{guarded.settings.response_queue}-host-1"):
        root.create_queue(QueueName=name)
    guarded.client("root", "s3").create_bucket(Bucket="somebody-elses-too")
    for name in ("ApiKey-4567", "another-secret"):
        guarded.client("root", "secretsmanager").create_secret(Name=name, SecretString="{}")
    own = user(guarded.client("root", "iam"), "function", guarded.settings)
    return replace(guarded, keys={**guarded.keys, "function": own})


def is_allowed(place: Place, service: str, operation: str, parameters: dict[str, Any]) -> bool:
    """Whether IAM let it pass; that there was nothing to find is another matter."""
    if service == "sqs":
        parameters = parameters | {"QueueUrl": f"{place.url}/{ACCOUNT.id}/{parameters['QueueUrl']}"}
    try:
        getattr(place.client("function", service), operation)(**parameters)
    except ClientError as e:
        return code_of(e) not in DENIED
    return True


def test_it_may_do_its_work_and_nothing_besides(function: Place) -> None:
    settings = function.settings
    refused = [f"{op} {more}" for service, op, more in may(settings) if not is_allowed(function, service, op, more)]
    assert refused == []
    allowed = [f"{op} {more}" for service, op, more in may_not(settings) if is_allowed(function, service, op, more)]
    assert allowed == []
