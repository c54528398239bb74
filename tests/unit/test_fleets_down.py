"""One of two clouds is down: what counts, what is had elsewhere, and what comes back."""

from typing import Any

import pytest
from lines import Fault
from loops import Process
from machines import Flaw
from parts import OWN, Sky, a_process, a_sky, run
from storms import come_to_rest

from controller.believed import HOPED_FOR
from controller.classic import CLASSIC
from controller.policy import UP, Policy
from controller.priced import PRICED
from controller.reconcile import UNREADABLE
from controller.remedies import SILENT_FOR
from facefleet.model import InstanceState

POLICIES = (CLASSIC, PRICED)


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
def test_those_that_work_on_while_their_cloud_does_not_answer_count_and_no_others_come(
    policy: Policy[Any], *, killed: bool
) -> None:
    sky = a_sky(2, 4, service=2.0, boot=5.0)
    process = a_process(sky, policy)
    for _ in range(60):
        sky.cloud.arrive(1)
        run(sky, process, 2)
    before = {m.seen.id for m in sky.cloud.up()}
    assert sky.own.up() and not sky.burst.up()
    sky.own.is_down = True
    if killed:
        process.kill()
    for _ in range(300):
        sky.cloud.arrive(1)
        run(sky, process, 2)
    assert {m.seen.id for m in sky.cloud.up()} == before
    sky.own.is_down = False
    come_to_rest(sky.cloud, [process], 0)


@pytest.mark.parametrize("most", [2, 4])
def test_those_that_say_nothing_count_no_more_and_what_they_lack_is_had_elsewhere(most: int) -> None:
    """Also where they would use up what the whole may have: nobody would be served then."""
    sky = a_sky(2, 2, service=30.0, boot=5.0)
    process = a_process(sky, CLASSIC, most=most)
    sky.cloud.arrive(2)
    run(sky, process, 30)
    assert len(sky.own.up()) == 2 and not sky.burst.up()
    sky.own.is_down = True
    for machine in sky.own.machines():
        machine.silent_since = sky.cloud.clock.now
    run(sky, process, int(SILENT_FOR))
    assert not sky.burst.up(), "they may work on"
    sky.cloud.arrive(2)
    run(sky, process, 10)
    assert len(sky.burst.up()) == 2
    assert process.told is not None and not process.told.clouds[OWN].answers


def test_what_was_asked_to_go_is_asked_again_once_its_cloud_answers() -> None:
    sky = a_sky(1, 1, service=1.0, boot=5.0)
    process = a_process(sky, CLASSIC)
    sky.cloud.arrive(1)
    run(sky, process, 15)
    sky.own.is_down = True
    run(sky, process, 120)
    assert [m.seen.state for m in sky.own.up()] == [InstanceState.RUNNING]
    sky.own.is_down = False
    run(sky, process, 90)
    assert not sky.cloud.up() and not sky.cloud.wrongs


def test_room_that_comes_back_is_used_again_at_once() -> None:
    """Where one's own are all up, that is no lack of what they offer."""
    sky = a_sky(1, 3, service=20.0, boot=1.0)
    process = a_process(sky, CLASSIC)
    sky.cloud.arrive(2)
    run(sky, process, 15)
    assert (len(sky.own.up()), len(sky.burst.up())) == (1, 1)
    sky.cloud.crash(sky.cloud.up().index(sky.own.up()[0]))
    run(sky, process, 3)
    assert (len(sky.own.up()), len(sky.burst.up())) == (1, 1)


def test_one_that_is_away_is_asked_for_nothing_and_used_as_soon_as_it_answers() -> None:
    sky = a_sky(1, 3, service=60.0)
    process = a_process(sky, CLASSIC)
    sky.own.is_down = True
    sky.cloud.arrive(1)
    run(sky, process, 3)
    assert {verb for _, verb in sky.own.asked} == {"instances"} and len(sky.burst.up()) == 1
    assert process.controller is not None and not process.controller.ledger.learned.exclusions
    sky.own.is_down = False
    run(sky, process, 5)
    sky.cloud.arrive(1)
    run(sky, process, 1)
    assert (len(sky.own.up()), len(sky.burst.up())) == (1, 1)


def test_where_neither_answers_nothing_is_done() -> None:
    sky = a_sky(1, 1)
    process = a_process(sky, CLASSIC)
    sky.cloud.arrive(3)
    for part in sky.parts:
        part.is_down = True
    run(sky, process, 60)
    assert process.told is not None and process.told.reason == UNREADABLE
    assert {verb for part in sky.parts for _, verb in part.asked} == {"instances"}
    for part in sky.parts:
        part.is_down = False
    come_to_rest(sky.cloud, [process], 0)


@pytest.mark.parametrize("rested", [False, True])
def test_what_may_have_come_all_the_same_takes_its_room_until_lists_would_show_it(*, rested: bool) -> None:
    sky = a_sky(1, 2, settles_after=20.0, service=40.0, pool=4)
    process = a_process(sky, CLASSIC)
    if rested:
        rest(sky, process)
    sky.cloud.lags.append(20.0)
    sky.own.faults.append(Fault.REPLY_LOST)
    sky.cloud.arrive(2)
    for seconds in (1, 14):
        run(sky, process, seconds)
        assert len(sky.own.up()) == 1
        assert [m.seen.state in UP for m in sky.burst.up()] == [True] * 2, "the other makes up for it, and nobody goes"
        assert process.controller is not None and sum(i.unwanted for i in process.controller.ledger.intents) == 1
    come_to_rest(sky.cloud, [process], 0)
    assert not sky.cloud.wrongs, sky.cloud.wrongs


def rest(sky: Sky, process: Process) -> None:
    """With two of one's own in the warm pool, as where there was more room for them once."""
    sky.own.most = 2
    sky.cloud.arrive(2)
    run(sky, process, 60)
    come_to_rest(sky.cloud, [process], 0)
    run(sky, process, 300)
    assert len(sky.own.resting()) == 2
    sky.own.most = 1
    process.kill()


@pytest.mark.parametrize("settles_after", [0.0, 20.0])
def test_what_was_asked_for_just_before_its_cloud_fell_silent_is_no_failed_start(settles_after: float) -> None:
    sky = a_sky(4, 4, settles_after=settles_after, service=60.0)
    sky.cloud.lags.append(settles_after)
    process = a_process(sky, CLASSIC)
    sky.cloud.arrive(4)
    run(sky, process, 1)
    sky.own.is_down = True
    for machine in sky.own.up():
        sky.cloud.crash(sky.cloud.up().index(machine))
    run(sky, process, 30)
    assert process.controller is not None and not process.controller.ledger.learned.starts.count
    assert not sky.burst.up(), "they may come, for all that anybody knows"
    run(sky, process, int(HOPED_FOR))
    assert len(sky.burst.up()) == 4
    sky.own.is_down = False
    come_to_rest(sky.cloud, [process], 0)
    assert not sky.cloud.wrongs, sky.cloud.wrongs


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
def test_where_nothing_of_one_cloud_ever_works_the_others_have_their_turn(policy: Policy[Any]) -> None:
    sky = a_sky(2, 2, service=2.0)
    process = a_process(sky, policy)

    def spoil() -> None:
        for machine in sky.own.machines():
            machine.flaw = Flaw.NEVER_WORKS

    sky.cloud.arrive(2)
    run(sky, process, 600, each=spoil)
    assert not sky.cloud.depth().backlog
