"""A function with buckets, queues and tables of its own, which sees faces in colours."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from awake import BLACK, RED, enrol, function_of, image_of, taken
from unit.clips import clip_of
from woken import Context, Json, put

from facefleet.backends.aws.clients import Clients, connect_clients
from facefleet.settings import Settings
from lambda_tier.dispatch import Function
from lambda_tier.handler import outside_of
from lambda_tier.outside import Outside

from .bare import make_bare
from .conftest import aws

CLIP = clip_of((image_of(BLACK), 0.2), (image_of(RED), 0.2))


@dataclass(frozen=True)
class Account:
    """A function with everything of its own."""

    clients: Clients
    settings: Settings
    outside: Outside
    function: Function

    def wake(self, event: Json, *, left: float = 60.0) -> Any:
        return self.function(event, Context(left))

    def put(self, key: str, data: bytes = CLIP) -> Json:
        """Puts it, and returns the record that S3 would tell of it."""
        bucket = self.settings.input_bucket
        answer = self.clients.s3.put_object(Bucket=bucket, Key=key, Body=data)
        return put(bucket, key, len(data), versionId=answer["VersionId"])

    def line(self, key: str) -> str:
        found = self.clients.s3.get_object(Bucket=self.settings.output_bucket, Key=key)
        return str(found["Body"].read().decode())

    def sent(self) -> list[str]:
        return taken(self.outside.responses())

    def dead(self) -> list[Json]:
        assert self.outside.dead is not None
        return [json.loads(body) for body in taken(self.outside.dead())]

    def with_outside(self, **changed: Any) -> "Account":
        outside = replace(self.outside, **changed)
        return replace(self, outside=outside, function=function_of(outside, self.settings))


def open_account(folder: Path, **env: str) -> Account:
    """Where boto3 is told to look; `env`: more of what the function alone is told."""
    settings, clients = aws(folder), connect_clients()
    make_bare(clients, settings)
    clients.sqs.create_queue(QueueName=settings.response_queue)
    table = f"{settings.people_table}-once"
    clients.dynamodb.create_table(
        TableName=table,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )
    dead = clients.sqs.get_queue_url(QueueName=f"{settings.request_queue}-dead")["QueueUrl"]
    outside = outside_of(settings, {"IDEMPOTENCY_TABLE": table, "DEAD_QUEUE": dead, **env})
    enrol(outside.people)
    return Account(clients, settings, outside, function_of(outside, settings))
