"""An Auto Scaling group as it stands, and what follows from that."""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field, replace
from typing import Any

from facefleet.backends.aws.instances import TOKEN, Listed
from facefleet.model import InstanceState

#: A tag of the group, with a token behind it: an instance was asked for, and has not come yet. Its value is since when.
WAITING = "facefleet:token:"
#: A group takes some seconds to act, and EC2 some to tell.
SETTLES_AFTER = 60.0
#: LifecycleState of one that leaves, and of those in the group's own warm pool.
#: https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-lifecycle.html
LEAVING = ("Terminating", "Detaching")
NOT_THERE = ("Terminated", "Detached", "Warmed:")


@dataclass(frozen=True, slots=True)
class Standing:
    """`waiting`: by token, since when; `unprotected`: members that a scale-in may take, whether they work or not.

    `leaving`: no members any more, though EC2 may go on to say that they run. `template`: `id` and `version` of what is
    launched now; empty where a launch configuration says what, or several templates do.
    """

    desired: int
    most: int
    members: frozenset[str] = frozenset()
    leaving: frozenset[str] = frozenset()
    unprotected: tuple[str, ...] = ()
    protects_new: bool = True
    waiting: Mapping[str, float] = field(default_factory=dict)
    least: int = 0
    template: Mapping[str, str] = field(default_factory=dict)

    def asking(self, token: str, now: float) -> "Standing":
        """With this token waiting too, and without those that are given up."""
        waiting = {other: since for other, since in self.waiting.items() if now - since < SETTLES_AFTER}
        return replace(self, waiting={token: now} | waiting)

    def wanted(self, served: Set[str]) -> int:
        """So many there are to be: `served`, which have come for their tokens, and one for each token that waits.

        Counted anew each time: what was added up would grow with every token that is given up.
        """
        return len(self.members & served) + len(self.waiting)


def as_standing(described: Mapping[str, Any]) -> Standing:
    there = [one for one in described["Instances"] if not one["LifecycleState"].startswith(NOT_THERE)]
    members = [one for one in there if not one["LifecycleState"].startswith(LEAVING)]
    ids = frozenset(one["InstanceId"] for one in members)
    tags = {tag["Key"]: tag["Value"] for tag in described.get("Tags", ())}
    return Standing(
        described["DesiredCapacity"],
        described["MaxSize"],
        ids,
        frozenset(one["InstanceId"] for one in there) - ids,
        tuple(one["InstanceId"] for one in members if _can_be_protected(one) and not one.get("ProtectedFromScaleIn")),
        described.get("NewInstancesProtectedFromScaleIn", False),
        {key.removeprefix(WAITING): float(at) for key, at in tags.items() if key.startswith(WAITING)},
        described["MinSize"],
        _template(described),
    )


def _template(described: Mapping[str, Any]) -> Mapping[str, str]:
    mixed = described.get("MixedInstancesPolicy", {}).get("LaunchTemplate", {})
    if any("LaunchTemplateSpecification" in one for one in mixed.get("Overrides", ())):
        # What comes may be of either: each would be replaced for not being of the other.
        return {}
    told = described.get("LaunchTemplate") or mixed.get("LaunchTemplateSpecification")
    return {"id": told["LaunchTemplateId"], "version": told.get("Version", "$Default")} if told else {}


def _can_be_protected(member: Mapping[str, Any]) -> bool:
    # One on its way up is refused.
    return bool(member["LifecycleState"] == "InService")


def ours(listed: Mapping[str, Listed], standing: Standing) -> dict[str, Listed]:
    """Members, and those that were. What rests in the group's own warm pool is the group's."""
    found = {id: one for id, one in listed.items() if id in standing.members or one.state == "shutting-down"}
    return found | {id: _draining(one) for id, one in listed.items() if id not in found and _leaves(one, standing)}


def _leaves(one: Listed, standing: Standing) -> bool:
    # The group may have dropped one already that EC2's lists still show at work.
    was_member = one.instance.id in standing.leaving or TOKEN in one.tags
    return was_member and one.state in ("pending", "running")


def _draining(one: Listed) -> Listed:
    return replace(one, instance=replace(one.instance, state=InstanceState.DRAINING))


def given(members: Mapping[str, Listed], waiting: Mapping[str, float], known: Mapping[str, str]) -> dict[str, str]:
    """By id, the tokens of those that are new: first come, first served; empty for one that no token waited for.

    `known`: what was given lately, which lists may not show yet.
    """
    held = {one.tags[TOKEN] for one in members.values() if TOKEN in one.tags} | set(known.values())
    free = iter(sorted(waiting.keys() - held, key=lambda token: (waiting[token], token)))
    new = [id for id, one in members.items() if TOKEN not in one.tags and id not in known]
    return {id: next(free, "") for id in sorted(new, key=lambda id: (members[id].instance.launched_at, id))}


def over(waiting: Mapping[str, float], held: Iterable[str], now: float) -> list[str]:
    """Tokens that wait no more: theirs is there, or the controller has given them up and asks for others."""
    there = set(held)
    return [token for token, since in waiting.items() if token in there or now - since >= SETTLES_AFTER]


def smaller(standing: Standing, ended: Iterable[str], held: Set[str]) -> int | None:
    """So many the group is to have once these tokens are over; None where that is no fewer, or none was given up.

    What was asked for in a drought would else be launched long after, for nobody.
    """
    ended = set(ended)
    count = max(standing.least, len(standing.members) + len(standing.waiting.keys() - ended))
    return count if ended - held and count < standing.desired else None
