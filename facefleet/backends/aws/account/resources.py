"""What stands on the account, against what is wanted there: planned, made, changed, removed."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Protocol

from facefleet.backends.aws.account.buckets import Bucket
from facefleet.backends.aws.account.owner import account_id
from facefleet.backends.aws.account.queues import RedrivenQueue, standing_replies
from facefleet.backends.aws.account.tables import Table
from facefleet.backends.aws.account.wanted import Wanted, WantedBucket, WantedQueue, wanted
from facefleet.backends.aws.clients import Clients
from facefleet.backends.aws.instances import FLEET, LIVING, find
from facefleet.errors import BadSettings
from facefleet.settings import Settings

Facts = Mapping[str, str]


class Verb(StrEnum):
    FINE = "fine"
    MAKE = "make"
    CHANGE = "change"
    REMOVE = "remove"
    #: Left alone: it is there, and setup did not make it.
    LEAVE = "leave"


#: There is nothing to do about these.
IDLE = (Verb.FINE, Verb.LEAVE)


class Resource(Protocol):
    """One thing on the account. Facts are words by what they are about, so that they can be compared and shown."""

    @property
    def what(self) -> str: ...

    @property
    def holds_people(self) -> bool: ...

    def wanted(self) -> Facts: ...

    def found(self) -> Facts | None:
        """None where there is none of this name."""

    def was_made_by_setup(self) -> bool:
        """Whether it may be removed, with all that it holds."""

    def is_a_strangers(self) -> bool:
        """Whether it holds what a change of ours might lose for somebody."""

    def make(self) -> None: ...

    def change(self, facts: Facts) -> None:
        """Makes these of the wanted facts true."""

    def remove(self) -> None:
        """With all that it holds; one that is gone is no error."""


def nothing() -> None:
    """What a step does where all is fine."""


@dataclass(frozen=True, slots=True)
class Step:
    """One resource, as it is now and as it is wanted: all of it, or where the two differ. None: not there."""

    what: str
    verb: Verb
    now: Facts | None
    wanted: Facts | None
    act: Callable[[], None] = field(default=nothing, compare=False, repr=False)
    holds_people: bool = False


def plan(clients: Clients, settings: Settings, *, adopt: bool = False) -> tuple[Step, ...]:
    """What `apply` would do, one step for each resource, in order; changes nothing.

    Raises `BadSettings` for a name that somebody else has, and unless told to `adopt` it for what is to be changed,
    is not empty and was not made here. SQS may show an attribute as it was for a minute.
    """
    return tuple(_planned(one, adopt=adopt) for one in resources(clients, settings))


def _planned(resource: Resource, *, adopt: bool) -> Step:
    planned = step(resource, resource.found())
    if planned.verb is Verb.CHANGE and not adopt and resource.is_a_strangers():
        raise BadSettings(
            f"the {resource.what} was there before, and is not empty: what is in it would be forgotten as the "
            "settings say. Set another name, or say --adopt"
        )
    return planned


def removal(clients: Clients, settings: Settings, *, people: bool) -> tuple[Step, ...]:
    """What is to be removed, and what is left, of what is there; what holds people's data only if asked for."""
    named = [one for one in resources(clients, settings) if (people or not one.holds_people) and one.found()]
    going = [one for one in named if one.was_made_by_setup()]
    left = [Step(one.what, Verb.LEAVE, {}, {}) for one in named if one not in going]
    going += standing_replies(clients.sqs, settings.response_queue)
    removed = [Step(one.what, Verb.REMOVE, {}, None, one.remove, one.holds_people) for one in going]
    return (*removed, *left)


def instances_left(clients: Clients, settings: Settings) -> tuple[str, ...]:
    """The fleet's instances that exist. No removal ends them: that is the controller's to do, or its master's."""
    ours = {f"tag:{FLEET}": [settings.instance_name], "instance-state-name": LIVING}
    return tuple(sorted(find(clients.ec2, ours)))


def apply(steps: Iterable[Step], begun: Callable[[Step], object] = lambda _: None) -> None:
    """Does what the steps say, each told before; those that are fine, or left alone, do nothing."""
    for one in steps:
        if one.verb not in IDLE:
            begun(one)
            one.act()


def ensure(clients: Clients, settings: Settings) -> None:
    """All that is wanted stands, whatever stood before; again, it changes nothing."""
    apply(plan(clients, settings))


def step(resource: Resource, found: Facts | None) -> Step:
    """From what is there to what is wanted, and no more."""
    facts, holds_people = resource.wanted(), resource.holds_people
    if found is None:
        return Step(resource.what, Verb.MAKE, None, facts, resource.make, holds_people)
    other = {about: words for about, words in facts.items() if found.get(about) != words}
    if not other:
        return Step(resource.what, Verb.FINE, facts, facts, holds_people=holds_people)
    now = {about: found.get(about, "none") for about in other}
    return Step(resource.what, Verb.CHANGE, now, other, partial(resource.change, other), holds_people)


def resources(clients: Clients, settings: Settings) -> tuple[Resource, ...]:
    owner = account_id()
    return tuple(_resource(clients, one, owner) for one in wanted(settings))


def _resource(clients: Clients, one: Wanted, owner: str) -> Resource:
    if isinstance(one, WantedQueue):
        return RedrivenQueue(clients.sqs, one)
    if isinstance(one, WantedBucket):
        return Bucket(clients.s3, one, owner)
    return Table(clients.dynamodb, one)
