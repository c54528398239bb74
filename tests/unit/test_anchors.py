"""Other people's autoscalers: tables for their formulas."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.policy import Observation, Plan, Terms
from controller.simulation.anchors import ANCHORS
from facefleet.model import Depth, Heartbeat, Instance, InstanceState, WorkerState

P, R, D, S = InstanceState.PENDING, InstanceState.RUNNING, InstanceState.DRAINING, InstanceState.STOPPING
TERMS = Terms(least=0, most=19)


def seeing(
    visible: int, states: list[InstanceState], *, in_flight: int = 0, busy: str = "", jobs: int = 0
) -> Observation:
    """Instances are called a, b, c … and were launched a second after each other; all but the busy idle."""
    instances = tuple(Instance(chr(97 + i), state, float(i), float(i)) for i, state in enumerate(states))
    workers = tuple(
        Heartbeat(i.id, WorkerState.BUSY if i.id in busy else WorkerState.IDLE, jobs, 0.0, 0.0)
        for i in instances
        if i.state is R
    )
    return Observation(Depth(visible, in_flight), instances, workers)


def plan(name: str, seen: Observation, *, now: float = 100.0, terms: Terms = TERMS) -> Plan:
    return ANCHORS[name].decide(seen, ANCHORS[name].fresh, terms, now)[0]


def plans(name: str, looks: list[tuple[float, Observation]]) -> list[Plan]:
    """One after the other, with what was remembered in between."""
    memory: Any = ANCHORS[name].fresh
    made = []
    for now, seen in looks:
        decided, memory = ANCHORS[name].decide(seen, memory, TERMS, now)
        made.append(decided)
    return made


def test_each_goes_by_its_name() -> None:
    assert list(ANCHORS) == ["original", "keda", "target_tracking", "idle_exit", "per_job"]
    assert all(policy.name == name for name, policy in ANCHORS.items())


@pytest.mark.parametrize(
    ("name", "visible", "in_flight", "states", "launch"),
    [
        ("original", 3, 0, [], 3),
        ("original", 100, 0, [], 19),
        ("original", 3, 1, [R, P], 2),
        ("original", 19, 0, [D] * 4 + [S], 14),
        ("keda", 1, 0, [], 1),
        ("keda", 5, 0, [], 1),
        ("keda", 5, 1, [], 2),
        ("keda", 20, 5, [R, P], 3),
        ("keda", 1000, 0, [R], 18),
        ("target_tracking", 1000, 0, [], 0),
        ("idle_exit", 3, 2, [R, R], 3),
        ("idle_exit", 3, 0, [D] * 18, 1),
        ("per_job", 3, 0, [], 3),
        ("per_job", 3, 0, [P, P], 1),
        ("per_job", 3, 0, [R, R], 3),
        ("per_job", 3, 5, [P, P, P], 0),
        ("per_job", 50, 0, [R] * 10, 9),
    ],
)
def test_so_many_are_launched(
    name: str, visible: int, in_flight: int, states: list[InstanceState], launch: int
) -> None:
    made = plan(name, seeing(visible, states, in_flight=in_flight))
    assert (made.launch, made.retire, made.end) == (launch, (), ())


def test_the_original_stops_any_surplus_busy_or_not() -> None:
    made = plan("original", seeing(0, [R, R, R], in_flight=1, busy="a"))
    assert (made.end, made.retire, made.desired) == (("a", "b"), (), 1)


@pytest.mark.parametrize(("now", "ended"), [(29.9, ()), (30.0, ("a",))])
def test_the_original_leaves_what_is_pending_alone_for_thirty_seconds(now: float, ended: tuple[str, ...]) -> None:
    assert plan("original", seeing(0, [P]), now=now).end == ended


def test_keda_holds_the_highest_of_300_seconds_and_then_goes_to_zero() -> None:
    busy, none = seeing(15, []), seeing(0, [R, R, R])
    made = plans("keda", [(0.0, busy), (1.0, none), (300.0, none), (300.1, none)])
    assert [(one.desired, one.end) for one in made[1:]] == [(3, ()), (3, ()), (0, ("c", "b", "a"))]


def test_keda_ends_what_is_pending_first_then_the_youngest_busy_or_not() -> None:
    assert plan("keda", seeing(0, [P, R, R], in_flight=1, busy="c")).end == ("a", "c")


def minutes(*backlogs: int, states: list[InstanceState]) -> list[tuple[float, Observation]]:
    return [(60.0 * minute, seeing(backlog, states)) for minute, backlog in enumerate(backlogs)]


def test_target_tracking_scales_out_at_the_third_high_minute() -> None:
    made = plans("target_tracking", minutes(25, 25, 25, states=[R, R]))
    assert [(one.desired, one.launch) for one in made[1:]] == [(0, 0), (3, 1)]


def test_target_tracking_does_not_count_a_minute_twice() -> None:
    made = plans("target_tracking", [(now, seeing(25, [])) for now in (0.0, 20.0, 40.0, 60.0, 119.0, 120.0)])
    assert [one.launch for one in made] == [0, 0, 0, 0, 0, 3]


def test_a_minute_within_the_target_puts_off_the_alarm() -> None:
    assert [one.launch for one in plans("target_tracking", minutes(25, 25, 20, 25, 25, states=[R, R]))] == [0] * 5


def test_any_backlog_is_too_much_for_no_instance() -> None:
    assert plans("target_tracking", minutes(1, 1, 1, states=[]))[-1].launch == 1


def test_target_tracking_scales_in_at_the_fifteenth_low_minute_and_ends_the_oldest() -> None:
    out = minutes(40, 40, 40, states=[R] * 3)
    idle = [(60.0 * (3 + minute), seeing(15, [R] * 4, busy="abcd")) for minute in range(15)]
    made = plans("target_tracking", out + idle)
    assert made[2].desired == made[-2].desired == 4
    assert (made[-2].end, made[-1].end, made[-1].desired) == ((), ("a", "b"), 2)


def test_an_agent_exits_once_it_was_idle_for_600_seconds() -> None:
    looks = [(0.0, seeing(0, [R])), (599.9, seeing(0, [R])), (600.0, seeing(0, [R]))]
    assert [one.retire for one in plans("idle_exit", looks)] == [(), (), ("a",)]


@pytest.mark.parametrize("between", [seeing(0, [R], in_flight=1, busy="a"), seeing(0, [R], jobs=1)])
def test_an_agent_that_worked_in_between_idles_anew(between: Observation) -> None:
    last = seeing(0, [R], jobs=1)
    looks = [(0.0, seeing(0, [R])), (300.0, between), (301.0, last), (899.0, last), (901.0, last)]
    assert [one.retire for one in plans("idle_exit", looks)] == [(), (), (), (), ("a",)]


def test_idle_exit_never_lowers_the_number_by_itself() -> None:
    assert plan("idle_exit", seeing(0, [R, R, P])).retire == ()


@pytest.mark.parametrize(("now", "retired"), [(300.0, ("a",)), (301.0, ("a", "b")), (302.0, ("a", "b"))])
def test_an_idle_runner_goes_after_five_minutes_and_a_busy_one_stays(now: float, retired: tuple[str, ...]) -> None:
    assert plan("per_job", seeing(0, [R, R, R], in_flight=1, busy="c"), now=now).retire == retired


@pytest.mark.parametrize("name", ["idle_exit", "per_job"])
def test_the_least_stay(name: str) -> None:
    terms, idle = replace(TERMS, least=1), seeing(0, [R, R])
    _, memory = ANCHORS[name].decide(idle, ANCHORS[name].fresh, terms, 0.0)
    assert len(ANCHORS[name].decide(idle, memory, terms, 1000.0)[0].retire) == 1


OBSERVED = st.builds(
    seeing,
    st.integers(0, 300),
    st.lists(st.sampled_from([P, R, D, S]), max_size=19),
    in_flight=st.integers(0, 19),
    busy=st.text("abcdefghijklmnopqrs", max_size=19),
    jobs=st.integers(0, 3),
)


@given(name=st.sampled_from(list(ANCHORS)), looks=st.lists(st.tuples(st.floats(0, 400), OBSERVED), max_size=30))
def test_none_asks_for_more_than_the_most_or_takes_what_is_on_its_way_out(
    name: str, looks: list[tuple[float, Observation]]
) -> None:
    now, timed = 0.0, []
    for pause, seen in looks:
        now += pause
        timed.append((now, seen))
    for (_, seen), made in zip(timed, plans(name, timed), strict=True):
        assert 0 <= made.desired <= TERMS.most
        assert made.launch == 0 or len(seen.instances) + made.launch <= TERMS.most
        assert made.launch == 0 or not (made.retire or made.end)
        assert {*made.retire, *made.end} <= {i.id for i in seen.instances if i.state in (P, R)}
