"""A fleet of EC2 instances. Their tags say that they are ours: nobody else's is ever touched."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from facefleet.backends.aws.faults import translated
from facefleet.backends.aws.instances import FLEET, LIVING, Listed, as_listed, find, tags_of
from facefleet.backends.aws.offers import Offer, is_spot, offers_of
from facefleet.backends.aws.refusals import each, is_of_what_was_asked, lacking
from facefleet.backends.aws.versions import Versions
from facefleet.errors import Conflict, ServiceError
from facefleet.model import Instance
from facefleet.settings import Settings

#: EC2 promises no time by which a list shows what was done; most are right within seconds.
#: https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html
SETTLES_AFTER = 20.0
#: RunInstances may be called so often at once, and then twice a second.
#: https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html
RUN_INSTANCES_BUCKET = 5
IN_POOL = ("stopping", "stopped")
#: Of the launch template that version which whoever upgrades the fleet has made the default.
DEFAULT = "$Default"
#: Spot for one life: EC2 ends it when it wants it back, and asks for no other.
SPOT = {
    "MarketType": "spot",
    "SpotOptions": {"SpotInstanceType": "one-time", "InstanceInterruptionBehavior": "terminate"},
}


@dataclass(frozen=True, slots=True)
class Leaving:
    """How those go that are to go: into the warm pool, or for good."""

    stop: tuple[str, ...] = ()
    terminate: tuple[str, ...] = ()


class Ec2Fleet:
    """Remembers what EC2 told last: a verb acts on that, and looks again where an id is not in it."""

    settles_after = SETTLES_AFTER
    #: How many launches may be asked for at the same time.
    at_once = RUN_INSTANCES_BUCKET
    shares = ()

    def __init__(self, ec2: Any, settings: Settings, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._ec2 = ec2
        self._versions = Versions(ec2, clock)
        self._name = settings.instance_name
        self._template = settings.launch_template
        self._pool = settings.warm_pool
        self._offers = offers_of(settings)
        self._listed: dict[str, Listed] = {}

    @property
    def offers(self) -> tuple[str, ...]:
        """`t3.medium/subnet-1`, and before it, where some are to be spot, `t3.medium/subnet-1/spot`."""
        return tuple(self._offers)

    @property
    def can_rest(self) -> tuple[str, ...]:
        """What is sure to be no spot instance, which EC2 cannot stop; nothing without a warm pool."""
        return tuple(name for name, offer in self._offers.items() if not offer.spot_share) if self._pool else ()

    def instances(self) -> list[Instance]:
        return [one.instance for one in self._look().values()]

    def _look(self) -> dict[str, Listed]:
        found = find(self._ec2, {f"tag:{FLEET}": [self._name], "instance-state-name": LIVING})
        self._listed = self._versions.told(found, name=self._template, version=DEFAULT)
        return self._listed

    def launch(self, token: str, offer: str) -> str:
        """EC2 keeps tokens: one used before brings the same instance, and `Conflict` once that is gone."""
        if offer not in self._offers:
            raise Conflict(f"{offer} is not offered any more: ask for another")
        with translated(f"launching {offer}"), lacking(f"launching {offer}"):
            answer = self._ec2.run_instances(**request(token, self._offers[offer], self._name, self._template))
        (described,) = answer["Instances"]
        launched = as_listed(described)
        self._listed.setdefault(launched.instance.id, launched)
        return launched.instance.id

    def start(self, ids: list[str]) -> None:
        stopped = [id for id, one in self._known(ids).items() if one.state == "stopped"]
        names = " ".join(stopped)
        if stopped:
            with translated(f"starting {names}"), lacking(f"starting {names}"):
                self._note(self._ec2.start_instances(InstanceIds=stopped)["StartingInstances"])

    def retire(self, ids: list[str]) -> None:
        """EC2 shuts the system down, which tells the worker to drain. One on its way up is to be asked again.

        One that EC2 does not let go keeps nobody else; it is told of at the end, when all were asked.
        """
        self._known(ids)
        leaving = how_to_leave(self._listed, ids, self._pool)
        try:
            self._together("stopping", self._stop, leaving.stop)
        finally:
            self._terminate(leaving.terminate, skip_shutdown=False)

    def end(self, ids: list[str]) -> None:
        self._terminate(self._known(ids), skip_shutdown=True)

    def tidy(self) -> None:
        """Terminates stopped instances beyond the warm pool, those first that have rested longest."""
        self._terminate(too_many(self._look(), self._pool), skip_shutdown=False)

    def _terminate(self, ids: Iterable[str], *, skip_shutdown: bool) -> None:
        def call(going: list[str]) -> None:
            answer = self._ec2.terminate_instances(InstanceIds=going, SkipOsShutdown=skip_shutdown)
            self._note(answer["TerminatingInstances"])

        self._together("terminating", call, ids)

    def _stop(self, ids: list[str]) -> None:
        self._note(self._ec2.stop_instances(InstanceIds=ids)["StoppingInstances"])

    def _together(self, what: str, call: Callable[[list[str]], None], ids: Iterable[str]) -> None:
        """All at once; where EC2 refuses that for the sake of one, each, so that the others go."""

        def ask(*some: str) -> None:
            with translated(f"{what} {' '.join(some)}"):
                call(list(some))

        going = list(ids)
        try:
            if going:
                ask(*going)
        except ServiceError as e:
            if len(going) == 1 or not is_of_what_was_asked(e.__cause__):
                raise
            each(ask, going)

    def _known(self, ids: Iterable[str]) -> dict[str, Listed]:
        """Those of them that are ours."""
        wanted = dict.fromkeys(ids)
        listed = self._listed if wanted.keys() <= self._listed.keys() else self._look()
        return {id: listed[id] for id in wanted if id in listed}

    def _note(self, changes: Iterable[Mapping[str, Any]]) -> None:
        """Who is asked next, before another look, counts with these."""
        for change in changes:
            if (known := self._listed.get(change["InstanceId"])) is not None:
                self._listed[change["InstanceId"]] = known.entering(change["CurrentState"]["Name"])


def request(token: str, offer: Offer, fleet: str, template: str) -> dict[str, Any]:
    """What RunInstances is asked for: always the same for the same token and offer, or EC2 refuses the token."""
    tags = tags_of(fleet, token)
    asked: dict[str, Any] = {
        "LaunchTemplate": {"LaunchTemplateName": template, "Version": DEFAULT},
        "InstanceType": offer.instance_type,
        "MinCount": 1,
        "MaxCount": 1,
        "ClientToken": token,
        # IMDSv2 alone: a worker that is made to fetch a URL gets no credentials.
        "MetadataOptions": {"HttpTokens": "required", "HttpEndpoint": "enabled"},
        "TagSpecifications": [{"ResourceType": kind, "Tags": tags} for kind in ("instance", "volume")],
    }
    if offer.subnet:
        asked["SubnetId"] = offer.subnet
    if is_spot(token, offer.spot_share):
        asked["InstanceMarketOptions"] = SPOT
    return asked


def how_to_leave(listed: Mapping[str, Listed], ids: Iterable[str], pool: int) -> Leaving:
    """Into the pool while there is room; a spot instance never, as EC2 cannot stop it.

    Nor can it stop one that is pending: its place is kept until it runs and is asked again. A stale one takes nobody's
    place: it rests for as long as there is room besides, and the controller ends it once newer ones have come to work.
    """
    resting = [one.instance.is_stale for one in listed.values() if one.state in IN_POOL]
    room = {is_stale: pool - sum(not other or is_stale for other in resting) for is_stale in (False, True)}
    stop, terminate = [], []
    for id in dict.fromkeys(ids):
        one = listed.get(id)
        if one is None or one.state not in ("pending", "running"):
            continue
        if room[one.instance.is_stale] <= 0 or one.is_spot:
            terminate.append(id)
            continue
        room[True] -= 1
        room[False] -= not one.instance.is_stale
        if one.state == "running":
            stop.append(id)
    return Leaving(tuple(stop), tuple(terminate))


def too_many(listed: Mapping[str, Listed], pool: int) -> list[str]:
    """Stopped ones that the pool has no room for: stale ones first, and of those the oldest."""
    excess = sum(one.state in IN_POOL for one in listed.values()) - pool
    stopped = [one.instance for one in listed.values() if one.state == "stopped"]
    stopped.sort(key=lambda one: (not one.is_stale, one.since, one.id))
    return [one.id for one in stopped[: max(0, excess)]]
