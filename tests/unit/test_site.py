"""What a roll sees of a deployment where two people, or two runs, are about it."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from facefleet.backends.aws.account.launching import VERSION
from facefleet.backends.aws.account.resources import Verb
from facefleet.backends.aws.account.rollout import Canary
from facefleet.backends.aws.account.site import AwsSite, Wanted
from facefleet.backends.aws.account.stack_told import Planned, Standing
from facefleet.errors import Conflict

OUTPUTS = {
    "AllocationId": "eipalloc-1",
    "WorkerTemplate": "lt-1",
    "WebTemplate": "lt-1",
    "ControllerTemplate": "lt-1",
    "WebGroup": "x-web",
    "ControllerGroup": "x-controller",
}
WANTED = Wanted("{}", {"Image": "ami-1"})


@dataclass
class World:
    """Machines of the newest version; the first of the web tier's has the address. `asked`: what was to be proved."""

    groups: dict[str, list[str]]
    standing: Standing = Standing("arn:x", "UPDATE_COMPLETE", "", WANTED.parameters, OUTPUTS)
    asked: list[str] = field(default_factory=list)

    def site(self) -> AwsSite:
        clients: Any = SimpleNamespace(autoscaling=self, ec2=self, s3=self)
        stack: Any = SimpleNamespace(name="x-fleet", found=lambda: self.standing, plan=self.plan, drop=lambda _: None)
        canaries: Any = SimpleNamespace(seen=lambda _: Canary.NONE)
        return AwsSite(clients, stack, WANTED, None, "state", canaries, lambda proof: self.asked.append(proof) or "")

    def plan(self, *_: object) -> Planned:
        return Planned("x-fleet", Verb.FINE)

    def describe_auto_scaling_groups(self, *, AutoScalingGroupNames: list[str]) -> dict[str, Any]:
        (name,) = AutoScalingGroupNames
        instances = [{"InstanceId": id, "LifecycleState": "InService"} for id in self.groups[name]]
        return {"AutoScalingGroups": [{"Instances": instances, "DesiredCapacity": len(instances)}]}

    def get_paginator(self, _: str) -> "World":
        return self

    def paginate(self, *, Filters: list[dict[str, Any]], **_: object) -> list[dict[str, Any]]:
        common = {"State": {"Name": "running"}, "LaunchTime": datetime(2026, 11, 1, tzinfo=UTC)}
        tags = [{"Key": VERSION, "Value": "1"}]
        return [
            {"Reservations": [{"Instances": [common | {"InstanceId": id, "Tags": tags}]}]}
            for id in Filters[0]["Values"]
        ]

    def describe_launch_templates(self, **_: object) -> dict[str, Any]:
        return {"LaunchTemplates": [{"LatestVersionNumber": 1, "DefaultVersionNumber": 1}]}

    def describe_addresses(self, **_: object) -> dict[str, Any]:
        return {"Addresses": [{"InstanceId": self.groups["x-web"][0]}]}

    def get_object(self, **_: object) -> dict[str, Any]:
        raise ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject")


@pytest.mark.parametrize(("webs", "proof"), [(["i-1"], ""), (["i-1", "i-2"], "i-1")])
def test_where_somebody_was_killed_with_two_web_tiers_the_new_one_has_to_prove_itself(
    webs: list[str], proof: str
) -> None:
    """Before the other is ended, which was there to go back to."""
    world = World({"x-web": webs, "x-controller": ["i-3"]})
    world.site().look()
    assert world.asked == [proof]


def test_a_stack_that_somebody_else_changes_in_the_middle_is_left_to_them() -> None:
    world = World({"x-web": ["i-1"], "x-controller": ["i-3"]})
    site = world.site()
    site.look()
    site.look()
    world.standing = replace(world.standing, parameters={"Image": "ami-2"})
    with pytest.raises(Conflict, match="x-fleet"):
        site.look()
