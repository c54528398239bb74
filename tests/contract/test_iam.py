"""Who may call what: every tier's policy, with IAM enforced by the server, and no more than the tier needs.

`pytest -s tests/contract/test_iam.py` shows the table.
"""

import sys
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from facefleet.backends.aws.faults import DENIED, code_of

from .iam import ACCOUNT, TIERS, Place

Call = Callable[[Callable[[str], Any], Place], object]
ROWS: list[tuple[str, frozenset[str], Call]] = []


def row(call: str, *tiers: str) -> Callable[[Call], Call]:
    """Notes a call, and the tiers that may make it; all others must be refused."""

    def note(how: Call) -> Call:
        ROWS.append((call, frozenset(tiers), how))
        return how

    return note


def on_queue(operation: str, kind: str, call: str, *tiers: str, **parameters: Any) -> None:
    def how(client: Callable[[str], Any], place: Place) -> object:
        base = {"request": place.settings.request_queue, "response": place.settings.response_queue}
        name = base.get(kind) or (f"{base['request']}-dead" if kind == "dead" else f"{base['response']}-host-1")
        name = "somebody-elses" if kind == "foreign" else name
        url = f"{place.url}/{ACCOUNT.id}/{name}"
        return getattr(client("sqs"), operation)(QueueUrl=url, **parameters)

    row(call, *tiers)(how)


def on_object(operation: str, key: str, *tiers: str, **parameters: Any) -> None:
    area, _, name = key.partition("/")

    def how(client: Callable[[str], Any], place: Place) -> object:
        s = place.settings
        bucket = {"in": s.input_bucket, "out": s.output_bucket, "theirs": "somebody-elses"}.get(area, s.state_bucket)
        at = name if area in ("in", "out", "theirs") else key
        return getattr(client("s3"), operation)(Bucket=bucket, Key=at, **parameters)

    row(f"s3 {operation} {key}{' (a version)' if parameters.get('VersionId') else ''}", *tiers)(how)


def on_table(operation: str, table: str, *tiers: str, **parameters: Any) -> None:
    def how(client: Callable[[str], Any], place: Place) -> object:
        return getattr(client("dynamodb"), operation)(TableName=place.settings.people_table + table, **parameters)

    row(f"dynamodb {operation} people{table}", *tiers)(how)


NOW = {"WaitTimeSeconds": 0}
BODY, NO_RECEIPT = {"MessageBody": "x"}, {"ReceiptHandle": "none"}
on_queue("send_message", "request", "sqs send to the request queue", "web", **BODY)
on_queue("receive_message", "request", "sqs receive from the request queue", "web", "worker", **NOW)
on_queue("delete_message", "request", "sqs delete from the request queue", "web", "worker", **NO_RECEIPT)
LEASE = NO_RECEIPT | {"VisibilityTimeout": 1}
on_queue("change_message_visibility", "request", "sqs extend a lease of the request queue", "web", "worker", **LEASE)
ALL = {"AttributeNames": ["All"]}
on_queue("get_queue_attributes", "request", "sqs depth of the request queue", *TIERS, **ALL)
on_queue("purge_queue", "request", "sqs purge the request queue")
on_queue("purge_queue", "dead", "sqs purge the dead letters", "web")
on_queue("receive_message", "dead", "sqs receive dead letters", "controller", **NOW)
on_queue("delete_message", "dead", "sqs delete dead letters", **NO_RECEIPT)
on_queue("send_message", "dead", "sqs send to the dead letters", **BODY)
on_queue("send_message", "replies", "sqs send to a response queue", "worker", "controller", **BODY)
on_queue("receive_message", "replies", "sqs receive from a response queue", "web")
ALIVE = {"Tags": {"facefleet:alive-at": "1"}}
on_queue("tag_queue", "replies", "sqs tag a response queue", "web", **ALIVE)
on_queue("list_queue_tags", "replies", "sqs see whether a response queue has an owner", "web", "controller", "operator")
on_queue("delete_queue", "replies", "sqs delete a response queue", "web", "controller", "operator")
LONGER = {"Attributes": {"VisibilityTimeout": "5"}}
on_queue("set_queue_attributes", "request", "sqs change the request queue", "operator", **LONGER)
on_queue("send_message", "foreign", "sqs send to somebody else's queue", **BODY)
on_queue("receive_message", "foreign", "sqs receive from somebody else's queue")

VERSION = {"VersionId": "none"}
on_object("put_object", "in/a.jpg", "web", "worker", "controller")
on_object("get_object", "in/a.jpg")
on_object("get_object", "in/claims/1", "worker")
on_object("get_object", "in/uploads/1/a.jpg", "worker")
on_object("delete_object", "in/a.jpg", "web", "worker", "controller", "operator", **VERSION)
on_object("put_object", "out/a", "web", "worker")
on_object("get_object", "out/a", "web", "worker")
on_object("delete_object", "out/a", "web", "worker", "controller", "operator", **VERSION)
on_object("put_object", "results/1.json", "web", "worker", "controller")
on_object("get_object", "results/1.json", "web", "worker", "controller")
on_object("put_object", "queued/1", "web")
on_object("put_object", "idempotency/1", "web")
on_object("get_object", "idempotency/1", "web")
on_object("delete_object", "idempotency/1", "web", "controller", "operator", **VERSION)
on_object("put_object", "photos/paul/1", "worker")
on_object("get_object", "photos/paul/1")
on_object("delete_object", "photos/paul/1", "web", "worker", "operator", **VERSION)
on_object("delete_object", "photos/paul/1", "web", "worker", "operator")
on_object("put_object", "gallery/snapshot", "worker")
on_object("get_object", "gallery/snapshot", "worker")
on_object("delete_object", "gallery/snapshot", "web", "worker", "operator", **VERSION)
on_object("abort_multipart_upload", "gallery/snapshot", "worker", UploadId="none")
on_object("put_object", "workers/i-1", "worker")
on_object("get_object", "workers/i-1", "controller")
on_object("put_object", "state/controller", "controller")
on_object("get_object", "state/controller", "controller")
on_object("put_object", "state/purged", "web", "controller")
on_object("put_object", "state/erased", "web", "controller")
on_object("get_object", "state/erased", "web", "controller")
on_object("put_object", "tls/caddy.zip", "web")
on_object("get_object", "tls/caddy.zip", "web")
on_object("delete_object", "tls/caddy.zip", "operator")
on_object("get_object", "theirs/a")
on_object("put_object", "theirs/a")

NAME, INDEX = {"Key": {"name": {"S": "x"}}}, "-index"
KEYED = {"kind": {"S": "none"}, "key": {"S": "x"}}
OF_KIND = {"KeyConditionExpression": "kind = :k", "ExpressionAttributeValues": {":k": {"S": "none"}}}
on_table("get_item", "", "web", "worker", **NAME)
on_table("update_item", "", "web", "worker", **NAME)
on_table("delete_item", "", "web", **NAME)
on_table("scan", "")
on_table("query", INDEX, "web", "worker", "controller", **OF_KIND)
on_table("put_item", INDEX, "web", "worker", Item=KEYED)
on_table("delete_item", INDEX, "web", Key=KEYED)
on_table("update_item", INDEX, "controller", Key=KEYED)
on_table("describe_table", "", "operator")
PROTECTED = {"DeletionProtectionEnabled": True}
on_table("update_table", "", "operator", **PROTECTED)
on_table("get_item", "-of-others", **NAME)


@row("dynamodb batch_get_item people", "web", "worker")
def read_many(client: Callable[[str], Any], place: Place) -> object:
    return client("dynamodb").batch_get_item(RequestItems={place.settings.people_table: {"Keys": [NAME["Key"]]}})


@row("dynamodb batch_write_item people-index", "controller")
def delete_many(client: Callable[[str], Any], place: Place) -> object:
    deletion = {"DeleteRequest": {"Key": KEYED}}
    return client("dynamodb").batch_write_item(RequestItems={place.settings.people_table + INDEX: [deletion]})


@row("s3 list the photos", "web", "worker", "controller", "operator")
def list_photos(client: Callable[[str], Any], place: Place) -> object:
    return client("s3").list_objects_v2(Bucket=place.settings.state_bucket, Prefix="photos/")


@row("s3 put_bucket_versioning", "operator")
def keep_versions(client: Callable[[str], Any], place: Place) -> object:
    on = {"Status": "Enabled"}
    return client("s3").put_bucket_versioning(Bucket=place.settings.state_bucket, VersioningConfiguration=on)


@row("s3 get_bucket_tagging", "operator")
def see_who_made_it(client: Callable[[str], Any], place: Place) -> object:
    return client("s3").get_bucket_tagging(Bucket=place.settings.state_bucket)


@row("s3 get an answer without TLS")
def without_tls(client: Callable[[str], Any], place: Place) -> object:
    s3 = client("s3")
    s3.meta.events.register(
        "before-send.s3", lambda request, **_: request.headers.update({"x-forwarded-proto": "http"})
    )
    return s3.get_object(Bucket=place.settings.output_bucket, Key="a")


def on_service(service: str, operation: str, call: str, *tiers: str, **parameters: Any) -> None:
    def how(client: Callable[[str], Any], place: Place) -> object:
        return getattr(client(service), operation)(**parameters)

    row(f"{service} {call}", *tiers)(how)


on_service("secretsmanager", "get_secret_value", "read the API key", "web", SecretId="ApiKey-0123")
on_service("secretsmanager", "get_secret_value", "read somebody else's secret", SecretId="another")
STREAM = {"logGroupName": "facefleet", "logStreamName": "i-1/web_tier"}
LINES = STREAM | {"logEvents": [{"timestamp": 1, "message": "INFO x"}]}
on_service("logs", "create_log_stream", "begin a stream", "web", "worker", "controller", **STREAM)
on_service("logs", "put_log_events", "send lines", "web", "worker", "controller", **LINES)
on_service("logs", "get_log_events", "read lines", **STREAM)
on_service("logs", "put_log_events", "send lines to another group", **LINES | {"logGroupName": "another"})
on_service("ec2", "describe_instances", "describe_instances", "web", "controller", "operator")
on_service("ec2", "describe_addresses", "describe_addresses", "web")
on_service("ec2", "describe_launch_templates", "describe_launch_templates", "controller", "operator")


@row("ec2 give an address to somebody else's instance")
def give_away(client: Callable[[str], Any], place: Place) -> object:
    return client("ec2").associate_address(AllocationId="eipalloc-0abc", InstanceId=place.foreign)


def on_foreign_instance(operation: str) -> None:
    """Those of the fleet are judged below: this server asks IAM, and does not tell it an instance's tags."""

    def how(client: Callable[[str], Any], place: Place) -> object:
        return getattr(client("ec2"), operation)(InstanceIds=[place.foreign])

    row(f"ec2 {operation}, of another fleet")(how)


on_foreign_instance("start_instances")
on_foreign_instance("stop_instances")
on_foreign_instance("terminate_instances")


@row("ec2 tag somebody else's instance as ours")
def steal(client: Callable[[str], Any], place: Place) -> object:
    tags = [{"Key": "facefleet:fleet", "Value": place.settings.instance_name}]
    return client("ec2").create_tags(Resources=[place.foreign], Tags=tags)


@row("ec2 launch without a template")
def launch_anything(client: Callable[[str], Any], place: Place) -> object:
    return client("ec2").run_instances(ImageId="ami-1", MinCount=1, MaxCount=1)


@row("iam create_user")
def create_user(client: Callable[[str], Any], place: Place) -> object:
    return client("iam").create_user(UserName="another")


def is_allowed(place: Place, tier: str, call: Call) -> bool:
    """Whether IAM let it pass; that there was nothing to find is another matter."""
    try:
        call(lambda service: place.client(tier, service), place)
    except ClientError as e:
        return code_of(e) not in DENIED
    return True


def test_who_may_call_what_is_as_the_table_says(guarded: Place) -> None:
    lines, wrong = [f"| call | {' | '.join(TIERS)} |", f"|---|{'---|' * len(TIERS)}"], []
    guarded.client("root", "sqs").create_queue(QueueName="somebody-elses")
    guarded.client("root", "s3").create_bucket(Bucket="somebody-elses")
    for name in ("ApiKey-0123", "another"):
        guarded.client("root", "secretsmanager").create_secret(Name=name, SecretString="{}")
    for call, tiers, how in ROWS:
        allowed = {tier for tier in TIERS if is_allowed(guarded, tier, how)}
        lines.append(f"| {call} | {' | '.join('yes' if tier in allowed else 'no' for tier in TIERS)} |")
        wrong += [f"{tier}: {call}" for tier in sorted(allowed ^ tiers)]
    sys.stdout.write("\n".join(["", *lines, ""]))
    assert wrong == []
    assert is_allowed(guarded, "root", ROWS[0][2]), "it is the policies that refuse"
