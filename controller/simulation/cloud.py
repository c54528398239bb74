"""A simulated cloud: the Fleet port, the queue's counts and the workers' heartbeats, under simulated time."""

import random
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from itertools import count

import numpy as np

from controller.simulation.crowd import Crowd
from controller.simulation.loads import Load
from facefleet.errors import Conflict, NoCapacity, Throttled
from facefleet.model import Depth, Heartbeat, Instance, InstanceState, Start, WorkerState

PENDING, RUNNING, DRAINING, STOPPING, STOPPED = InstanceState
OFFER = "simulated"
HOUR = 3600.0
#: When a simulation begins: not at 0, which says "never" of an instance.
BEGINNING = 86_400.0
#: A worker says that it lives this often, even without news.
REPEAT = 5.0


@dataclass(frozen=True, slots=True)
class World:
    """What the cloud is like. Durations in seconds.

    Boots are normally spread, and never farther off than twice the spread. `warm`: instances that lie stopped at first
    and start within `warm_boot`; who retires goes back there as long as fewer do, and takes `stop` for it.
    `lag`: how old the counts are. Shares: of launches `no_capacity`; of launches and starts `zombies` (paid, and never
    work); of calls that change the fleet `throttled`. `spot_losses`: of an instance in an hour, on average.
    """

    boot: float = 45.0
    boot_spread: float = 10.0
    service: float = 1.0
    least_bill: float = 60.0
    wait_price: float = 1.0
    tick: float = 1.0
    visibility_timeout: float = 30.0
    warm: int = 0
    warm_boot: float = 15.0
    stop: float = 30.0
    lag: float = 0.0
    no_capacity: float = 0.0
    throttled: float = 0.0
    zombies: float = 0.0
    spot_losses: float = 0.0


class Cloud:
    """Of everything it counts: `paid` instance-seconds, `starts`, jobs `killed` by the fleet's verbs or `lost` with a
    machine, and the most instances there ever were at once, `ceiling`."""

    offers = can_rest = (OFFER,)
    settles_after = 0.0
    at_once = 1
    shares = ()

    def __init__(self, load: Load, world: World, chance: random.Random) -> None:
        services = np.full(len(load.arrivals), world.service) if load.services is None else load.services
        self.crowd = Crowd((np.asarray(load.arrivals) + BEGINNING).tolist(), np.asarray(services).tolist())
        self.now = BEGINNING
        self.paid = 0.0
        self.starts = self.killed = self.lost = self.ceiling = 0
        self._world = world
        self._chance = chance
        self._numbers = count(1)
        #: What happens by itself: (when, in which order, what, to whom).
        self._events: list[tuple[float, int, str, str]] = []
        self._order = count()
        self._instances: dict[str, Instance] = {}
        self._listed: list[Instance] | None = None
        #: Which instance came for a token.
        self._launched: dict[str, str] = {}
        self._workers: dict[str, int] = {}
        self._beats: dict[str, Heartbeat] = {}
        self._counts: deque[tuple[float, Depth]] = deque()
        for _ in range(world.warm):
            self._put(Instance(f"i-{next(self._numbers)}", STOPPED, BEGINNING))

    # The fleet

    def instances(self) -> list[Instance]:
        if self._listed is None:
            self._listed = list(self._instances.values())
        return self._listed

    def launch(self, token: str, offer: str) -> str:
        self._may_refuse()
        if (launched := self._launched.get(token)) is not None:
            if launched in self._instances:
                return launched
            raise Conflict(f"{launched}, launched for this token, is gone")
        if self._chance.random() < self._world.no_capacity:
            raise NoCapacity(f"there is no {offer} left")
        id = self._launched[token] = f"i-{next(self._numbers)}"
        boot, spread = self._world.boot, 2 * self._world.boot_spread
        least = max(0.0, boot - spread)
        seconds = min(max(self._chance.gauss(boot, self._world.boot_spread), least), boot + spread)
        self._come_up(Instance(id, PENDING, self.now, self.now, Start.LAUNCH, token), seconds)
        return id

    def start(self, ids: list[str]) -> None:
        self._may_refuse()
        for id in ids:
            if id in self._instances and self._instances[id].state is STOPPED:
                up = replace(self._instances[id], state=PENDING, since=self.now, launched_at=self.now, start=Start.POOL)
                self._come_up(up, self._world.warm_boot)

    def retire(self, ids: list[str]) -> None:
        self._may_refuse()
        ends = self.crowd.leave([self._workers[id] for id in ids if id in self._workers], self.now)
        for id in ids:
            instance = self._instances.get(id)
            if instance is not None and instance.state in (PENDING, RUNNING):
                self._put(replace(instance, state=DRAINING, since=self.now))
                self._later(ends.get(self._workers.get(id, -1), self.now), "drained", id)
        self._happen_until(self.now)

    def end(self, ids: list[str]) -> None:
        self._may_refuse()
        for id in ids:
            if id in self._instances:
                self.killed += self._cut_off(id)
                self._gone(id)

    # The queue, and the workers

    def depth(self) -> Depth:
        """As it was `lag` seconds ago."""
        crowd = self.crowd
        in_flight = len(crowd.busy(self.now)) + crowd.leased(self.now)
        depth = Depth(crowd.waiting(self.now), in_flight, crowd.oldest(self.now))
        self._counts.append((self.now, depth))
        while len(self._counts) > 1 and self._counts[1][0] <= self.now - self._world.lag:
            self._counts.popleft()
        return self._counts[0][1]

    def heartbeats(self) -> tuple[Heartbeat, ...]:
        busy, jobs = self.crowd.busy(self.now), self.crowd.jobs
        return tuple(self._beat(id, number in busy, jobs[number]) for id, number in self._workers.items())

    def _beat(self, id: str, busy: bool, jobs: int) -> Heartbeat:
        state, ended, last = (WorkerState.BUSY if busy else WorkerState.IDLE), jobs - busy, self._beats[id]
        if last.state is not state or last.jobs != ended or self.now - last.at >= REPEAT:
            last = self._beats[id] = Heartbeat(id, state, ended, last.since, self.now, self._world.service)
        return last

    # Time

    def run_to(self, now: float) -> None:
        """Lets happen what happens until then."""
        self._happen_until(now)
        self.crowd.serve(now)
        self.now = now

    def settled(self) -> None:
        """The bill is closed: what is still up is paid until now."""
        for id in list(self._instances):
            self._gone(id)

    def _happen_until(self, now: float) -> None:
        while self._events and self._events[0][0] <= now:
            at, _, what, id = heappop(self._events)
            self.crowd.serve(at)
            self.now = at
            if id in self._instances:
                self._happen(what, self._instances[id])

    def _happen(self, what: str, instance: Instance) -> None:
        if what == "works" and instance.state is PENDING:
            self._put(replace(instance, state=RUNNING, since=self.now))
            self._workers[instance.id] = self.crowd.join(self.now)
            self._beats[instance.id] = Heartbeat(instance.id, WorkerState.IDLE, 0, self.now, self.now)
        elif what == "drained" and instance.state is DRAINING:
            self._rest(instance)
        elif what == "stopped" and instance.state is STOPPING:
            self._put(replace(instance, state=STOPPED, since=self.now))
        elif what == "lost" and instance.state in (PENDING, RUNNING, DRAINING):
            self.lost += self._cut_off(instance.id)
            self._gone(instance.id)

    def _come_up(self, instance: Instance, seconds: float) -> None:
        self._put(instance)
        self.starts += 1
        self.ceiling = max(self.ceiling, self._up())
        if not self._world.zombies or self._chance.random() >= self._world.zombies:
            self._later(self.now + seconds, "works", instance.id)
        if self._world.spot_losses:
            self._later(self.now + self._chance.expovariate(self._world.spot_losses / HOUR), "lost", instance.id)

    def _up(self) -> int:
        """With a warm pool, some are only stopped."""
        return len(self._instances) - self._stopped() if self._world.warm else len(self._instances)

    def _stopped(self) -> int:
        return sum(one.state in (STOPPING, STOPPED) for one in self._instances.values())

    def _rest(self, instance: Instance) -> None:
        """Back to the warm pool, if there is room."""
        if self._world.warm <= self._stopped():
            self._gone(instance.id)
            return
        self._pay(instance)
        self._dismiss(instance.id)
        self._put(replace(instance, state=STOPPING, since=self.now))
        self._later(self.now + self._world.stop, "stopped", instance.id)

    def _cut_off(self, id: str) -> bool:
        number = self._workers.get(id)
        return number is not None and self.crowd.cut_off(number, self.now, self.now + self._world.visibility_timeout)

    def _gone(self, id: str) -> None:
        instance = self._instances.pop(id)
        self._listed = None
        if instance.state not in (STOPPING, STOPPED):
            self._pay(instance)
        self._dismiss(id)

    def _dismiss(self, id: str) -> None:
        self._workers.pop(id, None)
        self._beats.pop(id, None)

    def _pay(self, instance: Instance) -> None:
        self.paid += max(self.now - instance.launched_at, self._world.least_bill)

    def _put(self, instance: Instance) -> None:
        self._instances[instance.id] = instance
        self._listed = None

    def _later(self, at: float, what: str, id: str) -> None:
        heappush(self._events, (at, next(self._order), what, id))

    def _may_refuse(self) -> None:
        if self._world.throttled and self._chance.random() < self._world.throttled:
            raise Throttled("simulated: too many calls")


def is_anybody_up(instances: Iterable[Instance]) -> bool:
    """Whether some of these are up, or on their way up or down."""
    return any(one.state is not STOPPED for one in instances)
