"""Who is there: the list, which may be old, and what the ledger knows, put together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from controller.believed import as_pending, as_remembered, believed, coming
from controller.ledger import Intent, Ledger, Member, used_up
from controller.policy import UP
from facefleet.model import Heartbeat, Instance, InstanceState, Start

PENDING, RUNNING, DRAINING, STOPPING, STOPPED = InstanceState
#: `launched_at` of a member whose start is not on the bill yet.
NOT_PAID = -1.0


@dataclass(frozen=True, slots=True)
class Look:
    """A list at a time, and what was known before it.

    `absent`: members that the last lists lacked, and when they were listed last; `gone`: those forgotten lately.
    `away`: ranks of clouds that were not listed.
    """

    listed: Sequence[Instance]
    beats: Mapping[str, Heartbeat]
    now: float
    settles_after: float = 0.0
    before: Sequence[Instance] = ()
    listed_at: float = 0.0
    absent: Mapping[str, float] = field(default_factory=dict)
    gone: Mapping[str, Member] = field(default_factory=dict)
    away: frozenset[int] = frozenset()

    @property
    def leaving(self) -> set[str]:
        """Whose workers say that their machine is about to be taken away."""
        return {id for id, beat in self.beats.items() if beat.leaves}


@dataclass(frozen=True, slots=True)
class Roll:
    """Instances as a policy sees them, and what is new.

    `booted`: members that were first heard of now; `failed`: when those were asked for that are gone and never worked;
    `started`: how many starts are paid for from now on.
    """

    instances: tuple[Instance, ...]
    ledger: Ledger
    absent: Mapping[str, float]
    gone: tuple[Member, ...] = ()
    booted: tuple[Member, ...] = ()
    failed: tuple[float, ...] = ()
    started: int = 0


def call_roll(look: Look, ledger: Ledger) -> Roll:
    before = ledger.members
    seen, news = _listed(look, ledger)
    members = {**before, **news} if news else before
    absent, gone = _absentees(look, members)
    kept, lost = _unseen(look, ledger.intents, members)
    seen += [as_remembered(members[id], look.before) for id in absent]
    seen += [as_pending(i) for i in kept if i.start is Start.LAUNCH and i.rank not in look.away]
    seen += believed(look, members, kept) if look.away else []
    return Roll(
        tuple(seen),
        _written(ledger, members, gone, kept, lost),
        absent,
        gone,
        booted=tuple(m for id, m in news.items() if m.heard and not _was_heard(look, before, id)),
        failed=_failed(gone, lost, look.beats),
        started=sum(m.launched_at != _paid(look, before, id) for id, m in news.items()),
    )


def _was_heard(look: Look, before: Mapping[str, Member], id: str) -> bool:
    known = before.get(id) or look.gone.get(id)
    return known is not None and known.heard


def _listed(look: Look, ledger: Ledger) -> tuple[list[Instance], dict[str, Member]]:
    """Those listed, as a policy sees them, and members that changed by it."""
    seen, news = [], {}
    members, beats, leaving = ledger.members, look.beats, look.leaving
    intents = {i.id or i.token: i for i in ledger.intents} | {i.token: i for i in ledger.intents if i.token}
    for one in look.listed:
        member = members.get(one.id)
        # Most are so at most looks: a fleet of thousands is gone through within milliseconds.
        if (
            member is not None
            and member.heard
            and one.state is RUNNING
            and not member.going_since
            and member.launched_at == one.launched_at
            and one.id not in leaving
            and not intents
            and member.rank == one.rank
        ):
            seen.append(one)
            continue
        intent = intents.get(one.id) or intents.get(one.token) if intents else None
        renewed = _renewed(one, member or look.gone.get(one.id), intent, beats.get(one.id), look.now)
        if renewed is not member:
            news[one.id] = renewed
        seen.append(_as_seen(one, renewed, intent))
    return seen, news


def _renewed(one: Instance, member: Member | None, intent: Intent | None, beat: Heartbeat | None, now: float) -> Member:
    if member is None:
        going = now if intent and intent.unwanted else 0.0
        slot, asked_at = (intent.slot, intent.asked_at) if intent else (0, one.launched_at)
        spare = intent is not None and intent.spare
        member = Member(one.id, one.token, slot, asked_at, NOT_PAID, one.start, going_since=going, spare=spare)
    if one.rank != member.rank:
        member = replace(member, rank=one.rank)
    if one.state is STOPPED:
        return _resting(one, member, intent)
    # An old list may show the start before.
    if one.launched_at > member.launched_at:
        member = _begun(one, member, intent)
    if intent is not None and intent.start is Start.POOL and member.asked_at < intent.asked_at:
        # It may be listed as on its way up with the time of its last start still.
        member = replace(member, asked_at=intent.asked_at)
    return _heeded(one, member, beat if beat is not None and _is_of_this_start(beat, member) else None, now)


def _heeded(one: Instance, member: Member, beat: Heartbeat | None, now: float) -> Member:
    """With what its worker says of itself. One goes unasked, too, whose machine is about to be taken away."""
    if not member.heard and beat is not None:
        member = replace(member, heard=True, worked=True)
    drains = one.state is DRAINING or (beat is not None and beat.leaves)
    # One that leaves and never worked stays a start that failed.
    if drains and member.heard and not member.going_since:
        member = replace(member, going_since=now)
    return member


def _begun(one: Instance, member: Member, intent: Intent | None) -> Member:
    if member.launched_at == NOT_PAID:
        return replace(member, launched_at=one.launched_at)
    asked_at, spare = (intent.asked_at, intent.spare) if intent else (one.launched_at, False)
    new = Member(one.id, member.token, member.slot, asked_at, one.launched_at, one.start)
    return replace(new, worked=member.worked, spare=spare, rank=member.rank)


def _resting(one: Instance, member: Member, intent: Intent | None) -> Member:
    """One in the warm pool: its next start is a new life."""
    asked_at = intent.asked_at if intent else 0.0
    rested = replace(
        member,
        asked_at=asked_at,
        launched_at=one.launched_at if member.launched_at == NOT_PAID else member.launched_at,
        heard=False,
        going_since=0.0,
        spare=False,
    )
    return member if rested == member else rested


def _is_of_this_start(beat: Heartbeat, member: Member) -> bool:
    """A worker that was stopped may have left the heartbeat of its last life behind."""
    begun = max(member.asked_at, member.launched_at)
    return beat.at >= begun or (member.start is Start.LAUNCH and begun == member.launched_at)


def _as_seen(one: Instance, member: Member, intent: Intent | None) -> Instance:
    """A running one never heard of is on its way up; one asked to go is no capacity, whatever an old list says."""
    if one.state is STOPPED and intent is not None and intent.start is Start.POOL:
        at = intent.asked_at
        return replace(one, state=coming(intent), since=at, launched_at=at, start=Start.POOL)
    if one.state not in UP:
        return one
    if member.going_since:
        return replace(one, state=DRAINING, since=member.going_since)
    state = RUNNING if member.heard else PENDING
    return one if one.state is state else replace(one, state=state)


def _absentees(look: Look, members: Mapping[str, Member]) -> tuple[Mapping[str, float], tuple[Member, ...]]:
    """Members that the list lacks: those that may be there all the same, and those that are gone."""
    if len(members) == len(look.listed) and not look.absent:
        return look.absent, ()
    missing = {id for id, member in members.items() if member.rank not in look.away}
    missing -= {one.id for one in look.listed}
    since = {id: look.absent.get(id, look.listed_at) for id in sorted(missing)}
    absent = {id: at for id, at in since.items() if look.now - at < look.settles_after}
    return absent, tuple(members[id] for id in since if id not in absent)


def _unseen(
    look: Look, intents: tuple[Intent, ...], members: Mapping[str, Member]
) -> tuple[tuple[Intent, ...], list[Intent]]:
    """Intents that are still to be kept, and those that were answered and came to nothing."""
    if not intents:
        return intents, []
    listed = {one.id: one.state for one in look.listed}
    tokens = {member.token for member in members.values()}
    kept, lost = [], []
    for intent in intents:
        if intent.rank in look.away:
            # Nobody can tell.
            kept.append(intent)
            continue
        settled = bool(intent.answered_at) and look.now - intent.answered_at >= look.settles_after
        if intent.start is Start.LAUNCH:
            is_there, may_come = intent.token in tokens or intent.id in members, not settled
        else:
            state = listed.get(intent.id)
            is_there = settled and state not in (None, STOPPED)
            may_come = not settled and intent.id in members
        if may_come and not is_there:
            kept.append(intent)
        elif not is_there:
            lost.append(intent)
    return (intents if len(kept) == len(intents) else tuple(kept)), lost


def _failed(gone: tuple[Member, ...], lost: list[Intent], beats: Mapping[str, Heartbeat]) -> tuple[float, ...]:
    # One that rested was not asked for; one that was killed may have left its first word behind.
    never_worked = [m.asked_at for m in gone if m.asked_at and not (m.heard or m.going_since or m.id in beats)]
    return (*never_worked, *(intent.asked_at for intent in lost if not intent.unwanted))


def _paid(look: Look, before: Mapping[str, Member], id: str) -> float:
    known = before.get(id) or look.gone.get(id)
    return NOT_PAID if known is None else known.launched_at


def _written(
    ledger: Ledger,
    members: Mapping[str, Member],
    gone: tuple[Member, ...],
    kept: tuple[Intent, ...],
    lost: list[Intent],
) -> Ledger:
    """The ledger with what is new; the same parts where nothing is."""
    if gone:
        gone_ids = {member.id for member in gone}
        members = {id: member for id, member in members.items() if id not in gone_ids}
    ended = [m.slot for m in gone if m.slot] + [i.slot for i in lost if i.start is Start.LAUNCH]
    attempts = used_up(ledger.attempts, ended) if ended else ledger.attempts
    if members is ledger.members and kept is ledger.intents and attempts is ledger.attempts:
        return ledger
    return replace(ledger, intents=kept, members=members, attempts=attempts)
