"""What stands on the account."""

import json
from typing import Any

from facefleet.backends.aws.clients import Clients
from facefleet.settings import Settings


def ensure(clients: Clients, settings: Settings) -> None:
    """Makes what is missing. (A first form of it.)"""
    dead = _queue(clients.sqs, f"{settings.request_queue}-dead", {})
    arn = clients.sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": settings.max_receives})
    _queue(
        clients.sqs,
        settings.request_queue,
        {"RedrivePolicy": redrive, "MaximumMessageSize": str(settings.max_message_bytes)},
    )
    _queue(clients.sqs, settings.response_queue, {})
    for bucket in (settings.input_bucket, settings.output_bucket, settings.state_bucket):
        clients.s3.create_bucket(Bucket=bucket)
        clients.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    tables = clients.dynamodb.list_tables()["TableNames"]
    if settings.people_table not in tables:
        _table(clients.dynamodb, settings.people_table, {"name": "HASH"})
        _table(clients.dynamodb, f"{settings.people_table}-index", {"kind": "HASH", "key": "RANGE"})


def _queue(sqs: Any, name: str, attributes: dict[str, str]) -> str:
    url: str = sqs.create_queue(QueueName=name)["QueueUrl"]
    if attributes:
        sqs.set_queue_attributes(QueueUrl=url, Attributes=attributes)
    return url


def _table(dynamodb: Any, name: str, keys: dict[str, str]) -> None:
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
        KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in keys.items()],
    )
