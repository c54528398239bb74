"""A cloud in memory: instances, their workers and the queue that they work on, under a clock that the test moves.

It keeps to the fleet's port, and notes what no controller may ever bring about.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from math import inf

from machines import STALE, Flaw, Machine

from facefleet.errors import Conflict, NoCapacity
from facefleet.model import Depth, Heartbeat, Instance, InstanceState, Start
from facefleet.ports import Share

PENDING, RUNNING, DRAINING, STOPPING, STOPPED = InstanceState
#: From the launch until the cloud says "running"; the worker comes later.
ANNOUNCED_AFTER = 5.0
STOP_SECONDS = 30.0


@dataclass
class Clock:
    now: float = 1_000_000.0


@dataclass
class Cloud:
    """`pool`: how many stopped instances are kept. `short`: offers that it has none of now. `prefix`: of its ids.

    `flaws`, `boots`: of the next launches; `lags`: of lists. `version`: of what is launched now; none of `bad` ones
    ever works; while nobody knows it (`tells_version`), nobody is stale. `wrongs`: what no controller may bring about.
    """

    clock: Clock
    most: int = 1000
    prefix: str = "i"
    offers: tuple[str, ...] = ("large", "small")
    shares: tuple[Share, ...] = ()
    settles_after: float = 0.0
    at_once: int = 1
    boot: float = 45.0
    service: float = 1.0
    lease: float = 30.0
    boot_timeout: float = 600.0
    drain_timeout: float = 600.0
    pool: int = 0
    machines: dict[str, Machine] = field(default_factory=dict)
    short: set[str] = field(default_factory=set)
    flaws: deque[Flaw] = field(default_factory=deque)
    boots: deque[float] = field(default_factory=deque)
    lags: deque[float] = field(default_factory=deque)
    tokens: dict[str, str] = field(default_factory=dict)
    visible: int = 0
    #: When each was first asked to go, whatever came of that call.
    asked_to_go: dict[str, float] = field(default_factory=dict)
    #: When the leases end of jobs whose workers were killed.
    lost: list[float] = field(default_factory=list)
    done: int = 0
    launches: int = 0
    version: int = 1
    versions: int = 1
    bad: set[int] = field(default_factory=set)
    tells_version: bool = True
    wrongs: list[str] = field(default_factory=list)

    # The port

    def instances(self) -> list[Instance]:
        """Each as it was up to `settles_after` ago, one more, another less."""
        views = ((m.as_of(self.clock.now - self._lag()), m) for m in self.machines.values())
        return [
            replace(view, is_stale=self.tells_version and self.is_stale(m)) for view, m in views if view is not None
        ]

    @property
    def can_rest(self) -> tuple[str, ...]:
        return tuple(offer for offer in self.offers if offer != "spot") if self.pool else ()

    def is_stale(self, machine: Machine) -> bool:
        return machine.version != self.version

    def launch(self, token: str, offer: str) -> str:
        assert offer in self.offers
        if token in self.tokens:
            return self._launched_before(token)
        if offer in self.short:
            raise NoCapacity(f"there is no {offer} left")
        self.launches += 1
        id = self.tokens[token] = f"{self.prefix}-{self.launches}"
        flaw = self.flaws.popleft() if self.flaws else Flaw.NONE
        flaw = Flaw.NEVER_WORKS if self.version in self.bad else flaw
        machine = Machine(Instance(id, PENDING, self.clock.now, token=token), flaw, version=self.version, offer=offer)
        self.machines[id] = machine
        self._come_up(machine, Start.LAUNCH)
        return id

    def start(self, ids: list[str]) -> None:
        for machine in self._known(ids):
            if machine.seen.state is STOPPED:
                self._come_up(machine, Start.POOL)

    def retire(self, ids: list[str]) -> None:
        for machine in self._known(ids):
            if machine.seen.state in (PENDING, RUNNING):
                machine.enter(DRAINING, self.clock.now)
                self._leave_if_done(machine)

    def end(self, ids: list[str]) -> None:
        for machine in self._known(ids):
            self._blame(machine)
            self._cut_off(machine)
            if machine.seen.state is STOPPED:
                machine.vanish(self.clock.now)
            else:
                self._stop(machine, ended=True)

    # Beside the port: the queue, and what workers say

    def depth(self) -> Depth:
        return Depth(self.visible, len(self.lost) + sum(m.is_busy for m in self.machines.values()))

    def heartbeats(self) -> tuple[Heartbeat, ...]:
        beats = (machine.beat(self.clock.now, self.service) for machine in self.machines.values())
        return tuple(beat for beat in beats if beat is not None)

    # What happens by itself, or by the test's will

    def arrive(self, jobs: int) -> None:
        self.visible += jobs
        self._take()

    def advance(self, seconds: float) -> None:
        """Time passes, and what falls due in it happens."""
        until = self.clock.now + seconds
        while (due := self._next()) <= until:
            self.clock.now = max(self.clock.now, due)
            self._happen()
        self.clock.now = until
        self._forget()

    def crash(self, pick: int) -> None:
        """The power goes: a spot loss, a broken disk."""
        if up := [m for m in self.machines.values() if m.is_up]:
            machine = up[pick % len(up)]
            self._cut_off(machine)
            machine.vanish(self.clock.now)

    def silence(self, pick: int) -> None:
        """A worker goes on working, and cannot say so any more."""
        if ready := [m for m in self.machines.values() if m.ready_since is not None]:
            machine = ready[pick % len(ready)]
            machine.silent_since = min(machine.silent_since, self.clock.now)

    def notice(self, pick: int) -> None:
        """The spot price rises: a worker hears that its machine goes, which then does not."""
        if ready := [m for m in self.machines.values() if m.is_ready]:
            ready[pick % len(ready)].noticed_at = self.clock.now

    def heal(self) -> None:
        """From now on nothing new goes wrong."""
        for drawn in (self.short, self.flaws, self.boots, self.lags):
            drawn.clear()
        self.tells_version = True
        if self.version in self.bad:
            self.upgrade()

    def upgrade(self, *, works: bool = True) -> None:
        """From now on something newer is launched."""
        self.versions += 1
        self.version = self.versions
        if not works:
            self.bad.add(self.version)

    def roll_back(self) -> None:
        """What was launched first is launched again."""
        self.version = 1

    def living(self) -> list[Machine]:
        return [m for m in self.machines.values() if not m.gone]

    def up(self) -> list[Machine]:
        return [m for m in self.machines.values() if m.is_up]

    def _launched_before(self, token: str) -> str:
        machine = self.machines.get(self.tokens[token])
        if machine is None or machine.gone:
            raise Conflict("this token brought an instance that is gone: use another")
        return machine.seen.id

    def _come_up(self, machine: Machine, start: Start) -> None:
        now = self.clock.now
        machine.seen, machine.noticed_at = replace(machine.seen, launched_at=now, start=start), inf
        self.asked_to_go.pop(machine.seen.id, None)
        machine.enter(PENDING, now, now + ANNOUNCED_AFTER)
        if len(self.up()) > self.most:
            self.wrongs.append(f"{len(self.up())} instances at once, {self.most} at most")

    def _known(self, ids: Iterable[str]) -> list[Machine]:
        return [m for id in set(ids) if (m := self.machines.get(id)) is not None and not m.gone]

    def _blame(self, machine: Machine) -> None:
        """Notes that one was ended that was well: it works, or is still on its way up."""
        now, one = self.clock.now, machine.seen
        if now - machine.silent_since >= STALE or now - self.asked_to_go.get(one.id, now) >= self.drain_timeout:
            return
        if one.state is DRAINING and machine.is_busy and now - one.since < self.drain_timeout:
            self.wrongs.append(f"{one.id} was ended, which was busy and drained for {now - one.since} s only")
        is_left, is_late = machine.noticed_at < inf and not machine.is_busy, now - one.launched_at >= self.boot_timeout
        if one.state in (PENDING, RUNNING) and not is_left and (machine.ready_since or not is_late):
            self.wrongs.append(f"{one.id} was ended, which was well and {one.state}")

    def _cut_off(self, machine: Machine) -> None:
        """Its job comes back when the lease ends, its last heartbeat stays for a while."""
        machine.left = machine.beat(self.clock.now, self.service)
        if machine.is_busy:
            self.lost.append(self.clock.now + self.lease)

    def _next(self) -> float:
        return min([inf, *self.lost, *(min(m.due, m.job_ends) for m in self.machines.values())])

    def _happen(self) -> None:
        now = self.clock.now
        self.visible += sum(at <= now for at in self.lost)
        self.lost = [at for at in self.lost if at > now]
        for machine in self.machines.values():
            if machine.job_ends <= now:
                self._finish(machine)
            if machine.due <= now:
                self._step(machine)
        self._take()

    def _finish(self, machine: Machine) -> None:
        machine.job_ends, machine.jobs, self.done = inf, machine.jobs + 1, self.done + 1
        self._leave_if_done(machine)

    def _step(self, machine: Machine) -> None:
        now, state = self.clock.now, machine.seen.state
        if state is PENDING and machine.flaw is Flaw.DIES:
            machine.vanish(now)
        elif state is PENDING:
            boot = self.boots.popleft() if self.boots else self.boot
            machine.enter(RUNNING, now, inf if machine.flaw is Flaw.NEVER_WORKS else now + boot)
        elif state is RUNNING:
            machine.ready_since, machine.due, machine.jobs = now, inf, 0
        elif not machine.ended and self._has_room_for(machine):
            machine.enter(STOPPED, now)
        else:
            machine.vanish(now)

    def _has_room_for(self, machine: Machine) -> bool:
        """In the pool, where a stale one takes nobody's place."""
        resting = [m for m in self.living() if m.seen.state is STOPPED]
        return sum(self.is_stale(machine) or not self.is_stale(m) for m in resting) < self.pool

    def _take(self) -> None:
        for machine in self.machines.values():
            if self.visible and machine.is_ready and not machine.is_busy:
                self.visible, machine.job_ends = self.visible - 1, self.clock.now + self.service

    def _leave_if_done(self, machine: Machine) -> None:
        if machine.seen.state is DRAINING and not machine.is_busy and machine.flaw is not Flaw.NEVER_DRAINS:
            self._stop(machine, ended=False)

    def _stop(self, machine: Machine, *, ended: bool) -> None:
        again = machine.seen.state is STOPPING
        machine.ended |= ended
        machine.ready_since, machine.job_ends, machine.silent_since = None, inf, inf
        if not again:
            stuck = machine.flaw is Flaw.NEVER_STOPS
            machine.enter(STOPPING, self.clock.now, inf if stuck else self.clock.now + STOP_SECONDS)
        elif machine.due == inf:
            machine.due = self.clock.now + STOP_SECONDS

    def _lag(self) -> float:
        """Whatever the test drew, again and again."""
        if not self.lags:
            return 0.0
        self.lags.rotate(-1)
        return min(self.lags[-1], self.settles_after)

    def _forget(self) -> None:
        for id, machine in list(self.machines.items()):
            if machine.gone and machine.past[-1][0] < self.clock.now - max(self.settles_after, STALE):
                del self.machines[id]
