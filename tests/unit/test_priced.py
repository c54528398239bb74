"""The default policy: a table for the cases, laws for all the others."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.ledger import Learned, load_memory
from controller.policy import Observation, Plan, Terms
from controller.priced import COUNTS_SETTLE, PARTS, PRICED, SURGE, Memory, decide
from facefleet.model import Depth, Heartbeat, Instance, InstanceState, WorkerState

P, R, D, S = InstanceState.PENDING, InstanceState.RUNNING, InstanceState.DRAINING, InstanceState.STOPPED
TERMS = Terms(least=0, most=19)
#: Long ago, for an instance: its paid minute is used up.
OLD = -1000.0


def seeing(
    visible: int = 0,
    *,
    in_flight: int = 0,
    up: int = 0,
    pending: int = 0,
    busy: int = 0,
    since: float = OLD,
    done: int = 0,
) -> Observation:
    """So many that run, of which so many are busy, and some that are on their way."""
    running = [Instance(f"r{i}", R, since, since) for i in range(up)]
    coming = [Instance(f"p{i}", P, since, since) for i in range(pending)]
    states = [WorkerState.BUSY if i < busy else WorkerState.IDLE for i in range(up)]
    workers = tuple(Heartbeat(one.id, state, 0, 0.0, 0.0) for one, state in zip(running, states, strict=True))
    return Observation(Depth(visible, in_flight), (*running, *coming), workers, done=done)


def looks(seen: Sequence[Observation], terms: Terms = TERMS, memory: Memory = PRICED.fresh) -> list[Plan]:
    """A plan a second."""
    plans = []
    for now, one in enumerate(seen):
        plan, memory = decide(one, memory, terms, float(now))
        plans.append(plan)
    return plans


def plan(seen: Observation, terms: Terms = TERMS) -> Plan:
    return looks([seen], terms)[0]


@pytest.mark.parametrize(
    ("seen", "launch"),
    [
        (seeing(), 0),
        (seeing(1), 1),
        (seeing(100), 16),
        (seeing(1000), 19),
        (seeing(100, pending=16, since=0.0), 0),
        (seeing(40, in_flight=1, up=1, busy=1), 0),
        (seeing(in_flight=1, up=1, busy=1), 0),
    ],
)
def test_as_many_are_launched_as_what_is_left_after_a_boot_is_worth(seen: Observation, launch: int) -> None:
    assert plan(seen).launch == launch


def test_the_dearer_waiting_is_the_more_are_launched() -> None:
    launches = [plan(seeing(100), replace(TERMS, most=500, wait_price=price)).launch for price in (0.1, 1.0, 10.0)]
    assert launches == sorted(set(launches))


def test_what_is_on_its_way_out_counts_against_the_most() -> None:
    going = tuple(Instance(f"d{i}", D, 0.0) for i in range(18))
    assert plan(replace(seeing(100), instances=going)).launch == 1


def test_what_goes_on_arriving_brings_more_than_the_same_backlog_at_once() -> None:
    terms = replace(TERMS, most=500)
    arriving = looks([seeing(50 * second) for second in range(1, 13)], terms)[-1]
    assert arriving.desired > plan(seeing(50 * 12), terms).desired


def test_surges_that_did_not_last_are_trusted_less() -> None:
    memory, now, trusts = PRICED.fresh, 0.0, []
    for _ in range(3):
        for second in range(75):
            _, memory = decide(seeing(0, done=len(trusts) * 600 + 50 * min(second, 12)), memory, TERMS, now)
            now += 1.0
        trusts.append(memory.trust)
    assert 1.0 > trusts[0] > trusts[1] > trusts[2] > 0.0


@pytest.mark.parametrize(
    ("seen", "retired"),
    [
        (seeing(up=3), 3),
        (seeing(in_flight=2, up=3, busy=2), 1),
        (seeing(in_flight=3, up=3, busy=3), 0),
        (seeing(1, in_flight=2, up=3, busy=2), 0),
        (seeing(up=3, since=-30.0), 0),
    ],
)
def test_who_is_idle_and_has_used_up_what_is_paid_may_go(seen: Observation, retired: int) -> None:
    assert len(plan(seen).retire) == retired


def test_of_the_idle_stale_ones_go_first() -> None:
    seen, terms = seeing(up=3), replace(TERMS, least=2)
    (usual,) = plan(seen, terms).retire
    old = next(one.id for one in seen.instances if one.id != usual)
    stale = tuple(replace(one, is_stale=one.id == old) for one in seen.instances)
    assert plan(replace(seen, instances=stale), terms).retire == (old,)


def test_the_busy_stay_even_where_the_count_of_jobs_has_fallen_to_nothing() -> None:
    """Counts of SQS do that for up to a minute."""
    assert plan(seeing(0, up=3, busy=3)).retire == ()


def test_the_least_run_even_when_nothing_waits() -> None:
    terms = replace(TERMS, least=2)
    assert plan(seeing(), terms).launch == 2
    assert len(plan(seeing(up=3), terms).retire) == 1


def test_capacity_is_held_for_as_long_as_demanded() -> None:
    terms = replace(TERMS, hold=20.0)
    working = [seeing(0, in_flight=2, up=2, busy=2, done=2 * second) for second in range(60)]
    plans = looks([*working, *[seeing(up=2, done=118)] * 200], terms)
    first = next(i for i, one in enumerate(plans) if one.retire)
    assert first >= 60 + 20


def test_a_count_that_falls_and_comes_back_brings_nothing_new() -> None:
    _, memory = decide(seeing(100), PRICED.fresh, TERMS, 0.0)
    for now, visible in ((1.0, 0), (2.0, 100), (3.0, 0), (4.0, 100)):
        _, memory = decide(seeing(visible, pending=16, since=0.0), memory, TERMS, now)
    assert sum(jobs for _, jobs in memory.recent) == 100


def test_what_was_purged_is_forgotten_after_a_while() -> None:
    _, memory = decide(seeing(100), PRICED.fresh, TERMS, 0.0)
    for now in (1.0, 2.0 + COUNTS_SETTLE):
        _, memory = decide(seeing(0), memory, TERMS, now)
    assert memory.arrived == 0


def test_jobs_that_take_longer_than_was_thought_bring_more() -> None:
    late = replace(seeing(6, in_flight=1, up=1, busy=1), depth=Depth(6, 1, oldest=-500.0))
    assert plan(late).launch == 1


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        (seeing(100), "backlog 100, 2.2 jobs/s, boots of 45.0 s: 16 to work it off; launching 16"),
        (seeing(up=2), "backlog 0, 0.0 jobs/s, boots of 45.0 s: 0 to work it off; retiring 2, idle and used up"),
        (seeing(), "backlog 0, 0.0 jobs/s, boots of 45.0 s: 0 to work it off"),
    ],
)
def test_the_reason_says_the_numbers(seen: Observation, reason: str) -> None:
    assert plan(seen).reason == reason


BOUNDS = st.tuples(st.integers(0, 5), st.integers(1, 30)).map(lambda drawn: (drawn[0], sum(drawn)))
PRICES = st.floats(0, 100)
SOME_TERMS = st.builds(lambda bounds, *rest: Terms(*bounds, *rest), BOUNDS, st.floats(0, 60), PRICES, st.floats(0, 120))


@st.composite
def observations(draw: st.DrawFn) -> Observation:
    states = draw(st.lists(st.sampled_from(InstanceState), max_size=12))
    instances = tuple(Instance(f"i{n}", state, 0.0, draw(st.floats(-100, 100))) for n, state in enumerate(states))
    workers = tuple(Heartbeat(f"i{n}", draw(st.sampled_from(WorkerState)), 0, 0.0, 0.0) for n in range(len(states)))
    oldest = draw(st.none() | st.floats(-1000, 0))
    depth = Depth(draw(st.integers(0, 200)), draw(st.integers(0, 20)), oldest)
    return Observation(
        depth, instances, workers, draw(st.floats(0, 300)), draw(st.floats(0, 10)), draw(st.integers(0, 999))
    )


#: What was seen, each so many seconds after the one before; clocks are set back, too.
HISTORY = st.lists(st.tuples(st.floats(-5, 100), observations()), min_size=1, max_size=15)


@given(history=HISTORY, terms=SOME_TERMS)
def test_whatever_was_seen_the_plan_is_a_sane_one(history: list[tuple[float, Observation]], terms: Terms) -> None:
    memory, now = PRICED.fresh, 0.0
    for pause, seen in history:
        now += pause
        decided, memory = decide(seen, memory, terms, now)
        up = seen.count(P, R)
        assert terms.least <= decided.desired <= terms.most
        assert decided.launch == 0 or up + seen.count(D, InstanceState.STOPPING) + decided.launch <= terms.most
        assert decided.launch == 0 or not decided.retire
        assert up - len(decided.retire) >= min(up, decided.desired)
        idle = {worker.id for worker in seen.workers if worker.state is WorkerState.IDLE}
        gone = [one for one in seen.instances if one.id in decided.retire]
        assert all(one.id in idle and one.state is R for one in gone)
        assert not any(0 <= now - one.launched_at < terms.least_bill for one in gone)
        assert len(gone) == len(decided.retire)
        assert decided.end == ()


@given(history=HISTORY, terms=SOME_TERMS)
def test_a_memory_that_was_saved_decides_as_before(history: list[tuple[float, Observation]], terms: Terms) -> None:
    memory, now = PRICED.fresh, 0.0
    for pause, seen in history:
        now += pause
        saved = load_memory(PRICED, Learned("priced", json.loads(json.dumps(asdict(memory)))))
        assert decide(seen, saved, terms, now) == decide(seen, memory, terms, now)
        _, memory = decide(seen, memory, terms, now)


@given(counts=st.lists(st.integers(0, 9), min_size=100, max_size=300))
def test_the_memory_stays_small_however_long_it_runs(counts: list[int]) -> None:
    memory, done = PRICED.fresh, 0
    for look, count in enumerate(counts):
        done += count
        _, memory = decide(seeing(count, done=done), memory, replace(TERMS, hold=1000.0), look * 0.05)
    assert len(memory.recent) <= PARTS + 1
    assert len(memory.glances) <= SURGE
    assert len(memory.peaks) <= TERMS.most + 1


def test_one_job_brings_one_server_however_long_it_may_take() -> None:
    """The first photo of a service that has measured nothing: a boot takes a second, and so does a job."""
    first = replace(seeing(1), boot=1.0, service=1.0)
    assert plan(first, replace(TERMS, least_bill=0.0)).launch == 1
