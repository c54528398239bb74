"""What goes wrong outside, and what the loop makes of it."""

from collections import deque
from dataclasses import replace

import pytest
from lines import Fault, Line
from machines import Flaw
from places import at

from controller.reconcile import HOLDING, UNREADABLE
from controller.remedies import STOPPING_FOR
from controller.status import Status
from facefleet.errors import Conflict, Unavailable
from facefleet.model import Instance, InstanceState, Start


def test_an_unreadable_queue_holds_what_there_is() -> None:
    place = at()
    place.cloud.arrive(2)
    place.run(60)
    place.line.dead = frozenset({"depth"})
    plan = place.tick(60.0)
    assert (plan.launch, plan.retire, plan.reason, plan.desired) == (0, (), HOLDING, 2)
    assert place.status.depth is None
    place.line.dead = frozenset()
    place.run(12)
    assert InstanceState.RUNNING not in place.states()


def test_an_unreadable_fleet_is_left_alone_and_told() -> None:
    place = at()
    place.cloud.arrive(2)
    place.line.dead = frozenset({"instances"})
    assert place.tick().reason == UNREADABLE
    assert (place.cloud.launches, place.status.decision) == (0, "hold")


def test_instances_that_never_work_are_ended_and_others_tried_ever_less_often() -> None:
    place = at(flaws=deque([Flaw.NEVER_WORKS] * 100))
    place.cloud.arrive(4)
    place.run(290)
    assert place.cloud.launches == 4
    place.run(3600 - 290, every=5.0)
    assert "never came to work" in place.status.reason
    assert place.cloud.launches <= 4 + 2 * 11, "two at a time, each of them given five minutes"
    place.cloud.heal()
    place.run(600, every=5.0)
    assert place.cloud.done == 4


def test_of_many_launched_together_a_few_that_never_work_hold_nobody_up() -> None:
    place = at(flaws=deque([Flaw.NEVER_WORKS]))
    place.cloud.arrive(2000)
    place.run(340)
    assert place.cloud.launches == 5, "the one is replaced as soon as it has made room"


def test_who_drains_too_long_is_ended() -> None:
    place = at(flaws=deque([Flaw.NEVER_DRAINS]), drain_timeout=60.0)
    place.cloud.arrive(1)
    place.run(60 + 60)
    assert place.states() == [InstanceState.DRAINING]
    place.run(60)
    assert place.states() == []


def test_a_silent_worker_is_ended_and_replaced() -> None:
    place = at()
    place.cloud.arrive(1000)
    place.run(60)
    place.cloud.silence(0)
    place.run(100)
    assert place.cloud.launches == 5


def test_one_whose_worker_drains_unasked_is_replaced_at_once_and_let_go() -> None:
    place = at()
    place.cloud.arrive(10_000)
    place.run(60)
    place.cloud.notice(0)
    place.run(8)
    assert place.states() == [InstanceState.RUNNING] * 3 + [InstanceState.STOPPING]
    place.run(30)
    assert (place.cloud.launches, place.cloud.wrongs) == (5, [])


def test_one_whose_worker_ended_while_no_controller_was_there_is_replaced() -> None:
    place = at()
    place.cloud.arrive(10_000)
    place.run(60)
    place.cloud.notice(0)
    place.cloud.advance(20)
    place.begin_anew()
    place.run(100)
    assert (place.cloud.launches, place.cloud.wrongs) == (5, [])


def test_whoever_slept_does_not_take_the_workers_for_silent() -> None:
    """A laptop was closed: for minutes nobody said anything, and nobody listened."""
    place = at()
    place.cloud.arrive(1000)
    place.run(60)
    beats = place.line.heartbeats()
    place.cloud.advance(600)
    place.controller._observer._heartbeats = lambda: beats
    place.tick()
    assert place.controller._observer.silent(place.cloud.clock.now) == []


def untold(status: Status) -> None:
    raise Unavailable("the disk is full")


@pytest.mark.parametrize("what", ["the ledger", "the status"])
def test_workers_are_not_ended_for_their_silence_while_nothing_can_be_written(what: str) -> None:
    place = at()
    place.cloud.arrive(10_000)
    place.run(60)
    beats, tell = place.line.heartbeats(), place.controller._tell
    place.controller._observer._heartbeats = lambda: beats
    if what == "the ledger":
        place.unsafe = True
    else:
        place.controller._tell = untold
    place.run(300)
    place.unsafe, place.controller._tell = False, tell
    place.run(30)
    assert (place.states(), place.cloud.wrongs) == ([InstanceState.RUNNING] * 4, [])
    place.run(60)
    assert InstanceState.STOPPING in place.states(), "they are silent though there is room again"


def test_one_that_an_old_list_brings_back_has_not_booted_again() -> None:
    place = at(settles_after=20.0)
    place.cloud.arrive(1000)
    place.run(60)
    boots = place.controller.ledger.learned.estimates.launch
    place.cloud.advance(1)
    place.cloud.crash(0)
    place.tick(19.0)
    assert len(place.controller.ledger.members) == 3
    place.cloud.lags = deque([20.0])
    place.tick()
    assert len(place.controller.ledger.members) == 4, "the list is that of before"
    assert place.controller.ledger.learned.estimates.launch == boots


def test_while_nothing_was_measured_a_boot_takes_as_long_as_the_oldest_has_taken_already() -> None:
    place = at(boots=deque([200.0]))
    place.cloud.arrive(1)
    observer = place.controller._observer
    place.tick()
    assert observer.boot(Start.LAUNCH) == place.limits.boot
    place.run(150)
    assert observer.boot(Start.LAUNCH) == 150.0
    place.run(60)
    assert observer.boot(Start.LAUNCH) == pytest.approx(205.0, abs=1.0)


def test_a_refused_call_is_asked_less_often_and_then_done() -> None:
    place = at()
    place.cloud.arrive(1)
    place.line.faults = deque([Fault.NONE, Fault.NONE, Fault.NONE, Fault.THROTTLED])
    place.tick()
    place.tick(0.9)
    assert place.cloud.launches == 0
    place.tick(0.2)
    assert place.cloud.launches == 1


class Undated(Line):
    """Its list says nothing of when a state began."""

    def instances(self) -> list[Instance]:
        return [replace(one, since=one.launched_at) for one in super().instances()]


def test_who_stops_is_given_its_time_by_a_list_without_dates_too() -> None:
    place = at(flaws=deque([Flaw.NEVER_STOPS]))
    place.line = Undated(place.cloud)
    place.begin_anew()
    place.cloud.arrive(10_000)
    place.run(400)
    place.cloud.visible = 0
    place.run(20)
    assert InstanceState.STOPPING in place.states()
    place.run(STOPPING_FOR - 10)
    assert (place.status.calls["end"], place.states()) == (0, [InstanceState.STOPPING])
    place.run(60)
    assert (place.status.calls["end"] > 0, place.states()) == (True, [])


class Bursting(Line):
    def launch(self, token: str, offer: str) -> str:
        raise ZeroDivisionError("nobody expected this")


def test_an_error_that_nobody_knows_freezes_launches_and_nothing_else() -> None:
    place = at()
    place.line = Bursting(place.cloud)
    place.begin_anew()
    place.cloud.arrive(1)
    place.tick()
    assert "launches wait" not in place.status.reason
    place.cloud.arrive(1)
    place.tick(0.5)
    assert place.status.errors == {"unknown": 1}
    assert "launches wait" in place.status.reason


class Refusing(Line):
    def launch(self, token: str, offer: str) -> str:
        raise Conflict("whatever the token is, it was used before")


def test_a_cloud_that_takes_no_token_does_not_hold_the_tick_up() -> None:
    place = at()
    place.line = Refusing(place.cloud)
    place.begin_anew()
    place.cloud.arrive(1)
    place.tick()
    assert place.status.errors == {"conflict": 3}
    assert place.controller.ledger.intents == ()


def test_one_started_again_is_not_ended_for_what_was_asked_of_it_before() -> None:
    place = at(pool=1, drain_timeout=60.0)
    place.cloud.arrive(1)
    place.run(200)
    assert place.states() == [InstanceState.STOPPED]
    place.cloud.service = 500.0
    place.cloud.arrive(1)
    place.run(70)
    place.cloud.visible = 0
    place.line.dead = frozenset({"retire"})
    place.controller.ledger = place.controller._actor.dismissed(
        place.controller.ledger, list(place.controller.ledger.members), place.cloud.clock.now
    )
    place.run(30)
    assert place.cloud.wrongs == []
    assert InstanceState.RUNNING in place.states()
