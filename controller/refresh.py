"""Beside the policy: stale instances are replaced by fresh ones, and a warm pool is made ready before it is needed.

A stale instance works as well as it did, and better than none: those that could work go only once a fresh one has come
to work. What is made for this is *spare*, and no policy sees it, so that none follows it out or in; it serves as soon
as the policy wants more than it sees.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from controller.backoff import Backoff
from controller.ledger import Ledger
from controller.policy import UP, Plan, Terms
from facefleet.model import Depth, Heartbeat, Instance, InstanceState, WorkerState

PENDING, RUNNING, DRAINING, STOPPING, STOPPED = InstanceState
#: Stale ones that are ended at one look.
ENDED_AT_ONCE = 5
#: What waits after a trial, as a verb does.
TRIAL = "trial"
#: Seconds from one trial to the next, twice as many each time. The longest costs about half an instance, which runs
#: for `boot_timeout` each time, for as long as a launch template brings none that works.
FIRST_PAUSE, LONGEST_PAUSE = 60.0, 600.0


@dataclass(frozen=True)
class Sight:
    """Who is there. `spare`: by name, those on their way to the warm pool; `worked`: who ever came to work."""

    instances: Sequence[Instance]
    spare: frozenset[str] = frozenset()
    worked: frozenset[str] = frozenset()
    busy: frozenset[str] = frozenset()

    @cached_property
    def stale(self) -> list[Instance]:
        return [one for one in self.instances if one.is_stale]

    @cached_property
    def fresh(self) -> list[Instance]:
        return [one for one in self.instances if not one.is_stale]

    @property
    def is_proven(self) -> bool:
        """Whether some fresh one has come to work."""
        return any(one.id in self.worked for one in self.fresh)

    @property
    def lacks_proof(self) -> bool:
        """Whether a fresh one is to be tried: none is on its way."""
        return bool(self.stale) and not self.is_proven and all(one.state is not PENDING for one in self.fresh)

    def for_policy(self) -> tuple[Instance, ...]:
        """Without what is spare, and without what rests and is not to be started any more."""
        ends = bool(self.stale) and self.is_proven
        if not self.spare and not ends:
            return tuple(self.instances)
        return tuple(
            one
            for one in self.instances
            if one.id not in self.spare and not (ends and one.is_stale and one.state is STOPPED)
        )


@dataclass(frozen=True, slots=True)
class Upkeep:
    """What is done beside the plan. `serve`: spare ones that make up for launches; `make`: so many more spare ones.

    `tries`: that is the first fresh one, which is due before anything else. `new`: for so many of the plan's launches
    stale ones of the warm pool are taken only where nothing else is to be had. `end`: stopped ones to be terminated.
    """

    serve: tuple[str, ...] = ()
    make: int = 0
    new: int = 0
    tries: bool = False
    retire: tuple[str, ...] = ()
    end: tuple[str, ...] = ()
    why: str = ""


def sight_of(instances: Sequence[Instance], ledger: Ledger, workers: Iterable[Heartbeat]) -> Sight:
    spare = {i.name for i in ledger.intents if i.spare} | {m.id for m in ledger.members.values() if m.spare}
    worked = frozenset(m.id for m in ledger.members.values() if m.worked or m.heard)
    busy = frozenset(worker.id for worker in workers if worker.state is WorkerState.BUSY)
    return Sight(instances, frozenset(spare), worked, busy)


def upkeep(sight: Sight, plan: Plan, depth: Depth, terms: Terms, warm_least: int, *, may_try: bool) -> Upkeep:
    """Work first: while the policy wants more, all else waits. `may_try`: the last trial is long enough ago."""
    due, room = may_try and sight.lacks_proof, _room(sight, terms)
    if plan.launch:
        serve = _serving(sight, plan.launch)
        left = plan.launch - len(serve)
        # Where launches are due in any case, they are the trial.
        tries = due and room > 0 and sum(one.state is STOPPED for one in sight.stale) >= left
        new = left if sight.is_proven else 0
        return Upkeep(serve, int(tries), new, tries, why=_served(len(serve)) or _of_stale(sight))
    tries = due and room > 0
    make = 1 if tries else min(room, _lacking(sight, depth, warm_least))
    rest, gone = _to_rest(sight, depth), _replaced(sight, plan, depth, makes_room=due and not room)
    why = "; ".join(filter(None, (_of_stale(sight), _of_pool(sight, warm_least, make))))
    return Upkeep((), make, 0, tries, rest + gone, _ended(sight, warm_least), why)


def tried(before: Backoff, now: float) -> Backoff:
    """Each trial waits twice as long for the next: a launch template that brings none that works may stay for days."""
    pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(before.failures, 10))
    return Backoff(before.failures + 1, now + pause)


def _room(sight: Sight, terms: Terms) -> int:
    return max(0, terms.most - sum(one.state is not STOPPED for one in sight.instances))


def _serving(sight: Sight, count: int) -> tuple[str, ...]:
    """Of the spare ones those first that work, and then those that are on their way for longest, and will work."""
    counts = UP if sight.is_proven or not sight.stale else (RUNNING,)
    up = [one for one in sight.instances if one.id in sight.spare and one.state in counts]
    up.sort(key=lambda one: (one.state is not RUNNING, one.launched_at, one.id))
    return tuple(one.id for one in up[:count])


def _lacking(sight: Sight, depth: Depth, warm_least: int) -> int:
    """How many are to be made for the warm pool. Nothing, until it is known that what is made works."""
    if depth.visible or (sight.stale and not sight.is_proven):
        return 0
    return max(0, warm_least - len(sight.fresh))


def _to_rest(sight: Sight, depth: Depth) -> tuple[str, ...]:
    """Spare ones that have come to work, unless they are needed, or will be in the place of stale ones.

    Those that are stale by now replace nobody: they would run on for as long as nothing newer works.
    """
    if depth.visible:
        return ()
    replaces = any(one.state in UP and one.id not in sight.spare for one in sight.stale)
    idle = [one for one in sight.instances if one.id in sight.spare - sight.busy and one.state is RUNNING]
    return tuple(one.id for one in idle if one.is_stale or not replaces)


def _replaced(sight: Sight, plan: Plan, depth: Depth, *, makes_room: bool) -> tuple[str, ...]:
    """One stale instance, idle if there is one, while all that are needed work: so one at most is missing at a time.

    `makes_room`: for the first fresh one, there being as many as may be. The last one that works goes only at rest.
    """
    candidates = [one for one in sight.stale if one.state is RUNNING and one.id not in sight.spare]
    leaves = bool(plan.retire) or any(one.state in (DRAINING, STOPPING) for one in sight.stale)
    working = sum(one.state is RUNNING for one in sight.instances)
    if not candidates or leaves or working < plan.desired:
        return ()
    if not (sight.is_proven or (makes_room and (working > 1 or not depth.backlog))):
        return ()
    return (min(candidates, key=lambda one: (one.id in sight.busy, one.launched_at, one.id)).id,)


def _ended(sight: Sight, warm_least: int) -> tuple[str, ...]:
    """Stale ones that rest, a few at a time; of those that a warm pool is to have, one for each fresh one that is."""
    if not sight.is_proven:
        return ()
    stopped = sorted((one for one in sight.stale if one.state is STOPPED), key=lambda one: (one.since, one.id))
    # One that is on its way to rest cannot be started for half a minute. One that rests can, also if somebody stopped
    # it before it ever came to work: no other is made in its place.
    working = sum(one.id in sight.worked - sight.spare and one.state is RUNNING for one in sight.fresh)
    standing = working + sum(one.state is STOPPED for one in sight.fresh)
    count = len(stopped) - max(0, warm_least - standing)
    return tuple(one.id for one in stopped[: max(0, min(count, ENDED_AT_ONCE))])


def _served(count: int) -> str:
    return f"{count} made for the warm pool serve" if count else ""


def _of_stale(sight: Sight) -> str:
    if not sight.stale:
        return ""
    how = "being replaced" if sight.is_proven else "they go once a newer one has come to work"
    return f"{len(sight.stale)} of an older launch template: {how}"


def _of_pool(sight: Sight, warm_least: int, make: int) -> str:
    ready = sum(one.state is STOPPED for one in sight.fresh)
    if ready >= warm_least or not (make or sight.spare):
        return ""
    return f"makes the warm pool ready: {ready} of {warm_least}"
