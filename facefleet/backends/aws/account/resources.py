"""What stands on the account, against what is wanted there: planned, made, changed, removed."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Protocol

from facefleet.backends.aws.account.buckets import Bucket
from facefleet.backends.aws.account.queues import RedrivenQueue, reply_queues
from facefleet.backends.aws.account.tables import Table
from facefleet.backends.aws.account.wanted import Wanted, WantedBucket, WantedQueue, wanted
from facefleet.backends.aws.clients import Clients
from facefleet.settings import Settings

Facts = Mapping[str, str]


class Verb(StrEnum):
    FINE = "fine"
    MAKE = "make"
    CHANGE = "change"
    REMOVE = "remove"


class Resource(Protocol):
    """One thing on the account. Facts are words by what they are about, so that they can be compared and shown."""

    @property
    def what(self) -> str: ...

    @property
    def holds_people(self) -> bool: ...

    def wanted(self) -> Facts: ...

    def found(self) -> Facts | None:
        """None where there is none of this name."""

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


def plan(clients: Clients, settings: Settings) -> tuple[Step, ...]:
    """What `apply` would do, one step for each resource, in order; changes nothing.

    Raises `BadSettings` for a name that somebody else has. SQS may show an attribute as it was for a minute.
    """
    return tuple(step(one, one.found()) for one in resources(clients, settings))


def removal(clients: Clients, settings: Settings, *, people: bool) -> tuple[Step, ...]:
    """What is to be removed, of what is there; what holds people's data only if asked for."""
    there = (*resources(clients, settings), *reply_queues(clients.sqs, settings.response_queue))
    return tuple(
        Step(one.what, Verb.REMOVE, {}, None, one.remove, one.holds_people)
        for one in there
        if (people or not one.holds_people) and one.found() is not None
    )


def apply(steps: Iterable[Step], begun: Callable[[Step], object] = lambda _: None) -> None:
    """Does what the steps say, each told before; those that are fine do nothing."""
    for one in steps:
        if one.verb is not Verb.FINE:
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
    return tuple(_resource(clients, one) for one in wanted(settings))


def _resource(clients: Clients, one: Wanted) -> Resource:
    if isinstance(one, WantedQueue):
        return RedrivenQueue(clients.sqs, one)
    if isinstance(one, WantedBucket):
        return Bucket(clients.s3, one)
    return Table(clients.dynamodb, one)
