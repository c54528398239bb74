"""A fleet that is an Auto Scaling group. How many there are, and which go, is ours; the group replaces what dies.

A token waits as a tag of the group until an instance comes, and is a tag of that from then on.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from facefleet.backends.aws.faults import translated
from facefleet.backends.aws.group_state import SETTLES_AFTER, WAITING, Standing, as_standing, given, ours, over, smaller
from facefleet.backends.aws.instances import FLEET, LIVING, TOKEN, Listed, find, tags_of
from facefleet.backends.aws.refusals import each
from facefleet.backends.aws.versions import Versions
from facefleet.errors import Conflict, NoCapacity, ServiceError, Unavailable
from facefleet.model import Instance
from facefleet.settings import Settings

log = logging.getLogger(__name__)

#: https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_SetInstanceProtection.html
MAX_PROTECTED_AT_ONCE = 50


class GroupFleet:
    settles_after = SETTLES_AFTER
    #: One after the other: each sets what the next one reads.
    at_once = 1
    #: What is launched, and where, the group says.
    offers = ("group",)
    #: A warm pool is the group's own, if it has one.
    can_rest = ()
    shares = ()

    def __init__(self, autoscaling: Any, ec2: Any, settings: Settings) -> None:
        self._autoscaling = autoscaling
        self._ec2 = ec2
        self._versions = Versions(ec2)
        self._name = settings.instance_name
        self._group = settings.auto_scaling_group
        #: Tokens that we gave, which lists may not show yet; and who has been given one at all.
        self._given: dict[str, str] = {}
        self._served: frozenset[str] = frozenset()
        #: Tokens that we noted on the group, since when: its tags may lag.
        self._noted: dict[str, float] = {}

    def instances(self) -> list[Instance]:
        """The group's, each with the token that it came for. One that the group sent for another has none."""
        return [one.instance for one in self._look(self._standing()).values()]

    def launch(self, token: str, offer: str) -> str:
        """The id of what came for it; as long as nothing has, which takes the group some seconds, the token."""
        standing = self._standing()
        if standing.members - self._served:
            # Before they are counted, those that came get their tokens.
            self._look(standing)
            standing = self._standing()
        if (id := self._brought(token)) is not None:
            return id
        self._ask(token, standing)
        return token

    def _ask(self, token: str, standing: Standing) -> None:
        asking = standing.asking(token, time.time())
        wanted = asking.wanted(self._served)
        if wanted > standing.most:
            raise NoCapacity(f"{self._group} may have {standing.most} instances: raise its MaxSize")
        if token not in standing.waiting:
            self._write_down(token, asking)
        if wanted > standing.desired:
            self._set_desired(wanted)

    def start(self, ids: list[str]) -> None:
        """Nothing: where the group keeps a warm pool, it starts them itself."""

    def retire(self, ids: list[str]) -> None:
        """The group shuts the system down, which tells the worker to drain, and sends no other in its place."""
        members = self._standing().members
        each(self._release, [id for id in dict.fromkeys(ids) if id in members])

    def end(self, ids: list[str]) -> None:
        listed = ours(self._find(), self._standing())
        ending = [id for id in dict.fromkeys(ids) if id in listed]
        if not ending:
            return
        try:
            self.retire(ending)
        finally:
            with translated(f"terminating {' '.join(ending)}"):
                self._ec2.terminate_instances(InstanceIds=ending, SkipOsShutdown=True)

    def tidy(self) -> None:
        """Nothing: each look at the group does what there is to do."""

    def _standing(self) -> Standing:
        with translated(f"looking at the group {self._group}"):
            answer = self._autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[self._group])
        if not answer["AutoScalingGroups"]:
            raise Unavailable(f"there is no Auto Scaling group {self._group}: correct FACEFLEET_AUTO_SCALING_GROUP")
        (described,) = answer["AutoScalingGroups"]
        standing = as_standing(described)
        return replace(standing, waiting=self._noted | dict(standing.waiting))

    def _find(self) -> dict[str, Listed]:
        return find(self._ec2, {"tag:aws:autoscaling:groupName": [self._group], "instance-state-name": LIVING})

    def _look(self, standing: Standing) -> dict[str, Listed]:
        """Who is there. Those that are new get their tokens, and protection from a scale-in that is not ours."""
        listed = self._find()
        if standing.template:
            listed = self._versions.told(listed, **standing.template)
        members = {id: one for id, one in listed.items() if id in standing.members}
        self._given = {id: token for id, token in self._given.items() if id in listed}
        for id, token in given(members, standing.waiting, self._given).items():
            with translated(f"tagging {id}"):
                self._ec2.create_tags(Resources=[id], Tags=tags_of(self._name, token))
            self._given[id] = token
        self._served = frozenset(id for id, one in members.items() if TOKEN in one.tags) | self._given.keys()
        seen = {id: self._with_token(one) for id, one in ours(listed, standing).items()}
        self._end_waiting(standing, frozenset(one.instance.token for one in seen.values()))
        self._protect(standing.unprotected)
        return seen

    def _end_waiting(self, standing: Standing, held: frozenset[str]) -> None:
        ended = over(standing.waiting, held, time.time())
        # First: of a token that is forgotten nobody would know that an instance was asked for.
        try:
            if (count := smaller(standing, ended, held)) is not None:
                self._set_desired(count)
            self._forget(ended)
        except ServiceError as e:
            # What is there is known all the same; the next look tries again.
            log.warning("the group is asked again to be smaller: %s", e)

    def _with_token(self, one: Listed) -> Listed:
        # Lists may be older than our tag.
        token = self._given.get(one.instance.id, one.instance.token)
        return replace(one, instance=replace(one.instance, token=token))

    def _brought(self, token: str) -> str | None:
        """The instance that came for it; raises `Conflict` if that is gone."""
        found = find(self._ec2, {f"tag:{FLEET}": [self._name], f"tag:{TOKEN}": [token]})
        living = [id for id, one in found.items() if one.state in LIVING]
        living += [id for id, given in self._given.items() if given == token and id not in found]
        if found and not living:
            raise Conflict("this token brought an instance that is gone: use another")
        return living[0] if living else None

    def _write_down(self, token: str, asking: Standing) -> None:
        """Before anything is asked for, so that whoever asks again asks for the same."""
        with translated(f"noting a token on {self._group}"):
            if not asking.protects_new:
                self._autoscaling.update_auto_scaling_group(
                    AutoScalingGroupName=self._group, NewInstancesProtectedFromScaleIn=True
                )
            since = {"Value": str(int(asking.waiting[token])), "PropagateAtLaunch": False}
            self._autoscaling.create_or_update_tags(Tags=[self._tag(token) | since])
        self._noted[token] = asking.waiting[token]

    def _set_desired(self, count: int) -> None:
        with translated(f"asking {self._group} for {count}"):
            self._autoscaling.set_desired_capacity(
                AutoScalingGroupName=self._group, DesiredCapacity=count, HonorCooldown=False
            )

    def _release(self, id: str) -> None:
        with translated(f"letting {id} go"):
            self._autoscaling.terminate_instance_in_auto_scaling_group(
                InstanceId=id, ShouldDecrementDesiredCapacity=True
            )

    def _protect(self, ids: Sequence[str]) -> None:
        """The first of them; the next look finds the others."""
        if some := list(ids[:MAX_PROTECTED_AT_ONCE]):
            with translated("protecting instances from scale-in"):
                self._autoscaling.set_instance_protection(
                    AutoScalingGroupName=self._group, InstanceIds=some, ProtectedFromScaleIn=True
                )

    def _forget(self, tokens: Sequence[str]) -> None:
        if tags := [self._tag(token) for token in tokens]:
            with translated(f"removing tokens of {self._group}"):
                self._autoscaling.delete_tags(Tags=tags)
        self._noted = {token: since for token, since in self._noted.items() if token not in tokens}

    def _tag(self, token: str) -> dict[str, Any]:
        return {"ResourceId": self._group, "ResourceType": "auto-scaling-group", "Key": f"{WAITING}{token}"}
