"""Below which no policy's cost can be, not even one that sees the future: a linear program over a fluid.

Time is cut into slots. The work that is done by the end of each, the starts and the ends of instances are to be chosen,
and may be fractions. What a real schedule does, averaged over a slot, fulfils every constraint here and costs no less,
since each gives in towards what is cheaper:

- An instance is taken to boot as fast as any may. From then on it is *kept*: until it is gone, and until its least bill
  is used up. It costs the boot and the time for which it is kept; one that never works costs nothing here.
- Work needs kept instances, no more than are allowed, and none before the shortest boot.
- A job, once started, is served without a break, a second in a second. So by each moment no more can be done than if
  every job had started as it arrived; the integral of what lacks to that, over all time, is each job's wait times its
  service. Within a slot, all of its work counts as done from its beginning.
- Time ends. Work that is left costs what it takes, and waits no more.

The averaging: let k run over slots, and t over a slot's length. Starts up to t into slot k, averaged over t, less ends
likewise, are the instances kept on average; so they are linear in both, whenever in its slot a start may lie.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csr_array, eye_array, hstack, vstack

from controller.simulation.cloud import World
from controller.simulation.loads import Load
from controller.simulation.traces import Floats

#: A program of more slots takes more than some seconds.
MOST_SLOTS = 6_000
#: Slots for each service time, unless those would be too many: finer ones hardly raise the bound.
FINE = 4
#: How much longer than a fleet at its most needs, in bills: smaller fleets may be cheaper.
LONGER = 3.0


@dataclass(frozen=True, eq=False)
class Slots:
    """Each of one length. `possible`: seconds of work that can be done by each one's end, and `mean`, within it.

    `able`: seconds of each in which anybody can work; `shortest`: seconds for which an instance is kept, at least.
    """

    length: float
    possible: Floats
    mean: Floats
    able: Floats
    shortest: float


def fluid_bound(load: Load, world: World) -> float:
    """The least J that any policy could reach with this load, in seconds of an instance."""
    services = _services(load, world)
    slots = _slots(load.arrivals, services, load.most, world)
    kept, starts, left, lacks = np.zeros((4, slots.able.size))
    kept[:] = slots.length
    starts[-1] = _least_boot(world)
    left[-1] = 1.0
    # In seconds of waiting, if all jobs were as long as the longest: no more than it is.
    lacks[:] = world.wait_price * slots.length / services.max()
    sides, most = _constraints(slots, load.most)
    found = linprog(np.concatenate([kept, starts, left, lacks]), A_ub=sides, b_ub=most, method="highs-ds")
    if found.status:
        raise RuntimeError(f"the bound's linear program was not solved: {found.message}")
    return float(found.fun)


def _constraints(slots: Slots, most: int) -> tuple[csr_array, Floats]:
    """The left sides, and the most that each may be.

    Unknown, for each slot: instances kept, starts so far, work left of what is possible, and what lacks within it.
    Told by what is left and not by what is done, the program is solved several times as fast.
    """
    count, new = slots.able.size, np.diff(slots.possible, prepend=0.0)
    one, none, zero = eye_array(count), csr_array((count, count)), np.zeros(count)
    since = one - _before(1, count)
    stay = round(slots.shortest / slots.length) if slots.shortest >= slots.length else 0
    rows = [
        # What is done takes instances, neither more than there may be nor before they can work, and is not undone.
        ([-slots.length * one, none, -since, none], -new),
        ([none, none, -since, none], most * slots.able - new),
        ([none, none, since, none], new),
        ([none, none, one, -one], slots.possible - slots.mean),
        # Starts are not undone, nor are ends: starts less those kept. And nobody ends before a shortest stay.
        ([none, -since, none, none], zero),
        ([since, -since, none, none], zero),
        ([-one, one - _before(stay, count), none, none], zero),
    ]
    return csr_array(vstack([hstack(side) for side, _ in rows])), np.concatenate([right for _, right in rows])


def _before(slots: int, count: int) -> csr_array:
    """Takes each slot to the one so many before it."""
    return csr_array(eye_array(count, k=-slots))


def _services(load: Load, world: World) -> Floats:
    return np.full(load.arrivals.size, world.service) if load.services is None else load.services


def _least_boot(world: World) -> float:
    launch = max(0.0, world.boot - 2 * world.boot_spread)
    return min(launch, world.warm_boot) if world.warm else launch


def _slots(arrivals: Floats, services: Floats, most: int, world: World) -> Slots:
    boot = _least_boot(world)
    shortest = max(0.0, world.least_bill - boot)
    end = _end(np.maximum(arrivals, boot), services, most) + LONGER * max(world.least_bill, boot)
    length = max(end / MOST_SLOTS, float(services.min()) / FINE)
    if shortest >= length:
        # A shortest stay is whole slots, for of its last part nothing would count.
        length = shortest / int(shortest / length)
    count = math.ceil(end / length)
    possible, mean = _possible(arrivals, services, length, count)
    able = np.clip(length * np.arange(1, count + 1) - boot, 0.0, length)
    return Slots(length, possible, mean, able, shortest)


def _end(ready: Floats, services: Floats, most: int) -> float:
    """When a fleet at its most would be through."""
    left = np.cumsum(services[::-1])[::-1]
    return float((ready + left / most).max() + services.max())


def _possible(arrivals: Floats, services: Floats, length: float, count: int) -> tuple[Floats, Floats]:
    """Seconds of work that can be done by each slot's end, and on average within it, if no job ever waited."""
    moments = np.concatenate([arrivals, arrivals + services])
    begins = np.repeat([1.0, -1.0], arrivals.size)
    slot = np.minimum((moments / length).astype(int), count - 1)
    rest = (slot + 1) * length - moments
    under_way = np.bincount(slot, begins, count)
    before = np.cumsum(under_way) - under_way
    gained = before * length + np.bincount(slot, begins * rest, count)
    possible: Floats = np.cumsum(gained)
    within = before * length / 2 + np.bincount(slot, begins * rest**2 / 2, count) / length
    return possible, possible - gained + within
