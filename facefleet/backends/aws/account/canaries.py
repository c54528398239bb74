"""A worker from a new image, beside the fleet: the first that tries it, and no one's to count."""

import secrets
from dataclasses import dataclass, field
from typing import Any

from facefleet import keys
from facefleet.backends.aws.account.rollout import Canary
from facefleet.backends.aws.clients import Clients
from facefleet.backends.aws.faults import translated

#: Whose canary it is. It has no tag of the fleet: the controller neither counts nor retires it.
CANARY = "facefleet:canary"
HERE = ("pending", "running")
#: By itself, or by somebody who came upon it; its disk is paid for.
HALTED = ("stopping", "stopped")


@dataclass
class Canaries:
    """Of the fleet of this name, whose workers tell in `state_bucket` that they work; `kind`: of instance."""

    clients: Clients
    fleet: str
    state_bucket: str
    kind: str
    _launched: list[str] = field(default_factory=list)

    def seen(self, image: str) -> Canary:
        """How far the one from this image has come."""
        states = {one["InstanceId"]: (one["State"]["Name"], one["ImageId"]) for one in self._described()}
        living = {id: its for id, (state, its) in states.items() if state in HERE}
        has_halted = any(state in HALTED for state, _ in states.values())
        if any(its != image for its in living.values()) or (has_halted and not self._launched):
            return Canary.OTHER
        if any(self._works(id) for id in living):
            return Canary.WORKS
        # EC2 may list one a moment after it said that it launched it.
        if living or any(id not in states for id in self._launched):
            return Canary.COMING
        return Canary.LOST if self._launched else Canary.NONE

    def _works(self, id: str) -> bool:
        with translated("looking whether the worker from the new image works"):
            found = self.clients.s3.list_objects_v2(Bucket=self.state_bucket, Prefix=keys.heartbeat(id))
        return bool(found.get("KeyCount"))

    def launch(self, template: str, image: str, subnet: str) -> None:
        tags = [{"Key": CANARY, "Value": self.fleet}, {"Key": "Name", "Value": f"{self.fleet}-canary"}]
        with translated("launching a worker from the new image"):
            launched = self.clients.ec2.run_instances(
                LaunchTemplate={"LaunchTemplateId": template, "Version": "$Default"},
                ImageId=image,
                InstanceType=self.kind,
                SubnetId=subnet,
                MinCount=1,
                MaxCount=1,
                ClientToken=secrets.token_hex(16),
                TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
            )
        self._launched += [one["InstanceId"] for one in launched["Instances"]]

    def end(self) -> None:
        """It finishes the image in hand, as every worker does."""
        states = {one["InstanceId"]: one["State"]["Name"] for one in self._described()}
        unlisted = [id for id in self._launched if id not in states]
        if ids := [id for id, state in states.items() if state in HERE + HALTED] + unlisted:
            with translated("ending the worker that tried the image"):
                self.clients.ec2.terminate_instances(InstanceIds=ids)
        self._launched.clear()

    def _described(self) -> list[dict[str, Any]]:
        with translated("looking for workers that try an image"):
            pages = self.clients.ec2.get_paginator("describe_instances").paginate(
                Filters=[{"Name": f"tag:{CANARY}", "Values": [self.fleet]}]
            )
            return [one for page in pages for each in page["Reservations"] for one in each["Instances"]]
