"""Servers as Nova describes them, in our words. What they are and whose, their metadata tells."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from facefleet.backends.openstack.refusals import translated
from facefleet.model import Instance, InstanceState, Start

#: Metadata of each server of ours: which fleet's it is, what it came for, and what it was made of.
FLEET, TOKEN, OFFER, VERSION = "facefleet:fleet", "facefleet:token", "facefleet:offer", "facefleet:version"
#: When it was started last, by our clock; and that it is deleted, and does not rest, once it has shut down.
STARTED, LEAVES = "facefleet:started", "facefleet:leaves"
#: When Nova brought it up last before it was shelved: on one that is shelved, nothing can be written. To unshelve it
#: brings it up anew.
LIVED = "facefleet:lived"
PENDING, RUNNING, DRAINING, STOPPING, STOPPED = InstanceState
#: https://docs.openstack.org/api-guide/compute/server_concepts.html
STATES = {"BUILD": PENDING, "ACTIVE": RUNNING, "SHUTOFF": STOPPED, "SHELVED": STOPPED, "SHELVED_OFFLOADED": STOPPED}
SHELVED = ("SHELVED", "SHELVED_OFFLOADED")
GONE = ("DELETED", "SOFT_DELETED")
#: What Nova is about, while the status is still the old one.
#: https://opendev.org/openstack/nova/src/branch/master/nova/compute/task_states.py
DELETING = ("deleting", "soft-deleting")
GOING_DOWN = (
    "powering-off",
    "shelving",
    "shelving_image_pending_upload",
    "shelving_image_uploading",
    "shelving_offloading",
)
COMING_UP = ("powering-on", "unshelving", "scheduling", "networking", "block_device_mapping", "spawning")
#: Of one that is being built, as long as no host was found for it.
NO_HOST_YET = ("", "scheduling")


@dataclass(frozen=True, slots=True)
class Listed:
    """A server as Nova told of it last, `status` and `task` in its words.

    `leaves`: it was told to go for good. `launched`: when Nova brought it up last. `fault`: why it is in ERROR.
    """

    instance: Instance
    status: str
    task: str = ""
    offer: str = ""
    version: str = ""
    leaves: bool = False
    launched: str = ""
    fault: str = ""
    created: float = 0.0

    def about(self, task: str, *, leaves: bool = False) -> "Listed":
        """With what Nova was just told to do."""
        leaves |= self.leaves
        state = in_our_words(self.status, task, leaves=leaves)
        return replace(self, task=task, leaves=leaves, instance=replace(self.instance, state=state))

    @property
    def is_veiled(self) -> bool:
        """Its cell does not answer: nobody can tell what it is, nor whose."""
        return self.status == "UNKNOWN" and not self.version

    @property
    def is_deleted(self) -> bool:
        """Or is about to be."""
        return self.task in DELETING or self.status in GONE

    @property
    def is_on_its_way_out(self) -> bool:
        """Nova is about it: there is nothing to ask for."""
        return self.is_deleted or self.task in GOING_DOWN

    @property
    def key(self) -> tuple[str, str]:
        """What is the same as long as it gets no further."""
        return self.instance.id, self.status

    @property
    def is_lost(self) -> bool:
        """It came to nothing, or broke, and nobody has deleted it yet."""
        return self.status == "ERROR" and not self.is_deleted

    @property
    def is_going(self) -> bool:
        """For good."""
        return self.is_deleted or (self.leaves and self.instance.state is STOPPING)

    @property
    def rests(self) -> bool:
        """Or will, once it has shut down."""
        return self.instance.state in (STOPPED, STOPPING) and not self.is_going

    @property
    def is_down(self) -> bool:
        """Nothing runs on it, and Nova is about nothing: it may be deleted."""
        return self.status in ("SHUTOFF", *SHELVED) and not self.task

    @property
    def is_placed(self) -> bool:
        """A host was found for it."""
        return self.status != "BUILD" or self.task not in NO_HOST_YET


@dataclass(frozen=True, slots=True)
class Leaving:
    """How those go that are to go: to rest, to be deleted once they have shut down, or, with nothing on them, now."""

    rest: tuple[str, ...] = ()
    stop: tuple[str, ...] = ()
    delete: tuple[str, ...] = ()


def find(connection: Any, fleet: str, **query: str) -> list[Listed]:
    """This fleet's servers, however many pages they and others fill; those in ERROR, too.

    Of one in a cell that does not answer, Nova tells no more than the id and the status UNKNOWN: it may be ours.
    """
    with translated("listing servers"):
        found = connection.compute.servers(details=True, **query)
        ours = [as_listed(one) for one in found if is_of(one, fleet) or one.status == "UNKNOWN"]
    return [one for one in ours if one.status not in GONE]


def is_of(server: Any, fleet: str) -> bool:
    return bool((server.metadata or {}).get(FLEET) == fleet)


def as_listed(server: Any) -> Listed:
    tags: Mapping[str, str] = server.metadata or {}
    task, leaves, launched = server.task_state or "", LEAVES in tags, server.launched_at or ""
    unshelved = seconds(launched) if tags.get(LIVED, launched) != launched else 0.0
    created, started = seconds(server.created_at), max(_number(tags.get(STARTED, "")), unshelved)
    begun = max(created, started)
    instance = Instance(
        server.id,
        in_our_words(server.status, task, leaves=leaves),
        since=max(begun, seconds(server.updated_at)),
        launched_at=begun,
        start=Start.POOL if started else Start.LAUNCH,
        token=tags.get(TOKEN, ""),
    )
    return Listed(
        instance,
        server.status or "",
        task,
        offer=tags.get(OFFER, ""),
        version=tags.get(VERSION, ""),
        leaves=leaves,
        launched=launched,
        fault=str((server.fault or {}).get("message", "")),
        created=created,
    )


def in_our_words(status: str, task: str, *, leaves: bool = False) -> InstanceState:
    """Of one that an operator paused, say: it runs, to whoever hears no heartbeat of it and ends it for that."""
    state = STATES.get(status, RUNNING)
    if task in DELETING or task in GOING_DOWN:
        return STOPPING
    if state is STOPPED and task in COMING_UP:
        return PENDING
    return STOPPING if state is STOPPED and leaves else state


def seconds(time: str | None) -> float:
    """Of "2026-11-22T12:00:00Z", or without the zone, as Nova tells some; 0 where there is none."""
    return datetime.fromisoformat(time.rstrip("Z")).replace(tzinfo=UTC).timestamp() if time else 0.0


def _number(text: str) -> float:
    """What we wrote; 0 where somebody else wrote something."""
    try:
        return float(text)
    except ValueError:
        return 0.0


def as_made(one: Listed, made_now: frozenset[str] | None) -> Listed:
    """With whether it is stale; `made_now`: the versions of what is made now, None where nobody knows."""
    is_stale = made_now is not None and bool(one.version) and one.version not in made_now
    return replace(one, instance=replace(one.instance, is_stale=is_stale))


def one_each(listed: Iterable[Listed]) -> tuple[list[Listed], list[Listed]]:
    """Those of which there is one for each token, the oldest, and the others: an answer was lost, and asked for again.

    Who is on its way out anyway is none of those that stay, as long as another is there.
    """
    kept, doubles = dict[str, Listed](), list[Listed]()
    for one in sorted(listed, key=lambda one: (one.is_going, one.created, one.instance.id)):
        if one.instance.token in kept and one.instance.token:
            doubles.append(one)
        else:
            kept[one.instance.token or one.instance.id] = one
    return list(kept.values()), doubles


def how_to_leave(listed: Mapping[str, Listed], ids: Iterable[str], pool: int) -> Leaving:
    """Into the pool while there is room; to delete one that runs would pull its plug, so it shuts down first.

    One on its way up can only be deleted, which is for those that nothing runs on yet; the others' place is kept until
    they run and are asked again. A stale one takes nobody's place: it rests for as long as there is room besides.
    """
    resting = [one.instance.is_stale for one in listed.values() if one.rests]
    room = {is_stale: pool - sum(not other or is_stale for other in resting) for is_stale in (False, True)}
    rest, stop, delete = [], [], []
    for id in dict.fromkeys(ids):
        one = listed.get(id)
        if one is None or one.instance.state not in (PENDING, RUNNING):
            continue
        if room[one.instance.is_stale] <= 0:
            if one.status == "BUILD":
                delete.append(id)
            elif one.instance.state is RUNNING:
                stop.append(id)
            continue
        room[True] -= 1
        room[False] -= not one.instance.is_stale
        if one.instance.state is RUNNING:
            rest.append(id)
    return Leaving(tuple(rest), tuple(stop), tuple(delete))


def too_many(listed: Mapping[str, Listed], pool: int) -> list[str]:
    """Stopped ones that the pool has no room for: stale ones first, and of those the oldest."""
    excess = sum(one.rests for one in listed.values()) - pool
    stopped = [one.instance for one in listed.values() if one.instance.state is STOPPED]
    stopped.sort(key=lambda one: (not one.is_stale, one.since, one.id))
    return [one.id for one in stopped[: max(0, excess)]]
