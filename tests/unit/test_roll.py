"""Who is there, by a list that may be old and a ledger that may know more."""

from dataclasses import replace

import pytest

from controller.ledger import Intent, Ledger, Member
from controller.roll import Look, Roll, call_roll
from facefleet.model import Heartbeat, Instance, InstanceState, Start, WorkerState

PENDING, RUNNING, DRAINING, STOPPING, STOPPED = InstanceState
LAG = 20.0


def one(id: str, state: InstanceState = RUNNING, *, at: float = 10.0, start: Start = Start.LAUNCH) -> Instance:
    return Instance(id, state, at, at, start, token=f"token of {id}")


def member(id: str, *, heard: bool = True, going: float = 0.0, at: float = 10.0) -> Member:
    return Member(id, f"token of {id}", 1, at, at, Start.LAUNCH, heard, going)


def beat(id: str, at: float = 50.0, state: WorkerState = WorkerState.IDLE, *, leaves: bool = False) -> Heartbeat:
    return Heartbeat(id, state, 0, at, at, leaves=leaves)


def roll(
    listed: list[Instance],
    *,
    members: tuple[Member, ...] = (),
    intents: tuple[Intent, ...] = (),
    beats: tuple[str, ...] = (),
    lag: float = 0.0,
    now: float = 100.0,
    before: Roll | None = None,
    listed_at: float = 99.0,
    gone: tuple[Member, ...] = (),
    say: WorkerState = WorkerState.IDLE,
    leaves: bool = False,
) -> Roll:
    ledger = before.ledger if before else Ledger(intents, {m.id: m for m in members})
    look = Look(
        listed,
        {id: beat(id, state=say, leaves=leaves) for id in beats},
        now,
        lag,
        before.instances if before else (),
        listed_at,
        before.absent if before else {},
        {m.id: m for m in gone},
    )
    return call_roll(look, ledger)


def states(called: Roll) -> dict[str, InstanceState]:
    return {instance.id: instance.state for instance in called.instances}


def test_who_worked_before_its_rest_has_worked_and_is_to_be_heard_anew() -> None:
    began = roll([one("a")], members=(member("a", heard=False),), beats=("a",))
    rested = roll([one("a", STOPPED, at=60.0)], before=began)
    started = roll([one("a", PENDING, at=70.0, start=Start.POOL)], before=rested)
    assert [(m.heard, m.worked) for r in (began, rested, started) for m in r.ledger.members.values()] == [
        (True, True),
        (False, True),
        (False, True),
    ]


def test_what_was_made_for_the_pool_is_known_by_that_until_it_rests() -> None:
    intent = Intent("token of a", 1, "large", 10.0, spare=True)
    came = roll([one("a", PENDING)], intents=(intent,))
    assert came.ledger.members["a"].spare
    assert not roll([one("a", STOPPED, at=60.0)], before=came).ledger.members["a"].spare


def test_where_nothing_changes_nothing_is_written() -> None:
    first = roll([one("a")], members=(member("a"),), beats=("a",))
    assert roll([one("a")], before=first, beats=("a",)).ledger is first.ledger


def test_one_is_on_its_way_up_until_it_was_heard_of_and_then_it_has_booted() -> None:
    called = roll([one("a")])
    assert (states(called), called.booted, called.started) == ({"a": PENDING}, (), 1)
    called = roll([one("a")], before=called, beats=("a",))
    assert (states(called), [m.id for m in called.booted], called.started) == ({"a": RUNNING}, ["a"], 0)
    called = roll([one("a")], before=called)
    assert (states(called), called.booted) == ({"a": RUNNING}, ()), "once heard of is enough"


@pytest.mark.parametrize("state", [PENDING, RUNNING])
def test_one_asked_to_go_is_no_capacity_whatever_an_old_list_shows(state: InstanceState) -> None:
    called = roll([one("a", state)], members=(member("a", going=90.0),))
    assert states(called) == {"a": DRAINING}


def test_an_intent_is_pending_until_its_instance_is_listed() -> None:
    intent = Intent("token of a", 3, "x", 95.0)
    called = roll([], intents=(intent,))
    assert states(called) == {"token of a": PENDING}
    called = roll([one("a", PENDING, at=96.0)], before=called)
    assert (states(called), called.ledger.intents) == ({"a": PENDING}, ())
    assert (called.ledger.members["a"].slot, called.ledger.members["a"].asked_at) == (3, 95.0)


def test_an_intent_that_nobody_wants_is_asked_to_go_once_it_is_there() -> None:
    intent = Intent("token of a", 3, "x", 95.0, unwanted=True)
    assert states(roll([], intents=(intent,))) == {"token of a": DRAINING}
    assert states(roll([one("a", PENDING)], intents=(intent,))) == {"a": DRAINING}


def test_an_answered_launch_that_is_never_listed_has_failed_once_lists_have_settled() -> None:
    intent = Intent("token of a", 3, "x", 95.0, id="a", answered_at=96.0)
    early = roll([], intents=(intent,), lag=LAG, now=115.0)
    assert (states(early), early.failed) == ({"a": PENDING}, ())
    late = roll([], before=early, lag=LAG, now=116.0)
    assert (late.instances, late.failed, late.ledger.attempts) == ((), (95.0,), {3: 1})


def test_one_that_a_list_lacks_is_there_until_lists_have_settled() -> None:
    seen = roll([one("a")], members=(member("a"),), lag=LAG, now=100.0)
    lacking = roll([], before=seen, lag=LAG, now=101.0, listed_at=100.0)
    assert states(lacking) == {"a": RUNNING}
    again = roll([one("a")], before=lacking, lag=LAG, now=102.0, listed_at=101.0)
    assert again.absent == {}
    lacking = roll([], before=again, lag=LAG, now=103.0, listed_at=102.0)
    lacking = roll([], before=lacking, lag=LAG, now=121.0, listed_at=120.0)
    assert states(lacking) == {"a": RUNNING}
    gone = roll([], before=lacking, lag=LAG, now=122.0, listed_at=121.0)
    assert (gone.instances, gone.gone, gone.ledger.members, gone.ledger.attempts) == ((), (member("a"),), {}, {1: 1})


def test_where_lists_are_never_old_what_they_lack_is_gone() -> None:
    assert roll([], members=(member("a"),)).instances == ()


@pytest.mark.parametrize(("left", "booted"), [(member("a"), []), (member("a", heard=False), ["a"])])
def test_one_that_an_old_list_brings_back_has_not_booted_again(left: Member, booted: list[str]) -> None:
    called = roll([one("a")], gone=(left,), beats=("a",), lag=LAG)
    assert [m.id for m in called.booted] == booted


@pytest.mark.parametrize(
    ("left", "beats", "failed"),
    [
        (member("a", heard=False), (), (10.0,)),
        (member("a", heard=True), (), ()),
        (member("a", heard=False, going=50.0), (), ()),
        (member("a", heard=False), ("a",), ()),
    ],
)
def test_one_that_is_gone_and_never_worked_has_failed(
    left: Member, beats: tuple[str, ...], failed: tuple[float, ...]
) -> None:
    assert roll([], members=(left,), beats=beats).failed == failed


def test_one_started_again_lives_anew() -> None:
    resting = roll([one("a", STOPPED)], members=(member("a", going=60.0),), beats=("a",))
    assert not resting.ledger.members["a"].going_since
    intent = Intent("token of a", 1, "", 100.0, Start.POOL, "a")
    started = replace(resting, ledger=replace(resting.ledger, intents=(intent,)))
    old = roll([one("a", STOPPED)], before=started, beats=("a",))
    assert states(old) == {"a": PENDING}, "the list is old, or the start not answered yet"
    answered = replace(old, ledger=replace(old.ledger, intents=(replace(intent, answered_at=101.0),)))
    up = roll([one("a", RUNNING, at=102.0, start=Start.POOL)], before=answered, beats=("a",), now=103.0)
    assert (states(up), up.started, up.ledger.intents) == ({"a": PENDING}, 1, ()), "it was heard of in an earlier life"
    assert up.ledger.members["a"].asked_at == 100.0


def test_a_start_that_leaves_it_stopped_has_failed() -> None:
    intent = Intent("token of a", 1, "", 95.0, Start.POOL, "a", answered_at=96.0)
    called = roll([one("a", STOPPED)], members=(member("a"),), intents=(intent,))
    assert (called.failed, called.ledger.intents) == ((95.0,), ())
    assert states(roll([one("a", STOPPED)], before=called)) == {"a": STOPPED}


def test_a_worker_that_is_restarted_drains_and_its_instance_stays() -> None:
    seen = roll([one("a")], members=(member("a"),), beats=("a",))
    called = roll([one("a")], before=seen, beats=("a",), say=WorkerState.DRAINING, now=101.0)
    assert (states(called), called.ledger.members["a"].going_since) == ({"a": RUNNING}, 0.0)


def test_an_instance_that_is_about_to_be_taken_away_is_no_capacity_and_is_to_go() -> None:
    seen = roll([one("a")], members=(member("a"),), beats=("a",))
    called = roll([one("a")], before=seen, beats=("a",), say=WorkerState.DRAINING, leaves=True, now=101.0)
    assert (states(called), called.ledger.members["a"].going_since) == ({"a": DRAINING}, 101.0)
    # It has ended, and its instance runs on.
    called = roll([one("a")], before=called, now=102.0)
    assert (states(called), called.ledger.members["a"].going_since) == ({"a": DRAINING}, 101.0)


def test_one_started_again_is_not_to_go_because_it_was_in_its_last_life() -> None:
    started = replace(member("a", heard=False, at=60.0), start=Start.POOL)
    called = roll([one("a", at=60.0, start=Start.POOL)], members=(started,), beats=("a",), leaves=True)
    assert states(called) == {"a": PENDING}


def test_one_that_its_fleet_lets_go_is_on_its_way_out_since_that_was_seen() -> None:
    called = roll([one("a", DRAINING)], members=(member("a"),), now=100.0)
    assert called.ledger.members["a"].going_since == 100.0
    assert roll([one("a", DRAINING)], before=called, now=105.0).ledger is called.ledger


def test_one_that_its_fleet_lets_go_before_it_ever_worked_has_failed() -> None:
    leaving = roll([one("a", DRAINING)], members=(member("a", heard=False),))
    assert roll([], before=leaving).failed == (10.0,)


@pytest.mark.parametrize("rested", [True, False])
def test_one_that_comes_up_again_under_the_time_of_its_last_start_was_asked_for_now(rested: bool) -> None:
    intent = Intent("token of a", 1, "", 95.0, Start.POOL, "a", answered_at=96.0)
    resting = replace(member("a", heard=False), asked_at=0.0) if rested else member("a", heard=False)
    called = roll([one("a", PENDING)], members=(resting,), intents=(intent,), beats=("a",), lag=LAG)
    assert called.ledger.members["a"].asked_at == 95.0
    assert (states(called), called.booted) == ({"a": PENDING}, ()), "what was heard is of its last life"
