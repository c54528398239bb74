"""How the stacks' resources are made, on either emulator: boto3's calls, with a template's words made to fit them."""

import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

Props = dict[str, Any]
#: The resource's name, and what `Fn::GetAtt` gets.
Made = tuple[str, dict[str, Any]]
PATIENCE = 60
ACCOUNT, REGION = "123456789012", "us-east-1"
#: What the other emulator has; the rest is this one's.
ON_CLOUD = ("ec2", "autoscaling", "iam")


@dataclass(frozen=True)
class Kind:
    """A type of resource: `create(logical id, properties, stack)`, `delete(name, properties)`, and
    `update(name, old, new, stack)`. `replacing`: properties whose change makes another one instead; `known`: what it is
    given besides, where no call checks it.
    """

    create: Callable[[str, Props, str], Made]
    delete: Callable[[str, Props], None]
    update: Callable[[str, Props, Props, str], Made]
    replacing: tuple[str, ...] = ()
    known: tuple[str, ...] = ()

    def handlers(self) -> dict[str, Callable[..., Any]]:
        def create(logical: str, props: Props, stack: str) -> Made:
            self._check(props)
            return self.create(logical, props, stack)

        def update(name: str, old: Props, new: Props, stack: str) -> Made:
            self._check(new)
            return self.update(name, old, new, stack)

        return {"create": create, "delete": self.delete, "update": update}

    def _check(self, props: Props) -> None:
        """What is not known would be lost without a word."""
        if self.known and (unknown := sorted(props.keys() - {*self.known, *self.replacing, "Tags"})):
            raise ValueError(f"Encountered unsupported property {unknown[0]}")


@cache
def client(service: str):
    return boto3.client(
        service,
        endpoint_url=os.environ["CLOUD_ENDPOINT" if service in ON_CLOUD else "STORE_ENDPOINT"],
        region_name=REGION,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",  # noqa: S106  # any will do
        config=Config(
            ignore_configured_endpoint_urls=True,
            connect_timeout=PATIENCE,
            read_timeout=PATIENCE,
            s3={"addressing_style": "path"},
            retries={"mode": "standard", "total_max_attempts": 5},
        ),
    )


def call(service: str, verb: str, **given: object) -> dict[str, Any]:
    """The answer. What is None is not said."""
    return getattr(client(service), verb)(**fitted(service, verb, **given))


def fitted(service: str, verb: str, **given: object) -> dict[str, Any]:
    """What the call is given."""
    speaker = client(service)
    shape = speaker.meta.service_model.operation_model(speaker.meta.method_to_api_mapping[verb]).input_shape
    return fit(shape, {name: one for name, one in given.items() if one is not None})


def fit(shape, value: Any) -> Any:
    """A template's numbers and truths may be text; a property that there is not is an error, as the service says."""
    if shape.type_name == "structure":
        if unknown := sorted(value.keys() - shape.members.keys()):
            raise ValueError(f"Encountered unsupported property {unknown[0]}")
        return {name: fit(shape.members[name], one) for name, one in value.items()}
    if shape.type_name == "list":
        return [fit(shape.member, one) for one in value]
    if shape.type_name in ("integer", "long"):
        return int(value)
    if shape.type_name in ("float", "double"):
        return float(value)
    if shape.type_name == "boolean":
        return str(value).lower() == "true"
    return str(value) if shape.type_name == "string" else value


def gone_is_fine(delete: Callable[..., None]) -> Callable[..., None]:
    """The same, content where there is nothing to delete."""

    def content(*args: Any) -> None:
        try:
            delete(*args)
        except ClientError as problem:
            code, words = problem.response["Error"]["Code"], problem.response["Error"]["Message"]
            if "NotFound" not in code and "NoSuchEntity" not in code and "not found" not in words:
                raise

    return content


def tagged(kind: str, props: Props) -> list[dict[str, Any]] | None:
    """As EC2's calls that make something want it."""
    return [{"ResourceType": kind, "Tags": props["Tags"]}] if props.get("Tags") else None


def retag(id: str, old: Props, new: Props) -> None:
    """Its tags, on EC2, as the new properties have them."""
    before, after = (_by_key(props.get("Tags", [])) for props in (old, new))
    if left := before.keys() - after.keys():
        call("ec2", "delete_tags", Resources=[id], Tags=[{"Key": key} for key in left])
    if after != before:
        call("ec2", "create_tags", Resources=[id], Tags=new["Tags"])


def _by_key(tags: list[Mapping[str, str]]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in tags}


def ec2_deletes(verb: str, argument: str) -> Callable[..., None]:
    """What EC2 deletes by its id alone."""

    def delete(id: str, _: Props) -> None:
        call("ec2", verb, **{argument: id})

    return gone_is_fine(delete)


def made_name(stack: str, logical: str) -> str:
    """As CloudFormation names what a template gives no name."""
    return f"{stack}-{logical}-{secrets.token_hex(6).upper()}"
