"""What CloudFormation tells of a stack, in our words."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from facefleet.backends.aws.account.resources import Verb
from facefleet.errors import Unavailable

#: What must not be made anew, since what is in it would be lost.
HOLDING = ("AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::SQS::Queue", "AWS::SecretsManager::Secret")
#: Queues of a relay, which are seen to be empty before they go, as long as somebody wants to have none.
EMPTY = ("NewObjects", "NotRecognised", "NoResults")
VERBS = {"Add": Verb.MAKE, "Modify": Verb.CHANGE, "Remove": Verb.REMOVE}


class Unchanged(Unavailable):
    """CloudFormation tried a change, could not do it, and took it back: the same again fails again."""

    code = "unchanged"


@dataclass(frozen=True, slots=True)
class Standing:
    """A stack as it stands. `parameters` and `outputs` by their keys."""

    id: str
    status: str
    reason: str
    parameters: Mapping[str, str]
    outputs: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Change:
    """What a plan does with one resource. `about`: the properties that change; `anew`: it is made anew, and empty."""

    what: str
    kind: str
    verb: Verb
    about: tuple[str, ...] = ()
    anew: bool = False


@dataclass(frozen=True, slots=True)
class Planned:
    """What would be done to a stack: made, changed, or nothing. `change_set`: what does it; empty: nothing to do."""

    name: str
    verb: Verb
    changes: tuple[Change, ...] = ()
    change_set: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    what: str
    kind: str
    status: str
    reason: str


def as_standing(described: Mapping[str, Any]) -> Standing:
    return Standing(
        described["StackId"],
        described["StackStatus"],
        described.get("StackStatusReason", ""),
        {one["ParameterKey"]: one.get("ParameterValue", "") for one in described.get("Parameters", ())},
        {one["OutputKey"]: one["OutputValue"] for one in described.get("Outputs", ())},
    )


def is_moving(standing: Standing) -> bool:
    return standing.status.endswith("_IN_PROGRESS")


def as_change(told: Mapping[str, Any]) -> Change:
    # "Conditional", too: CloudFormation knows only once it is done.
    anew = told["Action"] == "Modify" and told.get("Replacement") in ("True", "Conditional")
    targets = [detail.get("Target", {}) for detail in told.get("Details", ())]
    about = dict.fromkeys(str(target.get("Name") or target.get("Attribute", "")) for target in targets)
    verb = VERBS.get(told["Action"], Verb.CHANGE)
    return Change(told["LogicalResourceId"], told["ResourceType"], verb, tuple(filter(None, about)), anew)


def as_event(told: Mapping[str, Any]) -> Event:
    return Event(
        told["LogicalResourceId"],
        told.get("ResourceType", ""),
        told.get("ResourceStatus", ""),
        told.get("ResourceStatusReason", ""),
    )


def as_text(template: object) -> str:
    """A template as it can be submitted again: boto3 hands JSON out as what it means."""
    return template if isinstance(template, str) else json.dumps(template, separators=(",", ":"))


def losing(changes: Iterable[Change]) -> tuple[str, ...]:
    """What holds something, and would be made anew or removed."""
    return tuple(one.what for one in changes if one.kind in HOLDING and (one.anew or _goes(one)))


def _goes(one: Change) -> bool:
    return one.verb is Verb.REMOVE and one.what not in EMPTY


def first_reason(failures: Sequence[Event], standing: Standing | None) -> str:
    """What failed first: what fails after it fails for its sake."""
    for event in failures:
        if event.reason:
            return f"{event.what} ({event.kind}): {event.reason}"
    return f"{standing.status}: {standing.reason}" if standing else "it is gone"
