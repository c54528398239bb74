"""Every state has a time-out, and after it somebody who tries again: nothing is stuck for good."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from controller.ledger import Ledger, Member
from facefleet.model import Heartbeat, Instance, InstanceState

PENDING, RUNNING, DRAINING, STOPPING, STOPPED = InstanceState
#: A worker repeats its heartbeat every five seconds, and ends an image that takes it two minutes by itself.
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
    listed: Iterable[Instance], ledger: Ledger, draining_since: Mapping[str, float], allowed: Allowed, now: float
) -> list[str]:
    """Who is longer in a state than is allowed, by what the list says.

    `draining_since`: of those that were asked to drain and are listed as running on, when they were.
    """
    return [
        one.id
        for one in listed
        if (one.state is not RUNNING or _is_special(ledger.members.get(one.id), one))
        and _is_overdue(one, ledger.members[one.id], draining_since, allowed, now)
    ]


def _is_special(member: Member | None, one: Instance) -> bool:
    return member is not None and (not member.heard or member.going_since > 0)


def _is_overdue(
    one: Instance, member: Member, draining_since: Mapping[str, float], allowed: Allowed, now: float
) -> bool:
    if one.state is STOPPED:
        return False
    if one.state is STOPPING:
        return now - one.since > allowed.stopping
    if one.state is DRAINING:
        return now - one.since > allowed.draining
    if not member.heard:
        return now - max(one.launched_at, member.asked_at) > allowed.pending
    return bool(member.going_since) and now - draining_since.get(one.id, now) > allowed.draining


def silent(workers: Iterable[Heartbeat], listed: Iterable[Instance], now: float) -> list[str]:
    """Running instances whose workers said nothing for long."""
    quiet = {worker.id for worker in workers if now - worker.at > SILENT_FOR}
    return [one.id for one in listed if one.id in quiet and one.state is RUNNING] if quiet else []
