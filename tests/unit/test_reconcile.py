"""The loop: what it asks a cloud for, and what it remembers. Its laws stand beside this."""

from collections import deque

import pytest
from lines import Crash, Fault
from places import at

from controller.ledger import Ledger
from controller.steps import EXCLUDED_FOR, Limits
from facefleet.errors import Conflict
from facefleet.model import InstanceState, Start


def test_a_backlog_is_worked_off_and_all_go_after_the_hold() -> None:
    place = at()
    place.cloud.arrive(8)
    assert place.tick().launch == 4
    assert place.tick(0.5).launch == 0, "those on their way up count"
    place.run(120)
    assert (place.cloud.done, place.cloud.launches, place.states()) == (8, 4, [])
    assert place.cloud.wrongs == []


@pytest.mark.parametrize("fault", [Fault.CRASH_BEFORE, Fault.CRASH_AFTER])
def test_who_dies_while_it_launches_is_followed_by_one_that_asks_for_the_same(fault: Fault) -> None:
    place = at()
    place.cloud.arrive(1)
    # List, heartbeats, depth, and then the launch.
    place.line.faults = deque([Fault.NONE, Fault.NONE, Fault.NONE, fault])
    with pytest.raises(Crash):
        place.tick()
    assert place.cloud.launches == (fault is Fault.CRASH_AFTER)
    place.begin_anew()
    place.tick(1.0)
    place.tick(1.0)
    assert place.cloud.launches == 1


def test_a_lost_reply_brings_no_second_instance() -> None:
    place = at()
    place.cloud.arrive(1)
    place.line.faults = deque([Fault.NONE, Fault.NONE, Fault.NONE, Fault.REPLY_LOST])
    place.tick()
    place.run(30)
    assert place.cloud.launches == 1
    assert place.status.errors["unavailable"] == 1


def test_what_cannot_be_saved_is_not_asked_for() -> None:
    place = at()
    place.cloud.arrive(1)
    place.unsafe = True
    place.tick()
    assert place.cloud.launches == 0
    place.unsafe = False
    place.tick(1.0)
    assert place.cloud.launches == 1


def test_nothing_is_saved_while_nothing_changes() -> None:
    place = at()
    place.tick()
    before = len(place.saved)
    place.run(19)
    assert len(place.saved) == before
    place.run(60)
    assert len(place.saved) == before + 3


def test_where_one_offer_has_no_capacity_the_next_is_taken_at_the_same_tick() -> None:
    place = at(short={"large"})
    place.cloud.arrive(2)
    place.tick()
    assert place.cloud.launches == 2
    assert place.status.errors == {"no_capacity": 1}, "one refusal is enough"
    place.cloud.short.clear()
    for pause, jobs, offer in ((EXCLUDED_FOR - 1, 3, "small"), (2.0, 10, "large")):
        place.cloud.advance(pause)
        place.cloud.arrive(jobs)
        place.tick()
        assert {intent.offer for intent in place.controller.ledger.intents} == {offer}


def test_where_nothing_has_capacity_nothing_is_launched_until_a_while_has_passed() -> None:
    place = at(short={"large", "small"})
    place.cloud.arrive(1)
    plan = place.tick()
    place.run(EXCLUDED_FOR - 2)
    assert place.status.errors == {"no_capacity": 2}
    assert "no capacity" in place.status.reason
    assert place.cloud.launches == 0
    assert plan.desired == 1
    place.cloud.short.clear()
    place.run(3)
    assert place.cloud.launches == 1


def test_stopped_ones_are_started_before_anything_is_launched() -> None:
    place = at(pool=2)
    place.cloud.arrive(2)
    place.run(200)
    assert place.states() == [InstanceState.STOPPED] * 2
    place.cloud.arrive(3)
    place.tick()
    assert place.cloud.launches == 3
    place.run(100)
    assert place.cloud.done == 5
    kinds = {start for status in place.told for start, _ in status.boots}
    assert kinds == set(Start)
    assert place.cloud.wrongs == []


def test_an_hours_budget_is_kept() -> None:
    place = at()
    place.limits = Limits(pool="p", budget=130.0, boot=45.0)
    place.begin_anew()
    place.cloud.arrive(4)
    plan = place.tick()
    assert (plan.launch, "budget" in plan.reason) == (2, True)


def test_the_bill_is_what_the_cloud_charges() -> None:
    place = at()
    place.cloud.arrive(1)
    place.run(30)
    assert place.status.instance_seconds == 60.0, "a minute in any case"
    place.run(40)
    assert place.status.instance_seconds == pytest.approx(61.0, abs=2.0), "booting, working, held"
    assert place.status.cost == pytest.approx(place.status.instance_seconds / 1000)
    place.run(600)
    after = place.status.instance_seconds
    place.run(60)
    assert place.status.instance_seconds == after, "nobody is there any more"


def test_what_is_learned_outlives_the_controller() -> None:
    place = at()
    place.cloud.arrive(4)
    place.run(100)
    learned = place.controller.ledger.learned.estimates
    assert learned.launch.mean == pytest.approx(50.0, abs=1.5)
    assert (learned.service.mean, learned.done) == (1.0, 4)
    place.begin_anew()
    place.tick()
    assert place.controller.ledger.learned.estimates.launch == learned.launch


def test_another_controller_that_leads_ends_this_one_before_it_does_anything() -> None:
    place = at()
    place.cloud.arrive(1)

    def lost(ledger: Ledger) -> None:
        raise Conflict("somebody else leads")

    place.controller._save = lost
    with pytest.raises(Conflict):
        place.tick()
    assert place.cloud.launches == 0


def test_to_look_is_to_change_nothing() -> None:
    place = at()
    place.cloud.arrive(3)
    assert place.controller.look(place.cloud.clock.now).launch == 3
    assert (place.cloud.launches, place.saved, place.told) == (0, [], [])


def test_what_was_asked_for_long_before_it_was_launched_has_not_taken_that_long_to_boot() -> None:
    place = at()
    place.cloud.arrive(1)
    place.line.faults = deque([Fault.NONE, Fault.NONE, Fault.NONE, Fault.CRASH_BEFORE])
    with pytest.raises(Crash):
        place.tick()
    place.cloud.advance(1200)
    place.begin_anew()
    place.run(60)
    assert place.controller.ledger.learned.estimates.launch.mean == pytest.approx(50.0, abs=1.5)
