"""What every policy is told and answers: how many instances the backlog deserves.

Pure: everything it knows is an argument, all it wants is returned.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from facefleet.model import Depth, Heartbeat, Instance, InstanceState, WorkerState

M = TypeVar("M")
#: Capacity that is there, or will be without anybody's doing.
UP = (InstanceState.PENDING, InstanceState.RUNNING)


@dataclass(frozen=True, slots=True)
class Terms:
    """Within which bounds, and at which prices.

    `hold`: seconds that demand must at least stay lower before capacity follows it down. `wait_price`: what a second of
    a job's waiting is worth, in seconds of an instance. `least_bill`: seconds of an instance that are paid in any case.
    """

    least: int
    most: int
    hold: float = 10.0
    wait_price: float = 1.0
    least_bill: float = 60.0


@dataclass(frozen=True, slots=True)
class Observation:
    """One look. A running instance's worker was heard of; one asked for and not seen yet counts as pending.

    `boot`: seconds from asking for an instance until it works; `service`: seconds that a job takes a worker;
    `done`: jobs that workers have ended so far, from any beginning. All three as far as known.
    """

    depth: Depth
    instances: tuple[Instance, ...]
    workers: tuple[Heartbeat, ...] = ()
    boot: float = 45.0
    service: float = 1.0
    done: int = 0

    def count(self, *states: InstanceState) -> int:
        here = [instance.state for instance in self.instances]
        return sum(here.count(state) for state in states)


@dataclass(frozen=True, slots=True)
class Plan:
    """`retire`: these are to drain. `end`: to be ended at once, work or not, as only policies of others want it."""

    desired: int
    launch: int
    retire: tuple[str, ...]
    reason: str
    end: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Policy(Generic[M]):
    """`decide(seen, memory, terms, now)`. `fresh`: a memory that knows nothing yet; losing one costs money, no more.

    A memory is a frozen dataclass of numbers, strings, and tuples and dataclasses of those, so that it can be saved as
    JSON.
    """

    name: str
    decide: Callable[[Observation, M, Terms, float], tuple[Plan, M]]
    fresh: M


def idlest(seen: Observation, count: int) -> tuple[str, ...]:
    """Idle ones first, so that the busy go on taking work; among those, stale ones, and then the youngest.

    Of the farthest cloud first; at one look of one cloud alone, so that one's own go only after all others that can.
    """
    if count <= 0:
        return ()
    busy = {worker.id for worker in seen.workers if worker.state is WorkerState.BUSY}
    up = [i for i in seen.instances if i.state in UP]
    up.sort(key=lambda i: (i.id in busy, -i.rank, not i.is_stale, -i.launched_at, i.id))
    return tuple(i.id for i in up[:count] if i.rank == up[0].rank)
