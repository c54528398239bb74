"""The loop's laws, whatever a cloud does: lost replies, old lists, throttling, no capacity, crashes between calls."""

from typing import Any

import pytest
from clouds import Clock, Cloud
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test
from loops import Process
from machines import Flaw
from storms import HOLD, LIMITS, Storm, Two, come_to_rest, processes_of

from controller.classic import CLASSIC
from controller.policy import Policy
from controller.priced import PRICED

POLICIES = (CLASSIC, PRICED)
law = settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
HOUR = 3600.0
#: Two at a time, with a pause of 30 to 60 s between them, once pauses are that long.
TRIALS = 2 * 3600 // 30 + 20
#: Launches of an hour, for each instance of the most. The classic policy follows demand down after each hold.
FEW = {"classic": HOUR / HOLD, "priced": 3}


def run(machine: type[Storm], policy: Policy[Any], examples: int) -> None:
    run_state_machine_as_test(
        type(machine.__name__, (machine,), {"policy": policy}),
        settings=settings(law, max_examples=examples, stateful_step_count=30),
    )


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
def test_one_controller_keeps_every_law_in_a_storm(policy: Policy[Any]) -> None:
    run(Storm, policy, 60)


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
def test_two_controllers_keep_every_law_in_a_storm(policy: Policy[Any]) -> None:
    run(Two, policy, 60)


def constant_load(cloud: Cloud, process: Process, *, every: float, seconds: float, killed: frozenset[int]) -> None:
    """A job every so many seconds, a tick a second; the controller is killed after some of them."""
    owed = 0.0
    for second in range(int(seconds)):
        owed += 1 / every
        cloud.arrive(int(owed))
        owed -= int(owed)
        cloud.advance(1.0)
        process.tick()
        if second in killed:
            process.kill()


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
@given(
    every=st.sampled_from((0.4, 1.0, 3.0, 8.0)),
    service=st.sampled_from((0.5, 1.0, 7.0)),
    boot=st.sampled_from((1.0, 45.0)),
    lags=st.lists(st.sampled_from((0.0, 2.0, 20.0)), max_size=4),
    killed=st.frozensets(st.integers(0, 3599), max_size=5),
)
@settings(law, max_examples=6)
def test_under_a_constant_load_few_are_launched_in_an_hour(
    policy: Policy[Any], every: float, service: float, boot: float, lags: list[float], killed: frozenset[int]
) -> None:
    cloud = Cloud(Clock(), 4, settles_after=20.0, boot=boot, service=service)
    cloud.lags.extend(lags)
    (process,) = processes_of(cloud, policy, 0, "one")
    constant_load(cloud, process, every=every, seconds=HOUR, killed=killed)
    assert not cloud.wrongs, cloud.wrongs
    assert cloud.launches <= FEW[policy.name] * cloud.most


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
@pytest.mark.parametrize("flaw", [Flaw.NEVER_WORKS, Flaw.DIES])
@given(settles_after=st.sampled_from((0.0, 20.0)), killed=st.frozensets(st.integers(0, 3599), max_size=5))
@settings(law, max_examples=3)
def test_where_nothing_ever_comes_to_work_launches_wait_longer_each_time(
    policy: Policy[Any], flaw: Flaw, settles_after: float, killed: frozenset[int]
) -> None:
    cloud = Cloud(Clock(), 4, settles_after=settles_after)
    cloud.flaws.extend([flaw] * 10_000)
    (process,) = processes_of(cloud, policy, 0, "one")
    constant_load(cloud, process, every=10.0, seconds=HOUR, killed=killed)
    assert cloud.launches <= cloud.most + TRIALS
    assert all(cloud.clock.now - m.seen.launched_at < LIMITS.pending + 60 for m in cloud.living())


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
@given(
    works=st.booleans(),
    least=st.integers(0, 4),
    pool=st.integers(0, 4),
    every=st.sampled_from((0.4, 1.0, 8.0, 60.0)),
    lags=st.lists(st.sampled_from((0.0, 2.0, 20.0)), max_size=4),
    killed=st.frozensets(st.integers(0, 1799), max_size=5),
)
@settings(law, max_examples=5)
def test_under_a_constant_load_a_new_version_comes_where_it_works_and_no_answer_waits_for_it(
    policy: Policy[Any], works: bool, least: int, pool: int, every: float, lags: list[float], killed: frozenset[int]
) -> None:
    cloud = Cloud(Clock(), 4, settles_after=20.0, pool=pool, boot_timeout=LIMITS.pending)
    cloud.lags.extend(lags)
    (process,) = processes_of(cloud, policy, least, "one", warm=pool)
    constant_load(cloud, process, every=every, seconds=600.0, killed=frozenset())
    cloud.upgrade(works=works)
    constant_load(cloud, process, every=every, seconds=HOUR / 2, killed=killed)
    assert not cloud.wrongs, cloud.wrongs
    if works:
        assert not any(cloud.is_stale(m) for m in cloud.living())
    elif pool:
        assert any(cloud.is_stale(m) for m in cloud.living())
        # One is missing at most; the next job finds a worker as soon as a stopped one takes to come.
        assert cloud.depth().backlog <= 2 * (cloud.boot + 30.0) / every


@pytest.mark.parametrize("verb", ["instances", "depth", "heartbeats"])
@given(seconds=st.sampled_from((30.0, 100.0, 1000.0)), settles_after=st.sampled_from((0.0, 20.0)))
@settings(law, max_examples=6)
def test_what_cannot_be_read_ends_and_retires_nobody(verb: str, seconds: float, settles_after: float) -> None:
    cloud = Cloud(Clock(), 4, settles_after=settles_after, service=20.0)
    (process,) = processes_of(cloud, CLASSIC, 0, "one")
    constant_load(cloud, process, every=5.0, seconds=120.0, killed=frozenset())
    before = {m.seen.id: m.seen.state for m in cloud.living()}
    cloud.visible = 0
    process.line.dead = frozenset({verb})
    constant_load(cloud, process, every=1e9, seconds=seconds, killed=frozenset({20}))
    assert {m.seen.id: m.seen.state for m in cloud.living()} == before
    process.line.dead = frozenset()
    come_to_rest(cloud, [process], 0)
