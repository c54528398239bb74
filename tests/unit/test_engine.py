"""The simulator: the real loop and policies under simulated time, with a cloud that fails as clouds do."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.classic import CLASSIC
from controller.priced import PRICED
from controller.simulation.cloud import World
from controller.simulation.engine import Run, simulate
from controller.simulation.loads import Load

CALM = World(boot=25.0, boot_spread=0.0)


def burst(count: int = 100, most: int = 19) -> Load:
    return Load("burst", np.zeros(count), most)


def last_answer(run: Run, load: Load, world: World = CALM) -> float:
    return float((load.arrivals + run.waits).max()) + world.service


def test_a_burst_is_done_within_little_more_than_boots_and_servers_allow() -> None:
    """100 jobs of a second, 19 servers that take 25 s to come: at best done after 25 + 6 s."""
    load = burst()
    run = simulate(load, PRICED, CALM, seed=1)
    assert last_answer(run, load) <= 1.15 * (25 + 6)
    assert run.ceiling <= 19


def test_the_same_seed_brings_the_same_and_another_one_another() -> None:
    costs = [simulate(burst(), PRICED, World(), seed=seed).cost(1.0) for seed in (1, 1, 2)]
    assert costs[0] == costs[1] != costs[2]


def test_each_start_is_paid_for_a_minute_at_least_and_what_runs_by_the_second() -> None:
    run = simulate(burst(1), CLASSIC, CALM, seed=1)
    assert (run.starts, run.instance_seconds) == (1, 60.0)
    slow = replace(CALM, service=100.0)
    assert 125.0 <= simulate(burst(1), CLASSIC, slow, seed=1).instance_seconds <= 145.0


def test_a_month_in_which_nothing_comes_takes_no_ticks() -> None:
    month = 30 * 86_400.0
    run = simulate(Load("two", np.array([0.0, month]), 19), PRICED, CALM, seed=1)
    assert run.finished > month
    assert run.timeline.times.size < 1000


def test_a_warm_pool_is_started_before_anything_is_launched_and_rests_afterwards() -> None:
    load = burst(10)
    warm = simulate(load, PRICED, replace(CALM, warm=19, warm_boot=10.0), seed=1)
    cold = simulate(load, PRICED, CALM, seed=1)
    assert warm.waits.max() < cold.waits.max()


def test_zombies_are_paid_for_no_longer_than_one_waits_for_them() -> None:
    run = simulate(burst(), PRICED, replace(CALM, zombies=0.3), seed=1)
    assert run.waits.max() < 600
    assert run.killed == 0


def test_what_goes_down_with_a_machine_is_done_by_another() -> None:
    load = Load("hour", np.arange(0.0, 600.0, 0.5), 19)
    run = simulate(load, PRICED, replace(CALM, spot_losses=60.0, service=5.0), seed=1)
    assert run.lost > 0
    assert run.killed == 0
    assert np.isfinite(run.waits).all()


SHARES = st.floats(0, 0.4)
WORLDS = st.builds(
    World,
    boot=st.floats(1, 60),
    boot_spread=st.floats(0, 20),
    service=st.floats(0.1, 5),
    lag=st.floats(0, 20),
    warm=st.integers(0, 3),
    no_capacity=SHARES,
    throttled=SHARES,
    zombies=SHARES,
    spot_losses=st.floats(0, 30),
)
LOADS = st.builds(
    lambda gaps, most: Load("drawn", np.cumsum(gaps), most),
    st.lists(st.floats(0, 60), min_size=1, max_size=40),
    st.integers(1, 6),
)


@settings(max_examples=40, deadline=None)
@given(load=LOADS, world=WORLDS, policy=st.sampled_from([PRICED, CLASSIC]))
def test_whatever_the_cloud_does_every_job_is_done_none_is_cut_off_and_the_most_is_kept(
    load: Load, world: World, policy: object
) -> None:
    run = simulate(load, policy, world, seed=1)
    assert run.waits.size == load.arrivals.size
    assert (run.waits >= 0).all()
    assert run.ceiling <= load.most
    assert run.killed == 0
    assert run.instance_seconds >= run.starts * world.least_bill
    assert world.spot_losses or run.lost == 0


@pytest.mark.parametrize("lag", [0.0, 30.0])
def test_counts_may_be_old(lag: float) -> None:
    run = simulate(burst(), PRICED, replace(CALM, lag=lag), seed=1)
    assert run.waits.max() < 25 + lag + 30
