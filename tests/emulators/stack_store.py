"""The resources of a stack that last, where ministack's own way drops or overwrites what it is given: by its API."""

import secrets
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError
from ministack.services.cloudformation import provisioners
from stack_calls import Kind, Made, Props, call, gone_is_fine

MADE = provisioners._RESOURCE_HANDLERS


def _name(logical: str, props: Props, property: str, stack: str) -> str:
    return props.get(property) or f"{stack}-{logical}-{secrets.token_hex(6)}".lower()


# Buckets


def bucket_create(logical: str, props: Props, stack: str) -> Made:
    name = _name(logical, props, "BucketName", stack)
    try:
        call("s3", "head_bucket", Bucket=name)
    except ClientError:
        call("s3", "create_bucket", Bucket=name)
        return bucket_update(name, {}, props, stack)
    raise ValueError(f"{name} already exists")


def bucket_update(name: str, old: Props, new: Props, _: str) -> Made:
    """Each property in a call of its own; one that is left out again is taken away."""
    if unknown := new.keys() - PARTS.keys() - {"BucketName"}:
        raise ValueError(f"Encountered unsupported property {min(unknown)}")
    for property, (put, argument, said, delete) in PARTS.items():
        if property in new and new[property] != old.get(property):
            call("s3", put, Bucket=name, **{argument: said(new[property])})
        elif property in old and property not in new:
            call("s3", delete, Bucket=name)
    return name, provisioners._s3_attrs(name)


def bucket_delete(name: str, _: Props) -> None:
    call("s3", "delete_bucket", Bucket=name)


def _encryption(said: Props) -> Props:
    renamed = {"ServerSideEncryptionByDefault": "ApplyServerSideEncryptionByDefault"}
    rules = said["ServerSideEncryptionConfiguration"]
    return {"Rules": [{renamed.get(name, name): value for name, value in rule.items()} for rule in rules]}


def _lifecycle(said: Props) -> Props:
    return {"Rules": [_rule(rule) for rule in said["Rules"]]}


def _rule(said: Props) -> Props:
    kept = ("Status", "NoncurrentVersionExpiration", "AbortIncompleteMultipartUpload")
    days, marker = said.get("ExpirationInDays"), said.get("ExpiredObjectDeleteMarker")
    expiration = {name: value for name, value in {"Days": days, "ExpiredObjectDeleteMarker": marker}.items() if value}
    if unknown := said.keys() - {*kept, "Id", "Prefix", "ExpirationInDays", "ExpiredObjectDeleteMarker"}:
        raise ValueError(f"Encountered unsupported property {min(unknown)}")
    rule = {name: said[name] for name in kept if name in said}
    if expiration:
        rule["Expiration"] = expiration
    return rule | {"ID": said["Id"], "Filter": {"Prefix": said.get("Prefix", "")}}


def _notifications(said: Props) -> Props:
    if unknown := said.keys() - {"LambdaConfigurations", "QueueConfigurations"}:
        raise ValueError(f"Encountered unsupported property {min(unknown)}")
    functions, queues = said.get("LambdaConfigurations", ()), said.get("QueueConfigurations", ())
    return {
        "LambdaFunctionConfigurations": [
            _notification(one) | {"LambdaFunctionArn": one["Function"]} for one in functions
        ],
        "QueueConfigurations": [_notification(one) | {"QueueArn": one["Queue"]} for one in queues],
    }


def _notification(said: Props) -> Props:
    told: Props = {"Events": [said["Event"]]}
    return told | {"Filter": {"Key": {"FilterRules": said["Filter"]["S3Key"]["Rules"]}}} if "Filter" in said else told


def _same(said: Any) -> Any:
    return said


Part = tuple[str, str, Callable[[Any], Any], str]
#: What each property is said with, under which name and how, and taken away with.
PARTS: dict[str, Part] = {
    "PublicAccessBlockConfiguration": (
        "put_public_access_block",
        "PublicAccessBlockConfiguration",
        _same,
        "delete_public_access_block",
    ),
    "OwnershipControls": (
        "put_bucket_ownership_controls",
        "OwnershipControls",
        _same,
        "delete_bucket_ownership_controls",
    ),
    "BucketEncryption": (
        "put_bucket_encryption",
        "ServerSideEncryptionConfiguration",
        _encryption,
        "delete_bucket_encryption",
    ),
    "VersioningConfiguration": ("put_bucket_versioning", "VersioningConfiguration", _same, "get_bucket_versioning"),
    "LifecycleConfiguration": (
        "put_bucket_lifecycle_configuration",
        "LifecycleConfiguration",
        _lifecycle,
        "delete_bucket_lifecycle",
    ),
    "NotificationConfiguration": (
        "put_bucket_notification_configuration",
        "NotificationConfiguration",
        _notifications,
        "get_bucket_notification_configuration",
    ),
    "Tags": ("put_bucket_tagging", "Tagging", lambda tags: {"TagSet": tags}, "delete_bucket_tagging"),
}


# Tables

#: What is said in calls of its own.
ASIDE = ("PointInTimeRecoverySpecification", "TimeToLiveSpecification")


def table_create(logical: str, props: Props, stack: str) -> Made:
    name = _name(logical, props, "TableName", stack)
    asked = {key: value for key, value in props.items() if key not in ASIDE}
    made = call("dynamodb", "create_table", **asked | {"TableName": name})
    if backups := props.get("PointInTimeRecoverySpecification"):
        call("dynamodb", "update_continuous_backups", TableName=name, PointInTimeRecoverySpecification=backups)
    if expiry := props.get("TimeToLiveSpecification"):
        call("dynamodb", "update_time_to_live", TableName=name, TimeToLiveSpecification=expiry)
    return name, {"Arn": made["TableDescription"]["TableArn"]}


def table_update(name: str, old: Props, new: Props, stack: str) -> Made:
    made = MINISTACK_TABLE["update"](name, old, new, stack)
    backups = new.get("PointInTimeRecoverySpecification", {"PointInTimeRecoveryEnabled": False})
    if backups != old.get("PointInTimeRecoverySpecification"):
        call("dynamodb", "update_continuous_backups", TableName=name, PointInTimeRecoverySpecification=backups)
    return made


def table_delete(name: str, _: Props) -> None:
    call("dynamodb", "delete_table", TableName=name)


MINISTACK_TABLE = dict(MADE["AWS::DynamoDB::Table"])


# Queues and log groups: as ministack makes them, but never in place of one that is there


def queue_create(logical: str, props: Props, stack: str) -> Made:
    try:
        call("sqs", "get_queue_url", QueueName=props.get("QueueName", "?"))
    except ClientError:
        return MINISTACK_QUEUE["create"](logical, props, stack)
    raise ValueError(f"Resource of type 'AWS::SQS::Queue' with identifier '{props['QueueName']}' already exists.")


def logs_create(logical: str, props: Props, stack: str) -> Made:
    name = props.get("LogGroupName", "?")
    found = call("logs", "describe_log_groups", logGroupNamePrefix=name)["logGroups"]
    if any(group["logGroupName"] == name for group in found):
        raise ValueError(f"Resource of type 'AWS::Logs::LogGroup' with identifier '{name}' already exists.")
    return MINISTACK_LOGS["create"](logical, props, stack)


MINISTACK_QUEUE, MINISTACK_LOGS = dict(MADE["AWS::SQS::Queue"]), dict(MADE["AWS::Logs::LogGroup"])


KINDS = {
    "AWS::S3::Bucket": Kind(bucket_create, gone_is_fine(bucket_delete), bucket_update, ("BucketName",)),
    "AWS::DynamoDB::Table": Kind(table_create, gone_is_fine(table_delete), table_update, ("TableName",)),
    "AWS::SQS::Queue": Kind(
        queue_create, MINISTACK_QUEUE["delete"], MINISTACK_QUEUE["update"], ("QueueName", "FifoQueue")
    ),
    "AWS::Logs::LogGroup": Kind(logs_create, MINISTACK_LOGS["delete"], MINISTACK_LOGS["update"], ("LogGroupName",)),
}
