"""The laws of a fleet over two clouds: never more than each may have, and what one cannot do the other does."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule, run_state_machine_as_test
from lines import Fault
from loops import Process
from parts import BURST, KINDS, OWN, Part, Sky, a_process, a_sky, run
from storms import LIMITS, PICK, Storm, come_to_rest

from controller.classic import CLASSIC
from controller.policy import Policy
from controller.priced import PRICED
from facefleet.model import InstanceState

POLICIES = (CLASSIC, PRICED)
law = settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
#: What may become of a call to one cloud; a controller is killed at its own line.
MISFORTUNES = (Fault.NONE, Fault.NOT_DONE, Fault.REPLY_LOST, Fault.THROTTLED, Fault.NO_CAPACITY)


class Clouds(Storm):
    """As every storm, over two clouds, each of which may stop to answer, or lose what it answers."""

    @initialize(
        mosts=st.tuples(st.integers(1, 3), st.integers(1, 3)),
        pool=st.integers(0, 3),
        settles_after=st.sampled_from((0.0, 5.0, 20.0)),
        boot=st.sampled_from((1.0, 45.0)),
        service=st.sampled_from((0.5, 7.0, 40.0)),
        jobs=st.integers(0, 9),
        least=st.integers(0, 1),
    )
    def begin(
        self,
        mosts: tuple[int, int],
        pool: int,
        settles_after: float,
        boot: float,
        service: float,
        jobs: int,
        least: int,
    ) -> None:
        self.least, self.warm = least, 0
        self.sky = a_sky(*mosts, settles_after=settles_after, pool=pool, boot=boot, service=service)
        self.cloud = self.sky.cloud
        self.cloud.boot_timeout, self.cloud.drain_timeout = LIMITS.pending, LIMITS.draining
        self.cloud.arrive(jobs)
        self.processes = [a_process(self.sky, self.policy, least=least)]
        self.paused = {}

    @rule(pick=PICK, down=st.booleans())
    def one_stops_to_answer_or_answers_again(self, pick: int, down: bool) -> None:
        self.sky.parts[pick % 2].is_down = down

    @rule(pick=PICK, faults=st.lists(st.sampled_from(MISFORTUNES), min_size=1, max_size=6))
    def its_next_calls_go_so(self, pick: int, faults: list[Fault]) -> None:
        self.sky.parts[pick % 2].faults.extend(faults)

    @rule(short=st.sets(st.sampled_from(KINDS)), pick=PICK)
    def these_are_sold_out(self, short: set[str], pick: int) -> None:
        self.cloud.short = {f"{self.sky.parts[pick % 2].name}-{kind}" for kind in short}

    def calm(self, pick: int) -> None:
        super().calm(pick)
        for part in self.sky.parts:
            part.is_down = False
            part.faults.clear()


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
def test_over_two_clouds_every_law_is_kept_in_a_storm(policy: Policy[Any]) -> None:
    machine = type("Clouds", (Clouds,), {"policy": policy})
    run_state_machine_as_test(machine, settings=settings(law, max_examples=60, stateful_step_count=30))


def idle(part: Part) -> list[str]:
    """Who could go."""
    return [m.seen.id for m in part.up() if m.is_ready and not m.is_busy and m.seen.state is InstanceState.RUNNING]


def tick_in_order(sky: Sky, process: Process) -> None:
    """One tick, held against the order in which clouds are to be used where nothing goes wrong."""
    own, burst, now = sky.own, sky.burst, sky.cloud.clock.now
    before, could_go = len(burst.up()), idle(burst)
    process.tick()
    did = {part.name: {verb for at, verb in part.asked if at == now} for part in sky.parts}
    if did[BURST] & {"launch", "start"}:
        assert len(burst.up()) >= before and len(own.up()) == own.most, "burst comes only when one's own are all up"
    for part in sky.parts:
        if "launch" in did[part.name] and len(part.up()) <= part.most:
            assert not part.resting(), "nobody is launched while somebody rests"
    if "retire" in did[OWN]:
        assert not could_go, "one's own go last"


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
@given(
    mosts=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    most=st.integers(1, 8),
    pool=st.sampled_from((0, 20)),
    service=st.sampled_from((0.5, 7.0)),
    bursts=st.lists(st.tuples(st.integers(1, 20), st.sampled_from((5, 90, 400))), min_size=1, max_size=5),
)
@settings(law, max_examples=15)
def test_ones_own_come_first_and_go_last(
    policy: Policy[Any],
    mosts: tuple[int, int],
    most: int,
    pool: int,
    service: float,
    bursts: list[tuple[int, int]],
) -> None:
    sky = a_sky(*mosts, pool=pool, service=service)
    sky.cloud.most = min(sky.cloud.most, most)
    process = a_process(sky, policy, most=sky.cloud.most)
    for jobs, seconds in bursts:
        sky.cloud.arrive(jobs)
        for _ in range(seconds):
            sky.cloud.advance(1.0)
            tick_in_order(sky, process)
    come_to_rest(sky.cloud, [process], 0)
    assert not sky.cloud.wrongs


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
@given(
    which=st.sampled_from((0, 1)),
    power=st.booleans(),
    killed=st.booleans(),
    settles_after=st.sampled_from((0.0, 20.0)),
    pool=st.sampled_from((0, 20)),
    after=st.integers(0, 120),
    away=st.sampled_from((1, 5, 40, 600)),
)
@settings(law, max_examples=20)
def test_while_one_cloud_is_down_all_is_answered_and_once_it_is_back_all_go(
    policy: Policy[Any],
    which: int,
    power: bool,
    killed: bool,
    settles_after: float,
    pool: int,
    after: int,
    away: int,
) -> None:
    sky = a_sky(2, 2, pool=pool, service=5.0, settles_after=settles_after)
    process, down = a_process(sky, policy), sky.parts[which]
    sky.cloud.arrive(60)
    run(sky, process, after)
    down.is_down = True
    if power:
        for machine in down.up():
            sky.cloud.crash(sky.cloud.up().index(machine))
    if killed:
        process.kill()
    run(sky, process, away)
    # The other one alone needs 150 s for all of it, and a minute is given to those that say nothing.
    run(sky, process, 400 - min(away, 400))
    assert not sky.cloud.depth().backlog
    sky.cloud.arrive(30)
    down.is_down = False
    come_to_rest(sky.cloud, [process], 0)
    assert not sky.cloud.wrongs, sky.cloud.wrongs
