"""A clock that is set back, or leaps: what was remembered by time holds nothing up, and brings nothing either."""

from collections import deque

import pytest
from clouds import Cloud
from lines import Line
from machines import Flaw
from places import Place, at

from controller.ledger import load_memory
from controller.levels import Level, Prices, Record, held, replay
from controller.policy import Observation
from controller.priced import COUNTS_SETTLE, LONGEST_LOOK, PRICED, decide
from controller.steps import Limits
from facefleet.model import Depth, InstanceState

HOUR = 3600.0
PRICES = Prices(start=60.0, wait=1.0, boot=45.0, service=1.0)
both = pytest.mark.parametrize("anew", [False, True], ids=["the same controller", "the next one"])


def leap(cloud: Cloud, seconds: float) -> None:
    """The clock is another; what is under way takes as long as before, and what was written down stays."""
    cloud.clock.now += seconds
    cloud.lost = [at + seconds for at in cloud.lost]
    for machine in cloud.machines.values():
        machine.due, machine.job_ends = machine.due + seconds, machine.job_ends + seconds
        machine.past = [(at + seconds, seen) for at, seen in machine.past]


def set_back(place: Place, *, anew: bool) -> None:
    leap(place.cloud, -2 * HOUR)
    if anew:
        place.begin_anew()


def with_priced(place: Place) -> Place:
    place.controller._policy, place.controller._memory = PRICED, load_memory(PRICED, place.controller.ledger.learned)
    return place


@both
def test_what_was_worth_having_in_the_future_is_not_launched(anew: bool) -> None:
    place = with_priced(at(boot=5.0))
    for _ in range(30):
        place.cloud.arrive(8)
        place.run(60)
    place.run(3 * HOUR, every=10.0)
    place.cloud.arrive(8)
    place.run(60)
    assert place.states() != [], "some are worth having"
    set_back(place, anew=anew)
    with_priced(place)
    before = place.cloud.launches
    place.run(900)
    assert (place.cloud.launches, place.states()) == (before, [])


@both
def test_what_was_purged_is_forgotten_and_new_jobs_count(anew: bool) -> None:
    place = with_priced(at(boots=deque([1e6] * 4)))
    place.cloud.arrive(100)
    place.run(10)
    place.cloud.visible = 0
    place.run(25)
    set_back(place, anew=anew)
    with_priced(place)
    place.run(COUNTS_SETTLE + 2)
    place.cloud.arrive(3)
    place.tick()
    assert place.controller._memory.arrived == 3


def test_a_level_needed_in_the_future_is_not_held() -> None:
    levels = (Level(0), Level(1, needed_at=200.0, record=Record(hold=10.0, keep=60.0)))
    assert [held(levels, 1, now) for now in (100.0, 205.0)] == [0, 1]


def test_the_time_until_a_need_of_the_future_is_no_gap() -> None:
    levels = (Level(0), Level(1, needed_at=200.0, record=Record(needs=1.0)))
    assert replay(levels, 3, 1.0, 100.0, PRICES)[1].record.gaps == Record().gaps


@both
def test_calls_that_were_refused_are_asked_again_soon(anew: bool) -> None:
    place = at()
    place.cloud.arrive(1)
    place.line.dead = frozenset({"launch"})
    place.run(60)
    place.line.dead = frozenset()
    set_back(place, anew=anew)
    place.run(5)
    assert place.cloud.launches == 1


@both
def test_offers_without_capacity_are_not_left_alone_for_hours(anew: bool) -> None:
    place = at(short={"large", "small"})
    place.cloud.arrive(1)
    place.run(30)
    place.cloud.short.clear()
    set_back(place, anew=anew)
    place.run(5)
    assert place.cloud.launches == 1


@both
def test_others_are_tried_soon_after_starts_that_failed(anew: bool) -> None:
    place = at(flaws=deque([Flaw.DIES] * 1000))
    place.cloud.arrive(1)
    place.run(300)
    place.cloud.heal()
    set_back(place, anew=anew)
    place.run(90)
    assert place.cloud.done == 1


@both
def test_starts_that_fail_are_tried_ever_less_often_though_others_worked_in_the_future(anew: bool) -> None:
    place = at()
    place.cloud.arrive(1)
    place.run(90)
    set_back(place, anew=anew)
    before = place.cloud.launches
    place.cloud.flaws = deque([Flaw.DIES] * 1000)
    place.cloud.arrive(4)
    place.run(600)
    assert "never came to work" in place.status.reason
    assert place.cloud.launches - before <= 4 + 2 * 16


@both
def test_an_hour_on_the_bill_is_still_an_hour(anew: bool) -> None:
    place = at(service=1e6)
    place.cloud.arrive(1)
    place.run(2 * HOUR + 600, every=10.0)
    set_back(place, anew=anew)
    before = place.controller.ledger.learned.bill.total
    place.run(HOUR + 120, every=10.0)
    bill = place.controller.ledger.learned.bill
    assert bill.hour == pytest.approx(HOUR, abs=60.0)
    assert bill.total - before == pytest.approx(HOUR + 120, abs=30.0)


class Deaf(Line):
    """Its workers hear of nothing."""

    def retire(self, ids: list[str]) -> None:
        return None


def test_who_does_not_go_is_ended_as_soon_as_ever() -> None:
    place = at()
    place.line = Deaf(place.cloud)
    place.begin_anew()
    place.cloud.arrive(1)
    place.run(80)
    assert any(member.going_since for member in place.controller.ledger.members.values())
    set_back(place, anew=False)
    place.run(65)
    assert InstanceState.RUNNING not in place.states()


@both
def test_a_launch_that_came_to_nothing_is_followed_by_another(anew: bool) -> None:
    place = at(settles_after=20.0)
    place.cloud.arrive(1)
    place.tick()
    place.cloud.machines.clear()
    place.run(2)
    set_back(place, anew=anew)
    place.run(25)
    assert place.cloud.launches == 2


def test_jobs_that_waited_while_the_machine_slept_teach_little() -> None:
    """Eight hours of waiting, at a second's price a second, would be worth servers for days."""
    waiting = Observation(Depth(3, 0), ())
    terms = at().terms
    _, memory = decide(waiting, PRICED.fresh, terms, 1000.0)
    _, memory = decide(waiting, memory, terms, 1000.0 + 8 * HOUR)
    most = 3 * LONGEST_LOOK + terms.least_bill
    assert all(max(level.saved, level.record.worth) <= most for level in memory.levels)


def test_who_drains_while_the_machine_sleeps_is_given_the_rest_of_its_time() -> None:
    place = at(service=30.0)
    place.cloud.arrive(1)
    place.run(60)
    actor, ledger = place.controller._actor, place.controller.ledger
    place.controller.ledger = actor.dismissed(ledger, list(ledger.members), place.cloud.clock.now)
    place.tick()
    leap(place.cloud, 8 * HOUR)
    place.tick()
    assert InstanceState.DRAINING in place.states()
    place.run(30)
    assert place.cloud.done == 1


def test_after_hours_of_sleep_the_budget_of_the_hour_is_not_used_up() -> None:
    place = at(service=1e6)
    place.limits = Limits(pool="p", budget=2 * HOUR)
    place.begin_anew()
    place.cloud.arrive(1)
    place.run(60)
    leap(place.cloud, 8 * HOUR)
    place.cloud.arrive(1)
    assert place.tick().launch == 1


def test_one_that_was_gone_before_the_clock_was_set_back_is_replaced_all_the_same() -> None:
    place = at(settles_after=20.0)
    place.cloud.arrive(10_000)
    place.run(60)
    assert place.cloud.launches == 4
    place.cloud.advance(1)
    place.cloud.crash(0)
    set_back(place, anew=False)
    place.run(60)
    assert place.cloud.launches == 5
