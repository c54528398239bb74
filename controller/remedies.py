"""Every state has a time-out, and after it somebody who tries again: nothing is stuck for good."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from controller.ledger import Ledger, Member
from facefleet.model import Instance, InstanceState

PENDING, RUNNING, DRAINING, STOPPING, STOPPED = InstanceState
#: A worker repeats its heartbeat every five seconds, whatever its image takes: one that misses a dozen is dead.
SILENT_FOR = 60.0
#: EC2 takes tens of seconds to stop an instance, and forces it after some minutes.
STOPPING_FOR = 120.0
#: An instance that was ended and is there all the same is ended again this often.
END_EVERY = 30.0
#: A start that takes this many times as long as they use to will not come any more.
PATIENCE = 3.0


@dataclass(frozen=True, slots=True)
class Allowed:
    """Seconds that an instance may spend in a state."""

    pending: float
    draining: float
    stopping: float = STOPPING_FOR


def overdue(
    listed: Iterable[Instance],
    ledger: Ledger,
    draining_since: Mapping[str, float],
    allowed: Allowed,
    watching_since: float,
    now: float,
) -> list[str]:
    """Who is longer in a state than is allowed, by what the list says.

    `draining_since`: of those that were asked to drain and are listed as running on, when they were. Nothing counts of
    the time before `watching_since`: a laptop that slept did so with its workers.
    """
    return [
        one.id
        for one in listed
        if _is_overdue(one, ledger.members[one.id], draining_since, allowed, watching_since, now)
    ]


def _is_overdue(
    one: Instance,
    member: Member,
    draining_since: Mapping[str, float],
    allowed: Allowed,
    watching_since: float,
    now: float,
) -> bool:
    if one.state is STOPPED:
        return False
    if one.state is STOPPING:
        return now - max(one.since, watching_since) > allowed.stopping
    if one.state is DRAINING:
        return now - max(one.since, watching_since) > allowed.draining
    if not member.heard:
        return now - max(one.launched_at, member.asked_at, watching_since) > allowed.pending
    return bool(member.going_since) and now - max(draining_since.get(one.id, now), watching_since) > allowed.draining
