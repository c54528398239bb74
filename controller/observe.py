"""Looking, and learning from what is seen."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from controller.backoff import Chance, FailedStarts
from controller.estimates import Bill, running_costs
from controller.ledger import Ledger, Member
from controller.policy import Observation, Terms
from controller.remedies import SILENT_FOR
from controller.roll import Look, Roll, call_roll
from controller.steps import Limits
from controller.workers import by_instance, crews, instance_of
from facefleet.model import Depth, Heartbeat, Instance, InstanceState, Start
from facefleet.ports import Fleet

#: Seconds of a job, until one was measured.
EXPECTED_SERVICE = 1.0
#: The heartbeat of a worker that nobody lists is shown for so long: the list may be late.
SHOWN = 15.0
#: Lists may show what is gone once more; what was known of it is kept for some times as long as they may lag.
LAGS = 4


class Observer:
    """What was seen last, and what all looks together taught. `boots`: of those that came to work at the last look.

    `beats`: what each instance said last. `stopping_since`: since when those that stop are seen to. `watching_since`:
    since when nothing kept us from hearing the workers, nor them from being heard.
    """

    def __init__(
        self,
        fleet: Fleet,
        heartbeats: Callable[[], tuple[Heartbeat, ...]],
        terms: Terms,
        limits: Limits,
        chance: Chance,
        ledger: Ledger,
    ) -> None:
        self._fleet, self._heartbeats = fleet, heartbeats
        self._terms, self._limits, self._chance = terms, limits, chance
        learned = ledger.learned
        self.estimates, self.bill, self.starts = learned.estimates, learned.bill, learned.starts
        self.listed: Sequence[Instance] = ()
        self.workers: tuple[Heartbeat, ...] = ()
        self.beats: dict[str, Heartbeat] = {}
        self._words: dict[str, Heartbeat] = {}
        self._crews: dict[str, int] = {}
        self.boots: tuple[tuple[Start, float], ...] = ()
        self.roll = Roll((), ledger, {})
        self._listed_at: float | None = None
        self._voices_heard: tuple[Heartbeat, ...] = ()
        self._listened_at = float("-inf")
        self.watching_since = 0.0
        self._gone: dict[str, tuple[float, Member]] = {}
        #: When those were seen first whose times lie in the future.
        self._restamped: dict[str, float] = {}
        self.stopping_since: dict[str, float] = {}

    def look(self, ledger: Ledger, now: float) -> Roll:
        """Who is there; raises `ServiceError` where that cannot be read."""
        # Each boot is told once, also where this look comes to nothing.
        self.boots = ()
        self.listed = self._not_after(now, self._fleet.instances())
        stopping = (one.id for one in self.listed if one.state is InstanceState.STOPPING)
        self.stopping_since = {id: self.stopping_since.get(id, now) for id in stopping}
        voices, first = self._voices(now), self._listed_at is None
        workers, before = by_instance(voices), self._words
        self.beats = _newest(workers, self.beats, ledger)
        self._words, self._crews = _newest(voices, before, ledger), crews(voices, self._crews)
        self.roll = call_roll(self._as_look(now), ledger)
        # After a pause, a machine that slept with its workers has yet to hear them.
        if self._listed_at is None or not 0 <= now - self._listed_at < SILENT_FOR / 2:
            self.watching_since = now
        self._listed_at = now
        self._remember(self.roll, now)
        # Those that others saw at work before us tell nothing of what is done from now on.
        if not first:
            self.estimates = self.estimates.worked(before, voices, lambda id: self._crews[instance_of(id)])
        members = self.roll.ledger.members
        self.workers = tuple(w for w in workers if w.id in members or now - w.at < SHOWN)
        self._learn(self.roll, now)
        return self.roll

    def forget_times(self, now: float) -> None:
        """After the clock was set back."""
        self.bill, self.starts = Bill(self.bill.total), FailedStarts()
        self._gone, self._listed_at, self.stopping_since = {}, None, {}
        self.watching_since = now

    def observation(self, depth: Depth, instances: tuple[Instance, ...]) -> Observation:
        kind = Start.POOL if any(one.state is InstanceState.STOPPED for one in instances) else Start.LAUNCH
        service = self.estimates.service
        return Observation(
            depth,
            instances,
            self.workers,
            self.boot(kind),
            service.mean if service.count else EXPECTED_SERVICE,
            self.estimates.done,
        )

    def boot(self, kind: Start) -> float:
        boot = self.estimates.boot(kind)
        return boot.mean if boot.count else max(self._limits.boot, self._longest_pending())

    def _longest_pending(self) -> float:
        """Seconds for which somebody is on the way already: it takes that long at least."""
        now = self._listed_at or 0.0
        pending = (now - one.launched_at for one in self.roll.instances if one.state is InstanceState.PENDING)
        return max(pending, default=0.0)

    def gave_up(self, asked_at: float, now: float) -> None:
        """One asked for then never came to work."""
        self.starts = self.starts.failed(asked_at, now, self._chance)

    def silent(self, now: float) -> list[str]:
        """Running instances whose workers said nothing for long, while we listened."""
        if now - self.watching_since <= SILENT_FOR:
            return []
        members, since = self.roll.ledger.members, self.watching_since
        # Not one that has just been started again: what it said last, it said in an earlier life. One that says nothing
        # since we listen has ended, and taken its heartbeat with it.
        return [
            one.id
            for one in self.listed
            if one.state is InstanceState.RUNNING
            and members[one.id].heard
            and now - (self.beats[one.id].at if one.id in self.beats else since) > SILENT_FOR
        ]

    def _not_after(self, now: float, instances: Sequence[Instance]) -> Sequence[Instance]:
        """The same, without times of the future, which a clock that was set back leaves behind: they count from now."""
        if all(one.since <= now and one.launched_at <= now for one in instances):
            self._restamped = {}
            return instances
        at = {one.id: self._restamped.get(one.id, now) for one in instances}
        self._restamped = at
        return [
            replace(one, since=min(one.since, at[one.id]), launched_at=min(one.launched_at, at[one.id]))
            for one in instances
        ]

    def _voices(self, now: float) -> tuple[Heartbeat, ...]:
        """The heartbeats of workers; as much as `SHOWN` old while nobody is up or spoke lately: to read them costs."""
        is_up = any(one.state is not InstanceState.STOPPED for one in self.listed)
        # Workers that no fleet lists, as those started by hand, speak all the same.
        is_heard = any(now - voice.at < SHOWN for voice in self._voices_heard)
        if is_up or is_heard or not 0 <= now - self._listened_at < SHOWN:
            self._voices_heard, self._listened_at = self._heartbeats(), now
        return self._voices_heard

    def _as_look(self, now: float) -> Look:
        return Look(
            self.listed,
            self.beats,
            now,
            self._fleet.settles_after,
            self.roll.instances,
            now if self._listed_at is None else self._listed_at,
            self.roll.absent,
            {id: member for id, (_, member) in self._gone.items()} if self._gone else {},
            frozenset(rank for rank, share in enumerate(self._fleet.shares) if share.is_away),
        )

    def _remember(self, roll: Roll, now: float) -> None:
        if self._gone:
            keep = LAGS * self._fleet.settles_after
            self._gone = {id: gone for id, gone in self._gone.items() if now - gone[0] < keep}
        if roll.gone and self._fleet.settles_after:
            self._gone |= {member.id: (now, member) for member in roll.gone}

    def _learn(self, roll: Roll, now: float) -> None:
        # A call that was answered late is no part of the boot.
        booted = [
            (m.start, m.asked_at, max(0.0, self.beats[m.id].since - max(m.asked_at, m.launched_at)))
            for m in roll.booted
        ]
        self.boots = tuple((start, seconds) for start, _, seconds in booted)
        if booted:
            self.estimates = self.estimates.booted(self.boots)
            self.starts = self.starts.succeeded(max(asked_at for _, asked_at, _ in booted))
        for asked_at in roll.failed:
            self.gave_up(asked_at, now)
        since, least = self.bill.at or now, self._terms.least_bill
        cost = roll.started * least + running_costs(self.listed, since, now, least)
        self.bill = self.bill.adding(cost, now)


def _newest(voices: tuple[Heartbeat, ...], before: Mapping[str, Heartbeat], ledger: Ledger) -> dict[str, Heartbeat]:
    """The newest of each; of a member that says nothing any more, its last."""
    newest = {voice.id: voice for voice in voices}
    for id in before.keys() - newest.keys():
        if instance_of(id) in ledger.members:
            newest[id] = before[id]
    return newest
