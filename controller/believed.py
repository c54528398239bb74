"""What is thought of instances that no list shows: as they were, as they were asked for, or as they say themselves.

Those of a cloud that does not answer say that they work; the others of it are not counted on for long. All are members
still, so that whoever comes back is known: with its slot, and with having been asked to go.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from controller.ledger import Intent, Member
from controller.policy import UP
from controller.remedies import SILENT_FOR
from facefleet.model import Heartbeat, Instance, InstanceState, Start, WorkerState

PENDING, RUNNING, DRAINING, STOPPING, STOPPED = InstanceState
#: Seconds for which one that was asked for counts, while nobody can see whether it comes.
HOPED_FOR = 60.0


def as_remembered(member: Member, before: Sequence[Instance]) -> Instance:
    """As it was seen last. Nobody has seen it since the last controller did: as what uses most of the bounds."""
    found = next((one for one in before if one.id == member.id), None)
    state = DRAINING if member.going_since else RUNNING if member.heard else PENDING
    if found is not None and not (member.going_since and found.state in UP):
        return found
    since = member.going_since or member.launched_at
    return Instance(member.id, state, since, member.launched_at, member.start, member.token, rank=member.rank)


def as_pending(intent: Intent) -> Instance:
    at = intent.asked_at
    return Instance(intent.name, coming(intent), at, at, intent.start, intent.token, rank=intent.rank)


def coming(intent: Intent) -> InstanceState:
    """What one that was asked for counts as."""
    return DRAINING if intent.unwanted else PENDING


class Sight(Protocol):
    """What is needed of a look."""

    @property
    def listed(self) -> Sequence[Instance]: ...
    @property
    def before(self) -> Sequence[Instance]: ...
    @property
    def beats(self) -> Mapping[str, Heartbeat]: ...
    @property
    def away(self) -> frozenset[int]: ...
    @property
    def now(self) -> float: ...


def believed(look: Sight, members: Mapping[str, Member], intents: Iterable[Intent]) -> list[Instance]:
    """Of the clouds that are away those that count all the same."""
    asked = {i.name: i for i in intents if i.rank in look.away and not i.unwanted}
    listed = {one.id for one in look.listed}
    stale = {one.id for one in look.before if one.is_stale}
    known = {id: m for id, m in members.items() if m.rank in look.away and id not in listed}
    found = []
    for id in {**known, **asked}:
        one = _as_known(known[id]) if id in known else as_pending(asked[id])
        state = _state(one, look.beats.get(id), asked.get(id), known.get(id), look.now)
        if state is not None:
            found.append(Instance(id, state, one.since, one.launched_at, one.start, one.token, id in stale, one.rank))
    return found


def _as_known(member: Member) -> Instance:
    since = member.going_since or member.launched_at
    return Instance(
        member.id, RUNNING, since, max(member.launched_at, 0.0), member.start, member.token, rank=member.rank
    )


def _state(
    one: Instance, beat: Heartbeat | None, asked: Intent | None, member: Member | None, now: float
) -> InstanceState | None:
    """None for one that counts no more: it is silent, or rests."""
    begun = max(asked.asked_at if asked else 0.0, member.asked_at if member else 0.0)
    if not begun:
        # One that rests was asked for by nobody.
        return None
    is_new = beat is not None and (beat.at >= begun or (one.start is Start.LAUNCH and not asked))
    if beat is not None and is_new and now - beat.at <= SILENT_FOR:
        leaves = beat.leaves or beat.state is WorkerState.DRAINING or bool(member and member.going_since)
        return DRAINING if leaves else RUNNING
    waits = asked is not None or not (member and (member.heard or member.going_since))
    return PENDING if waits and now - begun <= HOPED_FOR else None
