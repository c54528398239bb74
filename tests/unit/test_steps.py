"""What becomes of a wish: bounds, trials and time-outs, each a small table."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.backoff import LONGEST_TRIAL, Backoff, FailedStarts
from controller.estimates import Average, Bill, Estimates, running_costs
from controller.ledger import Intent, Learned, Ledger, Member, token_for
from controller.policy import Plan, Terms
from controller.steps import Limits, clamp, launch_intents, to_start
from facefleet.model import Heartbeat, Instance, InstanceState, Start, WorkerState

PENDING, RUNNING, DRAINING, STOPPING, STOPPED = InstanceState
TERMS = Terms(0, 10)


def clamped(launch: int, learned: Learned, *, limits: Limits | None = None, **seen: int) -> tuple[int, str]:
    counts = {state: seen.get(state.value, 0) for state in InstanceState}
    may = clamp(Plan(launch, launch, (), ""), counts, learned, TERMS, limits or Limits(), now=100.0)
    return may.count, may.why


@pytest.mark.parametrize(
    ("launch", "seen", "count"),
    [
        (5, {}, 5),
        (15, {}, 10),
        (5, {"running": 8}, 2),
        (5, {"pending": 3, "running": 3, "draining": 2, "stopping": 1}, 1),
        (5, {"running": 12}, 0),
        (5, {"stopped": 10}, 5),
        (0, {}, 0),
    ],
)
def test_nothing_brings_more_than_the_most(launch: int, seen: dict[str, int], count: int) -> None:
    assert clamped(launch, Learned(), **seen) == (count, "")


def test_a_tick_launches_no_more_than_it_may() -> None:
    assert clamped(10, Learned(), limits=Limits(launches_per_tick=3)) == (3, "")


@pytest.mark.parametrize(("spent", "count"), [(0.0, 4), (130.0, 2), (240.0, 1), (300.0, 0), (999.0, 0)])
def test_an_hour_costs_no_more_than_its_budget(spent: float, count: int) -> None:
    learned = Learned(bill=Bill(spent, 100.0, ((1, spent),)))
    may, why = clamped(4, learned, limits=Limits(budget=300.0))
    assert may == count
    assert ("budget" in why) == (count < 4)


@pytest.mark.parametrize(("since", "pending", "count"), [(99.0, 0, 0), (90.0, 0, 2), (90.0, 1, 1), (90.0, 2, 0)])
def test_after_starts_that_failed_two_are_tried_at_a_time(since: float, pending: int, count: int) -> None:
    starts = FailedStarts(3, 3, since, pause=5.0)
    may, why = clamped(10, Learned(starts=starts), limits=Limits(log="workers.log"), pending=pending)
    assert may == count
    assert why == "3 in a row never came to work: others are tried after 5.0 s; see workers.log"


def test_what_is_tried_is_within_the_budget_too() -> None:
    learned = Learned(bill=Bill(0.0, 0.0, ((1, 70.0),)), starts=FailedStarts(3, 3, 90.0, 5.0))
    assert clamped(10, learned, limits=Limits(budget=100.0)) == (0, "the budget of this hour is used up")


def test_launches_wait_for_as_long_as_they_were_refused() -> None:
    assert clamped(1, Learned(backoffs={"launch": Backoff(1, 100.5)}))[0] == 0
    assert clamped(1, Learned(backoffs={"launch": Backoff(1, 99.5), "end": Backoff(1, 200.0)}))[0] == 1


def test_pauses_double_up_to_the_longest() -> None:
    starts, now, pauses = FailedStarts(), 0.0, []
    for _ in range(9):
        now += 1000.0
        starts = starts.failed(now, now, lambda: 1.0)
        pauses.append(starts.pause)
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, LONGEST_TRIAL, LONGEST_TRIAL]
    assert starts.count == 9


def test_many_that_fail_together_are_one_step() -> None:
    starts = FailedStarts()
    for _ in range(19):
        starts = starts.failed(10.0, 50.0, lambda: 1.0)
    assert (starts.count, starts.step) == (19, 1)


def test_a_start_that_fails_beside_one_that_succeeds_is_no_row() -> None:
    starts = FailedStarts().succeeded(10.0)
    assert starts.failed(10.0, 300.0, lambda: 1.0) == starts
    assert starts.failed(11.0, 300.0, lambda: 1.0).step == 1


def test_the_first_that_works_ends_the_row() -> None:
    assert FailedStarts(9, 9, 50.0, 60.0).succeeded(60.0).step == 0


@given(failures=st.integers(0, 2000), chance=st.floats(0, 1))
def test_no_pause_is_longer_than_a_minute(failures: int, chance: float) -> None:
    assert 0.0 <= Backoff(failures).failed(0.0, lambda: chance).until <= 60.0


def test_the_lowest_slots_that_nobody_holds_are_asked_for() -> None:
    members = {
        "i": Member("i", "", 2, 0.0, 0.0, Start.LAUNCH),
        "lost": Member("lost", slot_token(3), 0, 0.0, 0.0, Start.LAUNCH),
    }
    ledger = Ledger((Intent("t", 1, "x", 0.0),), members, {4: 7})
    intents = launch_intents(ledger, "x", 2, TERMS, Limits(pool="p"), now=5.0)
    assert [intent.slot for intent in intents] == [4, 5]
    assert [intent.token for intent in intents] == [token_for("p", 4, 7, "x"), token_for("p", 5, 0, "x")]


def slot_token(slot: int) -> str:
    return token_for("p", slot, 0, "x")


@given(st.sets(st.tuples(st.text(), st.integers(0, 99), st.integers(0, 99), st.text("ab", max_size=2)), max_size=20))
def test_no_two_launches_share_a_token(asked: set[tuple[str, int, int, str]]) -> None:
    assert len({token_for(*each) for each in asked}) == len(asked)


def test_of_the_warm_pool_the_newest_are_started_first() -> None:
    stopped = [Instance(id, STOPPED, since) for id, since in (("a", 1.0), ("b", 3.0), ("c", 2.0), ("d", 4.0))]
    chosen = to_start([*stopped, Instance("e", RUNNING, 9.0)], {"d": 500.0}, 2)
    assert [one.id for one in chosen] == ["b", "c"]


@pytest.mark.parametrize(
    ("count", "new", "started"), [(1, 0, "b"), (3, 0, "bad"), (9, 0, "badc"), (3, 2, "ba"), (3, 9, "ba"), (1, 1, "b")]
)
def test_stale_ones_of_the_warm_pool_are_started_last_and_not_in_the_place_of_new_ones(
    count: int, new: int, started: str
) -> None:
    ages = (("a", 1.0, False), ("b", 2.0, False), ("c", 3.0, True), ("d", 4.0, True))
    stopped = [Instance(id, STOPPED, since, is_stale=old) for id, since, old in ages]
    assert "".join(one.id for one in to_start(stopped, {}, count, new)) == started


def test_a_mean_follows_what_is_new() -> None:
    average = Average().seeing(40.0)
    assert (average.mean, average.count) == (40.0, 1)
    for _ in range(60):
        average = average.seeing(20.0)
    assert average.mean == pytest.approx(20.0, abs=0.1)


@given(value=st.floats(0, 100), count=st.integers(1, 50))
def test_many_at_once_weigh_as_much_as_one_after_the_other(value: float, count: int) -> None:
    together = one_by_one = Average().seeing(10.0)
    together = together.seeing(value, count)
    for _ in range(count):
        one_by_one = one_by_one.seeing(value)
    assert together.mean == pytest.approx(one_by_one.mean)
    assert together.count == one_by_one.count


def beat(id: str, jobs: int, service: float = 1.0, since: float = 0.0) -> Heartbeat:
    return Heartbeat(id, WorkerState.IDLE, jobs, since, 0.0, service)


def test_jobs_are_counted_by_what_each_worker_adds() -> None:
    estimates = Estimates().worked({}, [beat("a", 3), beat("b", 2)])
    assert (estimates.done, estimates.service.mean) == (5, 1.0)
    # One is gone, the other has begun anew, and a third has come.
    estimates = estimates.worked({"a": beat("a", 3), "b": beat("b", 2)}, [beat("b", 1, since=9.0), beat("c", 4)])
    assert estimates.done == 10
    assert estimates.worked({"b": beat("b", 1)}, [beat("b", 1)]) == estimates


def test_the_seconds_of_a_job_are_those_of_the_new_ones() -> None:
    before = {"a": beat("a", 10, 1.0)}
    estimates = Estimates(service=Average(1.0, 10)).worked(before, [beat("a", 11, (10 * 1.0 + 9.0) / 11)])
    assert estimates.service.mean == pytest.approx(1.0 + (9.0 - 1.0) / 8)


def test_an_hour_is_sixty_minutes_of_bills() -> None:
    bill = Bill()
    for minute in range(90):
        for second in (0.0, 30.0):
            bill = bill.adding(5.0, minute * 60.0 + second)
    assert (bill.total, bill.hour, len(bill.minutes)) == (900.0, 600.0, 60)
    assert bill.adding(0.0, 1e6).hour == 0.0


def test_of_what_came_to_be_paid_in_hours_an_hour_has_its_share() -> None:
    bill = Bill().adding(60.0, 1000.0).adding(8 * 3600.0, 1000.0 + 8 * 3600.0)
    assert bill.total == 60.0 + 8 * 3600.0
    assert bill.hour == pytest.approx(3600.0, abs=60.0)
    assert len(bill.minutes) == 60


@given(pauses=st.lists(st.floats(0.1, 10_000.0), min_size=1, max_size=30))
def test_however_seldom_one_looks_an_hour_of_one_instance_is_an_hour(pauses: list[float]) -> None:
    bill, now = Bill(at=1000.0), 1000.0
    for pause in pauses:
        now += pause
        bill = bill.adding(pause, now)
    assert bill.total == pytest.approx(sum(pauses))
    assert bill.hour == pytest.approx(min(bill.total, 3600.0), abs=180.0)


@pytest.mark.parametrize(
    ("state", "launched_at", "seconds"),
    [(RUNNING, 0.0, 10.0), (RUNNING, 55.0, 0.0), (RUNNING, 35.0, 5.0), (STOPPED, 0.0, 0.0), (DRAINING, 0.0, 10.0)],
)
def test_seconds_beyond_the_least_bill_are_paid_as_they_pass(
    state: InstanceState, launched_at: float, seconds: float
) -> None:
    one = Instance("i", state, 0.0, launched_at)
    assert running_costs([one], 90.0, 100.0, least_bill=60.0) == seconds
    assert running_costs([replace(one, launched_at=-1000.0)], 90.0, 100.0, 0.0) == (
        10.0 if state is not STOPPED else 0.0
    )
