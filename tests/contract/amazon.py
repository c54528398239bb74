"""Fleets on EC2, as the emulator has it: each test's own, on one server."""

import secrets
import sys
from dataclasses import replace
from uuid import uuid4

import boto3
from botocore.config import Config
from services import until

from bench.emulators import IMAGE, KEYS, Emulator
from facefleet.backends.aws.fleet import Ec2Fleet
from facefleet.backends.aws.group import GroupFleet
from facefleet.model import InstanceState
from facefleet.ports import Fleet
from facefleet.settings import Settings

from .workers import launch, states

ZONE = "us-east-1a"
#: What runs on an instance, and does not end when it is told to drain.
WORKER = [
    sys.executable,
    "-c",
    """
import json, os, signal
diary = os.open(os.environ["DIARY"], os.O_WRONLY)
def tell(what):
    os.write(diary, (json.dumps([what, os.environ["INSTANCE_ID"], os.getpid()]) + chr(10)).encode())
signal.signal(signal.SIGTERM, lambda *_: tell("drains"))
tell("works")
while True:
    signal.pause()
""",
]


class Account:
    """A launch template and, if asked for, a group. Calls are tried once: a test that provokes an error sees it."""

    def __init__(self, cloud: Emulator, **changes: object) -> None:
        self.cloud = cloud
        own = uuid4().hex[:8]
        self.settings = replace(
            Settings(
                backend="aws",
                instance_name=f"app-tier-instance-{own}",
                launch_template=f"worker-{own}",
                warm_pool=0,
            ),
            **changes,
        )
        self.ec2, self.autoscaling = (self._client(service) for service in ("ec2", "autoscaling"))
        self.ec2.create_launch_template(
            LaunchTemplateName=self.settings.launch_template, LaunchTemplateData={"ImageId": IMAGE}
        )

    def _client(self, service: str):
        return boto3.client(
            service,
            region_name=self.cloud.env["AWS_DEFAULT_REGION"],
            endpoint_url=self.cloud.url,
            **{name.lower(): key for name, key in KEYS.items()},
            config=Config(retries={"total_max_attempts": 1}),
        )

    def fleet(self, **changes: object) -> Ec2Fleet:
        """Made again, it is what a controller has that has just been started."""
        return Ec2Fleet(self.ec2, replace(self.settings, **changes))

    def group(self, *, most: int = 9) -> "Account":
        name = f"group-{self.settings.instance_name}"
        self.autoscaling.create_auto_scaling_group(
            AutoScalingGroupName=name,
            MinSize=0,
            MaxSize=most,
            LaunchTemplate={"LaunchTemplateName": self.settings.launch_template, "Version": "$Default"},
            AvailabilityZones=[ZONE],
        )
        self.settings = replace(self.settings, auto_scaling_group=name)
        return self

    def group_fleet(self) -> GroupFleet:
        return GroupFleet(self.autoscaling, self.ec2, self.settings)

    def upgrade(self) -> None:
        """A newer version of the launch template, which instances are made of from now on."""
        name, data = self.settings.launch_template, {"ImageId": IMAGE}
        made = self.ec2.create_launch_template_version(LaunchTemplateName=name, LaunchTemplateData=data)
        self.make_default(made["LaunchTemplateVersion"]["VersionNumber"])

    def make_default(self, version: int) -> None:
        self.ec2.modify_launch_template(LaunchTemplateName=self.settings.launch_template, DefaultVersion=str(version))

    def described_group(self) -> dict:
        names = [self.settings.auto_scaling_group]
        (group,) = self.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=names)["AutoScalingGroups"]
        return group

    def instances(self) -> dict[str, dict]:
        """All that there are and were, ours and others', as the emulator itself tells."""
        return {one["id"]: one for one in self.cloud.told("/_instances")}

    def mine(self) -> dict[str, dict]:
        """Those with this test's tag."""
        ours = self.settings.instance_name
        return {id: one for id, one in self.instances().items() if one["tags"].get("facefleet:fleet") == ours}

    def close(self) -> None:
        """Without faults, and with nothing left that runs."""
        self.cloud.told("/_faults", {})
        if self.settings.auto_scaling_group:
            self.autoscaling.delete_auto_scaling_group(
                AutoScalingGroupName=self.settings.auto_scaling_group, ForceDelete=True
            )


def a_token() -> str:
    """EC2 keeps tokens: no test may have had it."""
    return secrets.token_hex(16)


def all_are(fleet: Fleet, ids: set[str], state: InstanceState) -> bool:
    known = states(fleet)
    return all(known.get(id) is state for id in ids)


def running(fleet: Fleet, count: int = 1) -> list[str]:
    """So many more, once they run."""
    ids = launch(fleet, count)
    until(lambda: all_are(fleet, ids, InstanceState.RUNNING))
    return sorted(ids)


def resting(fleet: Fleet, count: int = 1) -> list[str]:
    """So many more in the warm pool."""
    ids = running(fleet, count)
    fleet.retire(ids)
    until(lambda: all_are(fleet, set(ids), InstanceState.STOPPED))
    return ids
