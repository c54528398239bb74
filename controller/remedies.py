"""Every state has a time-out, and after it somebody who tries again: nothing is stuck for good."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from controller.ledger import Ledger, Member
from facefleet.model import Instance, InstanceState

PENDING, RUNNING, DRAINING, STOPPING, STOPPED = InstanceState
#: A worker repeats its heartbeat every five seconds, whatever its image takes: one that misses a dozen is dead.
SILENT_FOR = 60.0
#: Its workers may take 150 s for their last images (`TimeoutStopSec` of their units); EC2 forces none before minutes.
STOPPING_FOR = 300.0
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
    known_since: Mapping[str, float],
    allowed: Allowed,
    watching_since: float,
    now: float,
) -> list[str]:
    """Who is longer in a state than is allowed, by what the list says.

    `known_since`: of those that were asked to drain and are listed as running on, when they were; of those that stop,
    since when they are seen to, as a list may not date it. Nothing counts of the time before `watching_since`: a laptop
    that slept did so with its workers.
    """
    return [
        one.id
        for one in listed
        if _is_overdue(one, ledger.members[one.id], known_since.get(one.id), allowed, watching_since, now)
    ]


def _is_overdue(
    one: Instance,
    member: Member,
    known_since: float | None,
    allowed: Allowed,
    watching_since: float,
    now: float,
) -> bool:
    if one.state is STOPPED:
        return False
    if one.state is STOPPING:
        return now - max(one.since, known_since or 0.0, watching_since) > allowed.stopping
    if one.state is DRAINING:
        return now - max(one.since, member.going_since, watching_since) > allowed.draining
    if not member.heard:
        return now - max(one.launched_at, member.asked_at, watching_since) > allowed.pending
    if not member.going_since or known_since is None:
        return False
    return now - max(known_since, watching_since) > allowed.draining
