"""The least that a load can cost: nothing that anybody could do with it costs less."""

import heapq

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.simulation import loads
from controller.simulation.bound import fluid_bound
from controller.simulation.cloud import World
from controller.simulation.loads import Load

#: When instances are launched, and for how long each is kept from then on.
Schedule = list[tuple[float, float]]


def load_of(*arrivals: float, most: int = 19) -> Load:
    return Load("mine", np.array(arrivals, float), most)


def cost(load: Load, world: World, schedule: Schedule) -> float:
    """J of a fleet by the clock, that boots as fast as it may and serves in order of arrival.

    What is kept ends when its job in hand does; the last stays until all is done.
    """
    boot = max(0.0, world.boot - 2 * world.boot_spread)
    free = [(at + boot, at, at + max(kept, boot)) for at, kept in sorted(schedule)]
    heapq.heapify(free)
    waits, paid = 0.0, 0.0
    for arrival in load.arrivals:
        while len(free) > 1 and max(free[0][0], arrival) >= free[0][2]:
            at, launched, until = heapq.heappop(free)
            paid += max(max(at, until) - launched, world.least_bill)
        at, launched, until = free[0]
        heapq.heapreplace(free, (max(at, arrival) + world.service, launched, until))
        waits += max(at, arrival) - arrival
    paid += sum(max(at - launched, world.least_bill) for at, launched, _ in free)
    return paid + world.wait_price * waits


ARRIVALS = st.lists(st.floats(0, 300), min_size=1, max_size=40).map(sorted)
SCHEDULE = st.lists(st.tuples(st.floats(0, 300), st.floats(0, 300)), min_size=1, max_size=5)
WORLDS = st.builds(
    World,
    boot=st.floats(5, 60),
    boot_spread=st.floats(0, 20),
    service=st.floats(0.5, 20),
    least_bill=st.floats(0, 90),
    wait_price=st.floats(0, 5),
)


@settings(max_examples=100, deadline=None)
@given(arrivals=ARRIVALS, schedule=SCHEDULE, world=WORLDS)
def test_no_schedule_costs_less(arrivals: list[float], schedule: Schedule, world: World) -> None:
    load = load_of(*arrivals, most=len(schedule))
    least = fluid_bound(load, world)
    assert least <= cost(load, world, schedule) * (1 + 1e-6) + 1e-3


@settings(max_examples=30, deadline=None)
@given(arrivals=ARRIVALS, servers=st.integers(1, 5), world=WORLDS)
def test_no_fleet_that_is_always_on_costs_less(arrivals: list[float], servers: int, world: World) -> None:
    load = load_of(*arrivals, most=servers)
    assert fluid_bound(load, world) <= cost(load, world, [(0.0, 400.0)] * servers) * (1 + 1e-6) + 1e-3


def test_a_burst_at_the_beginning_waits_for_the_first_boot_and_pays_the_least_bill() -> None:
    world = World(boot=30.0, boot_spread=0.0, service=1.0, least_bill=60.0)
    least = fluid_bound(load_of(*[0.0] * 10, most=10), world)
    # All ten at once, each on its own: 300 of waiting and 600 of bills. A fluid may do better, but never without them.
    assert 300 + 60 < least <= 900


def test_a_good_schedule_for_a_steady_load_costs_little_more() -> None:
    load = loads.load(loads.poisson(4.0, 3600.0, seed=1), 19, seed=1)
    # Five for all the time, and six more for what waits when the first have booted.
    good = cost(load, World(), [(0.0, 3600.0)] * 5 + [(0.0, 60.0)] * 6)
    assert good / 1.1 < fluid_bound(load, World()) < good


def test_waiting_that_is_worth_nothing_costs_nothing() -> None:
    dear, free = (fluid_bound(load_of(*[0.0] * 100), World(wait_price=price)) for price in (1.0, 0.0))
    # One instance does it all: a hundred seconds of work, and at most the shortest boot.
    assert 100.0 <= free <= 125.0
    assert dear > 10 * free


def test_a_warm_pool_s_shorter_boot_counts_for_all() -> None:
    cold, warm = (fluid_bound(load_of(*[0.0] * 100, most=100), World(warm=pool, warm_boot=5.0)) for pool in (0, 1))
    # Each of the hundred waits for 20 seconds less.
    assert cold - warm == pytest.approx(2000, rel=0.01)


def test_fewer_instances_make_it_dearer() -> None:
    many, few = (fluid_bound(load_of(*[0.0] * 100, most=most), World()) for most in (100, 5))
    assert few > 1.05 * many


def test_more_slots_than_it_takes_are_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    load = loads.load(loads.diurnal(0.2, loads.DAY), 19, seed=1)
    fine = fluid_bound(load, World())
    monkeypatch.setattr("controller.simulation.bound.MOST_SLOTS", 500)
    coarse = fluid_bound(load, World())
    assert load.arrivals.size <= coarse <= fine
