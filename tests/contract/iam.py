"""An account that asks IAM, with a user for each tier who has that tier's policy and no other."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import boto3

from bench import emulators
from facefleet.backends.aws.account.policies import Account, names, rendered
from facefleet.settings import Settings

POLICIES = Path(__file__).parents[2] / "deploy" / "policies"
TIERS = ("web", "worker", "controller", "operator")
ACCOUNT = Account(
    id="000000000000", region=emulators.REGION, launch_template_id="lt-0abc", allocation_id="eipalloc-0abc"
)
ROOT = emulators.KEYS
SERVICES = ("sqs", "s3", "dynamodb", "ec2", "iam", "sts", "logs", "secretsmanager")


@dataclass(frozen=True)
class Place:
    """An account where everything stands, and users that have one tier's policy each."""

    url: str
    settings: Settings
    keys: Mapping[str, Mapping[str, str]]
    foreign: str = ""

    def client(self, tier: str, service: str) -> Any:
        own = self.keys[tier]
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=emulators.REGION,
            aws_access_key_id=own["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=own["AWS_SECRET_ACCESS_KEY"],
        )

    def env(self, tier: str) -> dict[str, str]:
        # The general one for services whose names boto3 writes otherwise: none may be AWS's own.
        endpoints = {"AWS_ENDPOINT_URL": self.url}
        endpoints |= {f"AWS_ENDPOINT_URL_{service.upper()}": self.url for service in SERVICES}
        return {"AWS_DEFAULT_REGION": emulators.REGION} | endpoints | dict(self.keys[tier])


def place_at(server: str, settings: Settings) -> Place:
    """With users of its own; nothing stands yet but an instance of another fleet."""
    place = Place(server, settings, {"root": ROOT})
    users = {tier: user(place.client("root", "iam"), tier, settings) for tier in TIERS}
    return replace(place, keys={"root": ROOT, **users}, foreign=foreign_instance(place))


def policy(tier: str, settings: Settings) -> str:
    return rendered((POLICIES / f"{tier}.json").read_text(), names(ACCOUNT, settings))


def user(iam: Any, tier: str, settings: Settings) -> dict[str, str]:
    name = f"{tier}-of-{settings.request_queue}"
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName=tier, PolicyDocument=policy(tier, settings))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}


def foreign_instance(place: Place) -> str:
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "facefleet:fleet", "Value": "another"}]}]
    run = place.client("root", "ec2").run_instances(
        ImageId=emulators.IMAGE, MinCount=1, MaxCount=1, TagSpecifications=tags
    )
    return str(run["Instances"][0]["InstanceId"])
