"""What `facefleet setup` makes, as far as the ports notice it: a second less for each of hundreds of tests."""

import json
from contextlib import suppress
from typing import Any

from facefleet.backends.aws.account.wanted import WantedQueue, WantedTable, buckets, queues, tables
from facefleet.backends.aws.clients import Clients
from facefleet.settings import Settings


def make_bare(clients: Clients, settings: Settings) -> None:
    """Queues, buckets and tables with what a caller may see of them; neither private nor forgetful."""
    for queue in queues(settings):
        _make_queue(clients.sqs, queue)
    for bucket in buckets(settings):
        clients.s3.create_bucket(Bucket=bucket.name)
        if bucket.versioned:
            clients.s3.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"})
    for table in tables(settings):
        with suppress(clients.dynamodb.exceptions.ResourceInUseException):
            _make_table(clients.dynamodb, table)


def _make_queue(sqs: Any, queue: WantedQueue) -> None:
    url = sqs.create_queue(QueueName=queue.name)["QueueUrl"]
    attributes = dict(queue.attributes)
    if queue.dead_letters:
        arn = sqs.get_queue_url(QueueName=queue.dead_letters)["QueueUrl"].split("/")
        target = f"arn:aws:sqs:{sqs.meta.region_name}:{arn[-2]}:{arn[-1]}"
        attributes["RedrivePolicy"] = json.dumps({"deadLetterTargetArn": target, "maxReceiveCount": queue.max_receives})
    sqs.set_queue_attributes(QueueUrl=url, Attributes=attributes)


def _make_table(dynamodb: Any, table: WantedTable) -> None:
    dynamodb.create_table(
        TableName=table.name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in table.keys],
        KeySchema=[
            {"AttributeName": key, "KeyType": kind} for key, kind in zip(table.keys, ("HASH", "RANGE"), strict=False)
        ],
    )
