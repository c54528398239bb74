"""The next step of a roll, by tables: one look, one step."""

from dataclasses import replace

import pytest

from facefleet.backends.aws.account.rollout import Action, Canary, Group, Machine, Stage, Verb, Way, World, decide

OLD, NEW = (
    Machine("old", fits=False, is_up=True, launched_at=1.0),
    Machine("new", fits=True, is_up=True, launched_at=2.0),
)
COMING = replace(NEW, is_up=False)
FORWARD, BACK, TRYING = Way(), Way(back=True), Way(tries=True)
ROLLED = Group((NEW,), desired=1)
#: All is as the stack says, and answers.
DONE = World(True, True, ROLLED, ROLLED, address="new", stands_by=True, leads=True, trouble="")


def web(*machines: Machine, desired: int, address: str = "old", trouble: str = "") -> World:
    """Whoever is there has had the address."""
    have_had = frozenset(one.id for one in machines)
    return replace(DONE, webs=Group(machines, desired), address=address, have_had=have_had, trouble=trouble)


def controller(*machines: Machine, desired: int) -> World:
    return replace(DONE, controllers=Group(machines, desired))


@pytest.mark.parametrize(
    ("world", "way", "verb", "subject"),
    [
        (DONE, FORWARD, Verb.DONE, ""),
        (DONE, BACK, Verb.DONE, ""),
        (replace(DONE, trouble="no answer"), FORWARD, Verb.WAIT, "new"),
        (replace(DONE, stack_fits=False), FORWARD, Verb.UPDATE, ""),
        # A new image is tried before anything else is touched, and that worker goes once it was.
        (replace(DONE, stack_fits=False), TRYING, Verb.LAUNCH_CANARY, ""),
        (replace(DONE, stack_fits=False, canary=Canary.COMING), TRYING, Verb.WAIT, ""),
        (replace(DONE, stack_fits=False, canary=Canary.LOST), TRYING, Verb.GIVE_UP, ""),
        (replace(DONE, stack_fits=False, canary=Canary.OTHER), TRYING, Verb.END_CANARY, ""),
        (replace(DONE, stack_fits=False, canary=Canary.WORKS), TRYING, Verb.UPDATE, ""),
        (replace(DONE, canary=Canary.WORKS), TRYING, Verb.END_CANARY, ""),
        (replace(DONE, canary=Canary.COMING), BACK, Verb.END_CANARY, ""),
        (replace(DONE, canary=Canary.LOST), BACK, Verb.END_CANARY, ""),
        (replace(DONE, default_fits=False), FORWARD, Verb.SET_DEFAULT, ""),
        # The controller: the new one stands by, the old one goes, the new one leads.
        (controller(OLD, desired=1), FORWARD, Verb.GROW, ""),
        (controller(OLD, desired=2), FORWARD, Verb.WAIT, ""),
        (controller(OLD, COMING, desired=2), FORWARD, Verb.WAIT, "new"),
        (replace(controller(OLD, NEW, desired=2), stands_by=False), FORWARD, Verb.WAIT, "new"),
        (controller(OLD, NEW, desired=2), FORWARD, Verb.RETIRE, "old"),
        (controller(OLD, NEW, desired=1), FORWARD, Verb.WAIT, "old"),
        (controller(NEW, replace(NEW, id="second"), desired=2), FORWARD, Verb.RETIRE, "second"),
        (replace(DONE, leads=False), FORWARD, Verb.WAIT, "new"),
        (controller(desired=1), FORWARD, Verb.WAIT, ""),
        # The web tier: the new one takes the address, answers, and only then the old one goes.
        (web(OLD, desired=1), FORWARD, Verb.GROW, ""),
        (web(OLD, COMING, desired=2), FORWARD, Verb.WAIT, "new"),
        (web(OLD, NEW, desired=2), FORWARD, Verb.WAIT, "new"),
        (web(OLD, NEW, desired=2, address="new", trouble="no answer"), FORWARD, Verb.WAIT, "new"),
        (web(OLD, NEW, desired=2, address="new"), FORWARD, Verb.RETIRE, "old"),
        (web(desired=1, address=""), FORWARD, Verb.WAIT, ""),
        # A removal was cut off once it had set the groups to nothing.
        (web(desired=0, address=""), FORWARD, Verb.GROW, ""),
        (controller(desired=0), FORWARD, Verb.GROW, ""),
        # What another try left behind makes room; never the one that answers.
        (web(OLD, replace(OLD, id="left", launched_at=2.0), desired=2), FORWARD, Verb.RETIRE, "left"),
        (web(replace(OLD, id="left"), replace(OLD, launched_at=2.0), desired=2), FORWARD, Verb.RETIRE, "left"),
        # The way back: first of all, to who answered before.
        (replace(web(NEW, replace(OLD, launched_at=3.0), desired=2), stack_fits=False), BACK, Verb.MOVE_ADDRESS, "new"),
        (
            replace(web(NEW, replace(OLD, launched_at=3.0), desired=2, address="new"), stack_fits=False),
            BACK,
            Verb.UPDATE,
            "",
        ),
        (web(NEW, replace(OLD, launched_at=3.0), desired=2), BACK, Verb.MOVE_ADDRESS, "new"),
        (web(NEW, replace(OLD, launched_at=3.0), desired=2, address="new"), BACK, Verb.RETIRE, "old"),
    ],
)
def test_the_next_step(world: World, way: Way, verb: Verb, subject: str) -> None:
    action = decide(world, way)
    assert (action.verb, action.subject) == (verb, subject)


@pytest.mark.parametrize(
    ("world", "is_rolled"),
    [
        (DONE, True),
        (replace(DONE, trouble="no answer", leads=False), True),
        (replace(DONE, stack_fits=False), False),
        (replace(DONE, default_fits=False), False),
        (controller(OLD, NEW, desired=2), False),
        (web(OLD, NEW, desired=2), False),
    ],
)
def test_it_is_known_whether_anything_is_left_of_before(world: World, is_rolled: bool) -> None:
    assert world.is_rolled is is_rolled


def test_the_controller_rolls_before_the_web_tier() -> None:
    both = replace(DONE, controllers=Group((OLD,)), webs=Group((OLD,)), address="old")
    assert decide(both, FORWARD) == Action(Verb.GROW, Stage.CONTROLLER)


def test_a_wait_says_for_what() -> None:
    assert decide(replace(DONE, leads=False), FORWARD).why == "it leads"


def test_an_address_that_nobody_has_is_given_to_nobody_by_us() -> None:
    """Who has none is not known to be ready; whoever is takes it."""
    nobody = replace(
        web(NEW, replace(OLD, launched_at=3.0), desired=2, address=""), have_had=frozenset(), stack_fits=False
    )
    assert decide(nobody, BACK).verb is Verb.UPDATE
    assert decide(replace(nobody, stack_fits=True), BACK).verb is Verb.WAIT


def test_an_address_that_went_with_a_machine_is_given_to_the_one_that_had_it_before() -> None:
    """That one has taken it once already, and does not ask again."""
    assert decide(web(NEW, desired=1, address=""), BACK) == Action(Verb.MOVE_ADDRESS, Stage.WEB, "new")


def test_a_machine_that_was_never_seen_with_the_address_is_not_given_it_and_makes_room() -> None:
    unknown = replace(web(NEW, replace(OLD, launched_at=3.0), desired=2), have_had=frozenset({"old"}))
    assert decide(unknown, FORWARD) == Action(Verb.RETIRE, Stage.WEB, "new")
    assert decide(replace(unknown, stack_fits=False), BACK).verb is Verb.UPDATE
