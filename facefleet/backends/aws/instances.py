"""Instances as EC2 describes them, in our words. What they are and whose, their tags tell."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from facefleet.backends.aws.faults import translated
from facefleet.model import Instance, InstanceState, Start

#: Tags of each instance of ours: which fleet's it is, and what it came for.
FLEET, TOKEN = "facefleet:fleet", "facefleet:token"
#: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html
PAGE = 1000
#: Without "terminated", which EC2 goes on to list for an hour.
LIVING = ("pending", "running", "stopping", "stopped", "shutting-down")
STATES = {
    "pending": InstanceState.PENDING,
    "running": InstanceState.RUNNING,
    "stopping": InstanceState.STOPPING,
    "shutting-down": InstanceState.STOPPING,
    "stopped": InstanceState.STOPPED,
}
#: Disk and network are attached within seconds of a launch. To boot, stop and start again takes longer than this.
ATTACHED_WITHIN = 10.0
#: "User initiated (2026-11-21 10:30:00 GMT)".
CHANGED_AT = re.compile(r"\((\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) (?:GMT|UTC)\)")


@dataclass(frozen=True, slots=True)
class Listed:
    """An instance as EC2 told of it last; `state` in EC2's word, since "stopping" is not "shutting-down"."""

    instance: Instance
    state: str
    is_spot: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)

    def entering(self, state: str) -> "Listed":
        return replace(self, state=state, instance=replace(self.instance, state=in_our_words(state)))


def find(ec2: Any, filters: Mapping[str, Sequence[str]]) -> dict[str, Listed]:
    """By id, instances that pass all the filters, however many pages they fill."""
    with translated("listing instances"):
        pages = ec2.get_paginator("describe_instances").paginate(
            Filters=[{"Name": name, "Values": list(values)} for name, values in filters.items()],
            PaginationConfig={"PageSize": PAGE},
        )
        return {one["InstanceId"]: as_listed(one) for page in pages for one in _described(page)}


def _described(page: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for reservation in page["Reservations"]:
        yield from reservation["Instances"]


def as_listed(described: Mapping[str, Any]) -> Listed:
    state, launched_at = described["State"]["Name"], described["LaunchTime"].timestamp()
    tags = {tag["Key"]: tag["Value"] for tag in described.get("Tags", ())}
    instance = Instance(
        described["InstanceId"],
        in_our_words(state),
        since=changed_at(described.get("StateTransitionReason", "")) or launched_at,
        launched_at=launched_at,
        start=how_started(launched_at, _attached_at(described)),
        token=tags.get(TOKEN, ""),
    )
    return Listed(instance, state, described.get("InstanceLifecycle") == "spot", tags)


def in_our_words(state: str) -> InstanceState:
    """Of one that is gone: it is stopping for good, to whoever has not heard of it yet."""
    return STATES.get(state, InstanceState.STOPPING)


def changed_at(reason: str) -> float | None:
    """The time that a StateTransitionReason tells; None where it tells none, as while all is well."""
    if (found := CHANGED_AT.search(reason)) is None:
        return None
    return datetime.strptime(found[1], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).timestamp()


def how_started(launched_at: float, attached_at: Iterable[float]) -> Start:
    """EC2 renews the launch time at each start; disk and network stay attached since the first."""
    return Start.POOL if launched_at - min(attached_at, default=launched_at) > ATTACHED_WITHIN else Start.LAUNCH


def _attached_at(described: Mapping[str, Any]) -> Iterator[float]:
    disks = (disk.get("Ebs", {}) for disk in described.get("BlockDeviceMappings", ()))
    networks = (network.get("Attachment", {}) for network in described.get("NetworkInterfaces", ()))
    for attachment in (*disks, *networks):
        if "AttachTime" in attachment:
            yield attachment["AttachTime"].timestamp()


def tags_of(fleet: str, token: str) -> list[dict[str, str]]:
    """What we write on an instance: whose it is, what it came for, and a name for people."""
    tags = {FLEET: fleet, TOKEN: token, "Name": f"{fleet}-{token[:8]}" if token else fleet}
    return [{"Key": key, "Value": value} for key, value in tags.items()]
