"""As many instances as messages: a table for the cases, laws for all the others."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.classic import Peaks, decide
from controller.policy import Observation, Plan, Terms, idlest
from facefleet.model import Depth, Heartbeat, Instance, InstanceState, WorkerState

P, R, D, STOPPING, S = InstanceState
HOLD = 10.0
TERMS = Terms(least=0, most=4, hold=HOLD)


def seeing(visible: int, states: list[InstanceState], *, in_flight: int = 0, busy: str = "") -> Observation:
    """Instances are called a, b, c … and are the younger the later in the alphabet."""
    instances = tuple(Instance(chr(97 + i), state, float(i), float(i)) for i, state in enumerate(states))
    return Observation(Depth(visible, in_flight), instances, workers(busy))


def workers(busy: str) -> tuple[Heartbeat, ...]:
    return tuple(Heartbeat(id, WorkerState.BUSY, 0, 0.0, 0.0) for id in busy)


def plan(seen: Observation, terms: Terms = TERMS, memory: Peaks | None = None, now: float = 0.0) -> Plan:
    return decide(seen, memory or Peaks(), terms, now)[0]


@pytest.mark.parametrize(
    ("visible", "in_flight", "states", "launch"),
    [
        (0, 0, [], 0),
        (1, 0, [], 1),
        (3, 0, [], 3),
        (100, 0, [], 4),
        (2, 2, [R], 3),
        (0, 1, [], 1),
        (3, 0, [P, P, P], 0),
        (4, 0, [R, R, P], 1),
        (4, 0, [D, D, D], 1),
        (4, 0, [D, D, D, D], 0),
        (4, 0, [R, R, D, D, D], 0),
        (4, 0, [R, R, STOPPING, D], 0),
        (4, 0, [R, R, STOPPING], 1),
        (2, 0, [S, S, S, S], 2),
    ],
)
def test_as_many_are_launched_as_messages_lack_an_instance(
    visible: int, in_flight: int, states: list[InstanceState], launch: int
) -> None:
    decided = plan(seeing(visible, states, in_flight=in_flight))
    assert (decided.launch, decided.retire) == (launch, ())


@pytest.mark.parametrize(
    ("visible", "states", "busy", "retire"),
    [
        (0, [R], "", "a"),
        (0, [R, R, R], "", "abc"),
        (1, [R, R, R], "", "bc"),
        (1, [R, R, R], "c", "ab"),
        (2, [R, R, R], "bc", "a"),
        (1, [R, R, R], "abc", "bc"),
        (1, [R, P], "", "b"),
        (0, [D, D, S], "", ""),
        (4, [R, R, R, R, R, R], "", "ef"),
    ],
)
def test_the_idle_go_first_and_of_those_the_youngest(
    visible: int, states: list[InstanceState], busy: str, retire: str
) -> None:
    decided = plan(seeing(visible, states, busy=busy))
    assert (decided.launch, set(decided.retire)) == (0, set(retire))


def test_of_the_idle_stale_ones_go_first() -> None:
    seen = seeing(0, [R, R, R], busy="a")
    old = tuple(replace(one, is_stale=one.id in "ab") for one in seen.instances)
    assert idlest(replace(seen, instances=old), 2) == ("b", "c")


@pytest.mark.parametrize(("least", "states", "launch", "retire"), [(2, [], 2, 0), (2, [R] * 3, 0, 1), (1, [R], 0, 0)])
def test_the_least_run_even_when_nothing_waits(
    least: int, states: list[InstanceState], launch: int, retire: int
) -> None:
    decided = plan(seeing(0, states), replace(TERMS, least=least))
    assert (decided.launch, len(decided.retire), decided.desired) == (launch, retire, least)


def test_capacity_is_held_for_a_while_and_then_goes() -> None:
    _, memory = decide(seeing(3, []), Peaks(), TERMS, now=100.0)
    for now, desired, retired in ((101.0, 3, 0), (110.0, 3, 0), (110.1, 0, 3)):
        decided, memory = decide(seeing(0, [R, R, R]), memory, TERMS, now)
        assert (decided.desired, len(decided.retire)) == (desired, retired)


def test_a_new_burst_begins_the_hold_anew() -> None:
    memory = Peaks()
    for now, visible in ((0.0, 3), (8.0, 2), (12.0, 0)):
        decided, memory = decide(seeing(visible, [R, R, R]), memory, TERMS, now)
    assert len(decided.retire) == 1
    decided, memory = decide(seeing(0, [R, R]), memory, TERMS, now=18.5)
    assert len(decided.retire) == 2


def test_a_lost_memory_costs_the_hold_and_nothing_else() -> None:
    assert len(plan(seeing(0, [R, R]), memory=Peaks(), now=500.0).retire) == 2


def test_no_hold_means_none() -> None:
    terms = replace(TERMS, hold=0.0)
    _, memory = decide(seeing(4, [R] * 4), Peaks(), terms, now=0.0)
    assert len(plan(seeing(0, [R] * 4), terms, memory, now=0.5).retire) == 4


@pytest.mark.parametrize(
    ("seen", "memory", "reason"),
    [
        (seeing(7, [R]), Peaks(), "backlog 7 asks for 4: launching 3"),
        (seeing(0, [R, R]), Peaks(), "backlog 0 asks for 0, and nothing more did lately: retiring 2"),
        (seeing(0, [R, R], in_flight=1), Peaks(((0.0, 2),)), "backlog 1 asks for 1: holding 2 for a while"),
        (seeing(1, [R]), Peaks(), "backlog 1 asks for 1: nothing to do"),
    ],
)
def test_the_reason_says_the_numbers(seen: Observation, memory: Peaks, reason: str) -> None:
    assert plan(seen, memory=memory, now=1.0).reason == reason


DRAWN = st.tuples(st.integers(0, 5), st.integers(1, 5), st.floats(0, 60)).map(
    lambda drawn: Terms(drawn[0], drawn[0] + drawn[1], drawn[2])
)
OBSERVED = st.builds(
    lambda states, depth, busy: replace(seeing(0, states, busy=busy), depth=depth),
    st.lists(st.sampled_from(InstanceState), max_size=12),
    st.builds(Depth, st.integers(0, 50), st.integers(0, 50)),
    st.text("abcdefghijkl", max_size=6),
)
#: What was seen, each so many seconds after the one before.
HISTORY = st.lists(st.tuples(st.floats(0, 30), OBSERVED), min_size=1, max_size=20)


@given(history=HISTORY, terms=DRAWN)
def test_whatever_was_seen_the_plan_is_a_sane_one(history: list[tuple[float, Observation]], terms: Terms) -> None:
    memory, now = Peaks(), 0.0
    for pause, seen in history:
        now += pause
        decided, memory = decide(seen, memory, terms, now)
        up = seen.count(P, R)
        assert terms.least <= decided.desired <= terms.most
        assert decided.launch == 0 or up + seen.count(D, STOPPING) + decided.launch <= terms.most
        assert decided.launch == 0 or not decided.retire
        assert up - len(decided.retire) >= min(up, decided.desired)
        assert set(decided.retire) <= {i.id for i in seen.instances if i.state in (P, R)}
        assert len(set(decided.retire)) == len(decided.retire)


@given(history=HISTORY, terms=DRAWN)
def test_in_goes_only_what_no_demand_of_the_hold_time_asked_for(
    history: list[tuple[float, Observation]], terms: Terms
) -> None:
    """The law that the memory, which forgets most of what it saw, has to keep."""
    memory, now, demands = Peaks(), 0.0, []
    for pause, seen in history:
        now += pause
        demands.append((now, min(max(seen.depth.backlog, terms.least), terms.most)))
        decided, memory = decide(seen, memory, terms, now)
        assert decided.desired == max(demand for at, demand in demands if now - at <= terms.hold)


@given(demands=st.lists(st.tuples(st.floats(0, 0.1), st.integers(0, 9)), max_size=200))
def test_the_memory_stays_small_however_long_it_runs(demands: list[tuple[float, int]]) -> None:
    memory, now = Peaks(), 0.0
    for pause, demand in demands:
        now += pause
        memory = memory.seeing(demand, now, hold=1000.0)
    assert len(memory.peaks) <= 10


@given(seen=OBSERVED, terms=DRAWN)
def test_where_nothing_changes_nothing_is_done_twice(seen: Observation, terms: Terms) -> None:
    """Once what was planned has happened, the same look asks for nothing more."""
    decided, memory = decide(seen, Peaks(), terms, now=0.0)
    launched = tuple(Instance(f"new{i}", P, 0.0) for i in range(decided.launch))
    kept = tuple(i for i in seen.instances if i.id not in decided.retire)
    again, _ = decide(replace(seen, instances=kept + launched), memory, terms, now=0.5)
    assert (again.launch, again.retire) == (0, ())
