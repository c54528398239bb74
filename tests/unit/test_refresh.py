"""A new version of the launch template: fresh ones come, stale ones go, and no answer waits for that."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from places import LIMITS, TERMS, Place, at

from controller.backoff import Backoff
from controller.policy import Plan, Terms
from controller.refresh import ENDED_AT_ONCE, FIRST_PAUSE, LONGEST_PAUSE, TRIAL, Sight, Upkeep, tried, upkeep
from facefleet.model import Depth, Instance, InstanceState

PENDING, RUNNING, DRAINING, STOPPING, STOPPED = InstanceState
CALM = Depth(0, 0)


def an_instance(id: str, state: InstanceState, *, stale: bool = False) -> Instance:
    return Instance(id, state, 1.0, 1.0, is_stale=stale)


def a_pool(*, warm: int = 0, least: int = 0, **cloud: object) -> Place:
    """A place whose pool is full of instances, made as a burst does it."""
    place = at(pool=4, boot_timeout=LIMITS.pending, **cloud)
    place.limits, place.terms = replace(LIMITS, warm_least=warm), replace(TERMS, least=least)
    place.begin_anew()
    place.cloud.arrive(8)
    place.run(150)
    assert place.cloud.done == 8
    return place


def stale(place: Place) -> list[InstanceState]:
    return sorted(m.seen.state for m in place.cloud.living() if place.cloud.is_stale(m))


def fresh(place: Place) -> list[InstanceState]:
    return sorted(m.seen.state for m in place.cloud.living() if not place.cloud.is_stale(m))


def test_a_stale_pool_is_ended_once_one_fresh_instance_has_come_to_work() -> None:
    place = a_pool()
    assert stale(place) == []
    place.cloud.upgrade()
    place.tick(1.0)
    assert (stale(place), fresh(place)) == ([STOPPED] * 4, [PENDING])
    assert place.status.stale == 4
    assert "4 of an older launch template: they go once a newer one has come to work" in place.status.reason
    place.run(45)
    assert (stale(place), fresh(place)) == ([STOPPED] * 4, [RUNNING]), "it has not come to work yet"
    place.run(60)
    assert (stale(place), fresh(place)) == ([], [STOPPED])
    assert place.cloud.launches == 5
    assert place.cloud.wrongs == []


def test_a_fresh_instance_that_was_stopped_before_it_came_to_work_keeps_no_stale_one_in_the_pool() -> None:
    """As somebody does it in the console, or a machine that is switched off in the middle of its first boot."""
    stopped = [an_instance("a", STOPPED), an_instance("b", STOPPED)]
    sight = Sight((*stopped, an_instance("old", STOPPED, stale=True)), worked=frozenset("a"))
    done = upkeep(sight, Plan(0, 0, (), ""), CALM, TERMS, 2, may_try=True)
    assert (done.end, done.make) == (("old",), 0)


def test_a_stale_pool_serves_while_nobody_knows_whether_what_is_new_works() -> None:
    place = a_pool()
    place.cloud.upgrade(works=False)
    place.cloud.arrive(3)
    place.run(120)
    assert place.cloud.done == 11
    assert stale(place) == [STOPPED] * 4
    assert fresh(place) == [RUNNING], "one was tried with the work, and never came"
    place.run(3600)
    assert stale(place) == [STOPPED] * 4
    place.cloud.arrive(3)
    place.run(300)
    assert place.cloud.done == 14
    assert place.cloud.wrongs == []


def test_stale_ones_at_work_are_replaced_one_at_a_time_and_none_is_missing() -> None:
    place = at()
    place.terms = replace(TERMS, least=3)
    place.begin_anew()
    place.run(60)
    assert stale(place) == [] and fresh(place) == [RUNNING] * 3
    place.cloud.upgrade()
    working = []
    for _ in range(400):
        place.tick(1.0)
        working.append(sum(m.is_ready for m in place.cloud.living()))
    assert min(working) >= 2
    assert (stale(place), fresh(place)) == ([], [RUNNING] * 3)
    assert place.cloud.wrongs == []


def test_where_as_many_run_as_may_one_makes_room_for_the_first_fresh_one() -> None:
    place = at()
    place.terms = replace(TERMS, least=4)
    place.begin_anew()
    place.run(60)
    place.cloud.upgrade()
    place.run(1200)
    assert (stale(place), fresh(place)) == ([], [RUNNING] * 4)
    assert place.cloud.wrongs == []


@pytest.mark.parametrize("least", [2, 4])
def test_where_nothing_new_ever_works_one_at_most_is_missing_and_trials_become_rare(least: int) -> None:
    place = at(boot_timeout=LIMITS.pending)
    place.terms = replace(TERMS, least=least)
    place.begin_anew()
    place.run(60)
    place.cloud.upgrade(works=False)
    before = place.cloud.launches
    place.run(4 * 3600, every=2.0)
    assert sum(m.is_ready for m in place.cloud.living()) >= min(least, TERMS.most - 1)
    assert place.cloud.wrongs == []
    if least < TERMS.most:
        assert place.cloud.launches - before <= 4 * 3600 / LONGEST_PAUSE + 5


def test_what_was_rolled_back_is_fresh_again() -> None:
    place = a_pool()
    place.cloud.upgrade(works=False)
    place.run(30)
    place.cloud.roll_back()
    place.run(500)
    assert fresh(place) == [STOPPED] * 4
    assert place.cloud.launches == 5


def test_where_nobody_knows_the_version_nothing_is_replaced() -> None:
    place = a_pool()
    place.cloud.upgrade()
    place.cloud.tells_version = False
    place.run(600)
    assert (stale(place), place.cloud.launches) == ([STOPPED] * 4, 4)


def test_a_stale_one_is_started_where_there_is_no_capacity_for_others() -> None:
    place = a_pool(warm=4, least=1)
    place.cloud.upgrade()
    place.run(45)
    place.cloud.short = {"large", "small"}
    place.run(8)
    assert (stale(place), fresh(place)) == ([STOPPED] * 3 + [STOPPING], [RUNNING])
    place.cloud.arrive(40)
    place.run(10)
    assert stale(place) == [RUNNING, RUNNING, STOPPED, STOPPING], "no more may be up"


def test_a_warm_pool_is_made_ready_at_rest_and_each_has_worked_before_it_rests() -> None:
    place = at(pool=4)
    place.limits = replace(LIMITS, warm_least=3)
    place.begin_anew()
    place.tick()
    assert "makes the warm pool ready: 0 of 3" in place.status.reason
    assert (place.status.decision, place.status.desired) == ("launch", 0)
    place.run(45)
    assert place.states() == [RUNNING] * 3, "on their way up they are not stopped"
    place.run(60)
    assert place.states() == [STOPPED] * 3
    assert [start for status in place.told for start, _ in status.boots] == ["launch"] * 3
    place.run(3600)
    assert (place.states(), place.cloud.launches) == ([STOPPED] * 3, 3)


def test_after_an_upgrade_the_warm_pool_is_made_anew_and_never_gets_smaller_than_it_is_to_be() -> None:
    place = a_pool(warm=3)
    place.cloud.upgrade()
    for _ in range(300):
        place.tick(1.0)
        assert sum(m.seen.state is STOPPED for m in place.cloud.living()) >= 3
    assert (stale(place), fresh(place)) == ([], [STOPPED] * 3)
    assert place.cloud.wrongs == []


def test_a_pool_larger_than_may_run_at_once_is_made_in_turns() -> None:
    place = at(pool=9)
    place.limits = replace(LIMITS, warm_least=9)
    place.begin_anew()
    place.run(600)
    assert place.states() == [STOPPED] * 9
    assert place.cloud.wrongs == []


def test_what_is_made_for_the_pool_serves_when_work_comes_meanwhile() -> None:
    place = at(pool=4)
    place.limits = replace(LIMITS, warm_least=4)
    place.begin_anew()
    place.run(20)
    place.cloud.arrive(4)
    place.tick()
    assert "4 made for the warm pool serve" in place.status.reason
    place.run(120)
    assert (place.cloud.done, place.cloud.launches, place.states()) == (4, 4, [STOPPED] * 4)


@pytest.mark.parametrize("second", range(0, 80, 4))
def test_a_controller_killed_while_it_makes_the_pool_ready_is_followed_by_one_that_goes_on(second: int) -> None:
    place = at(pool=4)
    place.limits = replace(LIMITS, warm_least=4)
    place.begin_anew()
    place.run(second)
    place.begin_anew()
    place.run(200)
    assert (place.states(), place.cloud.launches, place.cloud.wrongs) == ([STOPPED] * 4, 4, [])


def test_a_pool_that_costs_more_than_the_hours_budget_waits_for_the_next() -> None:
    place = at(pool=4)
    place.limits = replace(LIMITS, warm_least=4, budget=130.0)
    place.begin_anew()
    place.run(200)
    assert (place.cloud.launches, "budget" in place.status.reason) == (2, True)


def test_without_a_pool_that_is_ours_nothing_is_made_for_it() -> None:
    place = at(pool=0)
    place.limits = replace(LIMITS, warm_least=4)
    place.begin_anew()
    place.run(200)
    assert place.cloud.launches == 0


def test_what_is_made_for_the_pool_is_of_an_offer_that_can_rest_and_never_becomes_a_wish_of_the_policy() -> None:
    place = at(pool=4, offers=("spot", "large", "small"), short={"large"})
    place.limits = replace(LIMITS, warm_least=2)
    place.begin_anew()
    place.tick()
    assert (place.cloud.launches, place.controller.ledger.intents) == (0, ()), "there is none of the best"
    place.tick(1.0)
    assert [(one.offer, one.spare) for one in place.controller.ledger.intents] == [("small", True)] * 2


def test_once_a_fresh_one_works_the_next_trial_is_due_at_once() -> None:
    place = a_pool()
    place.cloud.upgrade(works=False)
    place.run(1000)
    assert place.controller.ledger.learned.backoffs[TRIAL].failures == 4
    place.cloud.upgrade()
    place.run(1000)
    assert stale(place) == []
    assert TRIAL not in place.controller.ledger.learned.backoffs


def decided(*instances: Instance, plan: Plan, worked: str = "", spare: str = "", depth: Depth = CALM) -> Upkeep:
    sight = Sight(instances, frozenset(spare), frozenset(worked))
    return upkeep(sight, plan, depth, Terms(0, 9), 0, may_try=True)


def test_while_one_leaves_no_other_stale_one_is_retired() -> None:
    up = [an_instance("a", RUNNING), an_instance("b", RUNNING, stale=True), an_instance("c", RUNNING, stale=True)]
    calm = Plan(1, 0, (), "")
    assert decided(*up, plan=calm, worked="a").retire == ("b",)
    assert decided(*up, plan=replace(calm, retire=("c",)), worked="a").retire == ()
    for state in (DRAINING, STOPPING):
        assert decided(*up, an_instance("d", state, stale=True), plan=calm, worked="a").retire == ()


def test_a_trial_counts_for_work_once_it_works() -> None:
    wanted, old = Plan(1, 1, (), ""), an_instance("o", STOPPED, stale=True)
    assert decided(an_instance("a", PENDING), old, plan=wanted, spare="a").serve == ()
    assert decided(an_instance("a", RUNNING), old, plan=wanted, spare="a", worked="a").serve == ("a",)
    assert decided(an_instance("a", PENDING), plan=wanted, spare="a").serve == ("a",), "where nothing is to be tried"


def test_while_work_waits_nobody_is_sent_to_rest() -> None:
    one, calm = an_instance("a", RUNNING), Plan(0, 0, (), "")
    assert decided(one, plan=calm, spare="a", depth=Depth(1, 0)).retire == ()
    assert decided(one, plan=calm, spare="a").retire == ("a",)


def test_what_was_made_for_the_pool_and_is_stale_by_now_rests_though_nothing_newer_ever_works() -> None:
    old, calm = an_instance("o", RUNNING, stale=True), Plan(0, 0, (), "")
    assert decided(old, plan=calm, spare="o").retire == ("o",)
    assert decided(old, plan=calm, spare="o", worked="o", depth=Depth(0, 1)).retire == ("o",)
    assert decided(old, plan=calm, spare="o", depth=Depth(1, 0)).retire == (), "it works as well as any"
    beside = an_instance("a", RUNNING)
    assert decided(old, beside, plan=calm, spare="oa", worked="oa").retire == ("o", "a")


def test_an_upgrade_to_what_never_works_while_the_pool_is_made_keeps_nobody_running() -> None:
    place = at(pool=4, boot_timeout=LIMITS.pending)
    place.limits = replace(LIMITS, warm_least=3)
    place.begin_anew()
    place.run(30)
    place.cloud.upgrade(works=False)
    place.run(120)
    assert stale(place) == [STOPPED] * 3
    assert place.cloud.wrongs == []


def test_once_a_fresh_one_has_worked_no_stale_one_is_started_that_need_not_be() -> None:
    one, old = an_instance("a", RUNNING), an_instance("o", STOPPED, stale=True)
    assert decided(one, old, plan=Plan(3, 2, (), ""), worked="a").new == 2
    assert decided(one, old, plan=Plan(3, 2, (), "")).new == 0


def test_each_trial_waits_longer_up_to_a_limit() -> None:
    backoff, now, pauses = Backoff(), 0.0, []
    for _ in range(6):
        backoff = tried(backoff, now)
        pauses.append(backoff.until - now)
        now = backoff.until
    assert pauses == [FIRST_PAUSE, 120.0, 240.0, 480.0, LONGEST_PAUSE, LONGEST_PAUSE]


INSTANCES = st.lists(st.tuples(st.sampled_from(InstanceState), st.booleans()), max_size=8).map(
    lambda drawn: [an_instance(f"i-{n}", state, stale=old) for n, (state, old) in enumerate(drawn)]
)
NAMES = st.frozensets(st.sampled_from([f"i-{n}" for n in range(8)]))


@given(INSTANCES, NAMES, NAMES, NAMES, st.integers(0, 4), st.integers(0, 8), st.integers(0, 5), st.booleans())
@settings(max_examples=500, deadline=None, derandomize=True)
def test_whoever_is_there_upkeep_never_takes_what_is_needed(
    instances: list[Instance],
    spare: frozenset[str],
    worked: frozenset[str],
    busy: frozenset[str],
    visible: int,
    warm: int,
    desired: int,
    may_try: bool,
) -> None:
    sight = Sight(instances, spare, worked, busy)
    seen = sight.for_policy()
    up = sum(one.state in (PENDING, RUNNING) for one in seen)
    plan = Plan(desired, max(0, desired - up), (), "")
    also = upkeep(sight, plan, Depth(visible, 0), Terms(0, 8), warm, may_try=may_try)
    by_id = {one.id: one for one in instances}
    assert len(also.serve) + also.new <= plan.launch
    assert not (plan.launch and (also.retire or also.end or (also.make and not also.tries)))
    assert not (visible and also.make and not also.tries)
    assert set(also.serve) <= spare
    assert all(by_id[id].state is RUNNING for id in also.retire), "one on its way up is left to come"
    gone = [id for id in also.retire if id not in spare]
    assert len(gone) <= 1 and all(by_id[id].is_stale for id in gone)
    working = sum(one.state is RUNNING for one in instances)
    assert not gone or working >= desired
    assert len(also.end) <= ENDED_AT_ONCE
    assert all(by_id[id].is_stale and by_id[id].state is STOPPED for id in also.end)
    proven = any(one.id in worked and not one.is_stale for one in instances)
    assert proven or not also.end
