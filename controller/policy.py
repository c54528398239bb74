"""How many instances the backlog deserves. Pure: everything it knows is an argument, all it wants is returned."""

from dataclasses import dataclass, replace

from facefleet.model import Depth, Heartbeat, Instance, InstanceState, WorkerState


@dataclass(frozen=True, slots=True)
class Bounds:
    """`hold`: seconds that demand must stay lower before capacity follows it down."""

    least: int
    most: int
    hold: float


@dataclass(frozen=True, slots=True)
class Observation:
    depth: Depth
    instances: tuple[Instance, ...]
    workers: tuple[Heartbeat, ...] = ()

    def count(self, *states: InstanceState) -> int:
        return sum(instance.state in states for instance in self.instances)


@dataclass(frozen=True, slots=True)
class Memory:
    """Demands seen, as (time, demand): falling in both, so the first is the peak. Losing it costs a hold time."""

    peaks: tuple[tuple[float, int], ...] = ()

    def seeing(self, demand: int, now: float, hold: float) -> "Memory":
        """Only what may still be the peak is kept: what is recent, and higher than all that came later."""
        # A clock that was set back leaves peaks of the future, which would hold for as long.
        recent = tuple(p for p in self.peaks if 0 <= now - p[0] <= hold and p[1] > demand)
        return replace(self, peaks=(*recent, (now, demand)))


@dataclass(frozen=True, slots=True)
class Plan:
    desired: int
    launch: int
    retire: tuple[str, ...]
    reason: str


def decide(seen: Observation, memory: Memory, bounds: Bounds, now: float) -> tuple[Plan, Memory]:
    """Desired = visible + in flight within bounds, made steady.

    Out on the newest demand; in only on the highest of the hold time, since counts jump; and what dies meanwhile
    is replaced. Instances on their way up count as capacity, so one burst is not launched twice; those on their way
    out only against the most.
    """
    demand = min(max(seen.depth.backlog, bounds.least), bounds.most)
    memory = memory.seeing(demand, now, bounds.hold)
    desired = memory.peaks[0][1]
    capacity = seen.count(InstanceState.PENDING, InstanceState.RUNNING)
    room = max(0, bounds.most - capacity - seen.count(InstanceState.DRAINING))
    launch = min(max(0, desired - capacity), room)
    retire = _idlest(seen, capacity - desired)
    return Plan(desired, launch, retire, _reason(seen.depth, desired, demand, launch, retire)), memory


def _idlest(seen: Observation, count: int) -> tuple[str, ...]:
    """Idle ones first, so that the busy go on taking work; among those, the youngest."""
    busy = {worker.id for worker in seen.workers if worker.state is WorkerState.BUSY}
    running = [i for i in seen.instances if i.state in (InstanceState.RUNNING, InstanceState.PENDING)]
    running.sort(key=lambda i: (i.id in busy, -i.since, i.id))
    return tuple(i.id for i in running[: max(0, count)])


def _reason(depth: Depth, desired: int, demand: int, launch: int, retire: tuple[str, ...]) -> str:
    asks = f"backlog {depth.backlog} asks for {demand}"
    if launch:
        return f"{asks}: launching {launch}"
    if retire:
        return f"{asks}, and nothing more did lately: retiring {len(retire)}"
    if desired > demand:
        return f"{asks}: holding {desired} for a while"
    return f"{asks}: nothing to do"
