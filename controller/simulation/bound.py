"""Below which no policy's cost can be, not even one that sees the future: a linear program over a fluid.

Time is cut into slots. Starts and ends of instances and the work that is done are to be chosen, and may be fractions.
Whatever a real schedule does fulfils every constraint here, and costs no less:

- An instance is taken to boot as fast as any may. From then on it is *kept*: until it is gone, and until its least bill
  is used up. It costs the boot and the time for which it is kept; one that never works costs nothing here.
- Work needs kept instances, no more than are allowed, and none before the shortest boot.
- A job, once started, is served without a break. So by each moment no more can be done than if every job had started as
  it arrived; and what lacks to that, integrated over time, is the sum of each job's wait times its service.
- Time ends. Work that is left then costs what it takes, and waits no more.

Slots may begin at any moment of a slot's length: each such grid's constraints are those above, and linear, so they hold
for the averages over all of them too. With averages nothing is lost by rounding: what lacks on average is the integral.
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
MOST_SLOTS = 8_000
#: How much longer than a fleet at its most needs, in bills or boots: smaller fleets may be cheaper.
LONGER = 3.0


@dataclass(frozen=True, eq=False)
class Slots:
    """`possible`: seconds of work that could be done so far, on average over each slot.

    `able`: seconds since the slot before in which anybody can work, on average; `shortest`: so many slots an instance
    is kept, at least.
    """

    length: float
    possible: Floats
    able: Floats
    shortest: int


def fluid_bound(load: Load, world: World) -> float:
    """The least J that any policy could reach with this load, in seconds of an instance."""
    services = np.full(load.arrivals.size, world.service) if load.services is None else load.services
    slots = _slots(load, services, world)
    kept, starts, left = np.zeros((3, slots.able.size))
    kept[:] = slots.length
    starts[-1] = _least_boot(world)
    # As if all jobs were as long as the longest: no more than they wait.
    left[:] = world.wait_price * slots.length / services.max()
    left[-1] += 1.0
    sides, most = _constraints(slots, load.most)
    found = linprog(np.concatenate([kept, starts, left]), A_ub=sides, b_ub=most, method="highs-ds")
    if found.status:
        raise RuntimeError(f"the bound's linear program was not solved: {found.message}")
    return float(found.fun)


def _constraints(slots: Slots, most: int) -> tuple[csr_array, Floats]:
    """The left sides, and the most that each may be.

    Unknown, for each slot: instances kept, starts so far, and work left of what is possible so far.
    Told by what is left and not by what is done, the program is solved several times as fast.
    """
    count, new = slots.able.size, np.diff(slots.possible, prepend=0.0)
    one, none, zero = eye_array(count), csr_array((count, count)), np.zeros(count)
    since = one - _before(1, count)
    rows = [
        # What is done takes instances, neither more than there may be nor before they can work, and is not undone.
        ([-slots.length * one, none, -since], -new),
        ([none, none, -since], most * slots.able - new),
        ([none, none, since], new),
        # Starts are not undone, nor are ends: starts less those kept. And nobody ends before a shortest stay.
        ([none, -since, none], zero),
        ([since, -since, none], zero),
        ([-one, one - _before(slots.shortest, count), none], zero),
    ]
    return csr_array(vstack([hstack(side) for side, _ in rows])), np.concatenate([right for _, right in rows])


def _before(slots: int, count: int) -> csr_array:
    """Takes each slot to the one so many before it."""
    return csr_array(eye_array(count, k=-slots))


def _slots(load: Load, services: Floats, world: World) -> Slots:
    boot = _least_boot(world)
    shortest = max(0.0, world.least_bill - boot)
    end = _end(np.maximum(load.arrivals, boot), services, load.most) + LONGER * max(world.least_bill, boot)
    length = max(end / MOST_SLOTS, float(services.min()))
    whole = int(shortest / length)
    # A shortest stay is whole slots, for of a part nothing would count.
    length = shortest / whole if whole else length
    count = math.ceil(end / length) + 1
    moments = np.concatenate([load.arrivals, load.arrivals + services])
    possible = _ramps(moments, np.repeat([1.0, -1.0], services.size), length, count)
    able = np.diff(_ramps(np.array([boot]), np.ones(1), length, count), prepend=0.0)
    return Slots(length, possible, able, whole)


def _least_boot(world: World) -> float:
    launch = max(0.0, world.boot - 2 * world.boot_spread)
    return min(launch, world.warm_boot) if world.warm else launch


def _end(ready: Floats, services: Floats, most: int) -> float:
    """When a fleet at its most would be through."""
    left = np.cumsum(services[::-1])[::-1]
    return float((ready + left / most).max() + services.max())


def _ramps(moments: Floats, slopes: Floats, length: float, count: int) -> Floats:
    """The average over each slot of what grows by each slope from its moment on."""
    slot = (moments / length).astype(int)
    rest = (slot + 1) * length - moments
    begun, gained = np.bincount(slot, slopes, count), np.bincount(slot, slopes * rest, count)
    before = np.cumsum(begun) - begun
    by_end = np.cumsum(before * length + gained)
    within = before * length / 2 + np.bincount(slot, slopes * rest**2 / 2, count) / length
    means: Floats = np.append(0.0, by_end[:-1]) + within
    return means
