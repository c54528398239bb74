"""Asking the fleet: several at the same time where it allows that, and every answer taken for what it is."""

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Barrier

import pytest

from controller.backoff import Backoff
from controller.calls import LONGEST, Answer, Calls
from facefleet.errors import Conflict, NoCapacity, ServiceError, Throttled, Unavailable

PATIENCE = 20.0


def calls(assure: Callable[[], object] = lambda: None) -> Calls:
    return Calls(lambda: 0.5, assure)


def refused(error: Exception) -> Callable[[], object]:
    def call() -> object:
        raise error

    return call


def test_calls_that_go_at_once_do_not_wait_for_each_other() -> None:
    together = Barrier(5)
    # Each goes on only when all five have come.
    replies = calls().ask_all("launch", [lambda: together.wait(PATIENCE) >= 0] * 5, 0.0)
    assert replies == [(Answer.DONE, True)] * 5


def test_each_gets_its_own_answer() -> None:
    asked = calls()
    errors = [NoCapacity("none left"), Conflict("gone"), Throttled("slower"), KeyError("what is this?")]
    replies = asked.ask_all("launch", [lambda: "i-1", *map(refused, errors), lambda: "i-2"], 0.0)
    assert [answer for answer, _ in replies] == [
        Answer.DONE,
        Answer.NO_CAPACITY,
        Answer.USED_UP,
        Answer.THROTTLED,
        Answer.UNKNOWN,
        Answer.DONE,
    ]
    assert [value for _, value in replies if value] == ["i-1", "i-2"]
    assert asked.done["launch"] == 2
    assert set(asked.errors) == {"no_capacity", "conflict", "throttled", "unknown"}


@pytest.mark.parametrize("answered", [0, 4])
def test_where_one_of_several_is_throttled_the_verb_waits_whatever_the_others_did(answered: int) -> None:
    asked = calls()
    several: list[Callable[[], object]] = [lambda: "i"] * 5
    several[answered] = refused(Throttled("slower"))
    asked.ask_all("launch", several, 0.0)
    assert asked.ask_all("launch", [lambda: "i"] * 2, 0.0) == [(Answer.WAITS, None)] * 2
    later = asked.backoffs["launch"].until
    assert asked.ask("launch", lambda: "i", later) == (Answer.DONE, "i")
    assert "launch" not in asked.backoffs


def test_several_that_fail_at_the_same_time_are_one_failure() -> None:
    asked = calls()
    asked.ask_all("launch", [refused(Throttled("slower"))] * 5, 0.0)
    assert asked.backoffs["launch"] == Backoff(1, 0.5)
    assert asked.errors == {"throttled": 5}


def test_a_verb_is_asked_as_ever_once_nothing_fails_and_no_capacity_is_no_failure() -> None:
    asked = calls()
    asked.ask("launch", refused(Throttled("slower")), 0.0)
    asked.ask_all("launch", [lambda: "i", refused(Throttled("slower"))], 10.0)
    assert asked.backoffs["launch"].failures == 2, "one of them was done, and yet the cloud is asked too often"
    asked.ask_all("launch", [refused(NoCapacity("none left")), refused(Conflict("gone"))], 100.0)
    assert asked.backoffs == {}


@dataclass
class Gate:
    """Lets through all but these; `asked`: for whom, call by call."""

    shut: dict[str, Exception]
    asked: list[list[str]] = field(default_factory=list)

    def pass_all(self, ids: list[str]) -> None:
        self.asked.append(ids)
        for id in ids:
            if id in self.shut:
                raise self.shut[id]


def test_one_that_is_refused_does_not_keep_the_others() -> None:
    gate, asked = Gate({"b": Unavailable("it cannot be stopped")}), calls()
    assert asked.ask_of("retire", gate.pass_all, ["a", "b", "c"], 0.0) == {
        "a": Answer.DONE,
        "b": Answer.UNKNOWN,
        "c": Answer.DONE,
    }
    assert (asked.backoffs["retire"].failures, asked.errors, asked.done) == (1, {"unavailable": 2}, {"retire": 2})


def test_where_all_are_refused_or_the_cloud_is_asked_too_often_the_rest_waits() -> None:
    gate = Gate(dict.fromkeys("abcd", Unavailable("no answer")))
    assert list(calls().ask_of("retire", gate.pass_all, list("abcd"), 0.0).values()) == [
        *[Answer.UNKNOWN] * 2,
        *[Answer.WAITS] * 2,
    ]
    gate = Gate({"a": Throttled("slower")})
    assert set(calls().ask_of("retire", gate.pass_all, ["a", "b"], 0.0).values()) == {Answer.THROTTLED}
    assert gate.asked == [["a", "b"]]


@pytest.mark.parametrize(("error", "raised"), [(Conflict("another leads"), True), (Unavailable("no"), False)])
def test_nobody_is_asked_by_one_who_may_not_lead_any_more(error: ServiceError, *, raised: bool) -> None:
    asked, made = calls(refused(error)), []
    if raised:
        with pytest.raises(Conflict):
            asked.ask_all("launch", [lambda: made.append(1)] * 3, 0.0)
    else:
        replies = asked.ask_all("launch", [lambda: made.append(1)] * 3, 0.0)
        assert replies == [(Answer.WAITS, None)] * 3
    assert made == []


@dataclass
class Slow:
    """A cloud that does not answer: each call takes long, and fails."""

    now: float = 0.0
    asked: int = 0

    def call(self, ids: list[str]) -> None:
        self.now, self.asked = self.now + 26.0, self.asked + 1
        raise Unavailable("no answer")


def test_a_cloud_that_does_not_answer_holds_no_tick_up_for_long() -> None:
    slow = Slow()
    asked = Calls(lambda: 0.0, lambda: None, lambda: slow.now)
    asked.begin()
    for verb in ("end", "retire", "start"):
        asked.ask_of(verb, slow.call, ["i-1", "i-2", "i-3"], 0.0)
    for _ in range(10):
        asked.ask_all("launch", [lambda: slow.call([])], 0.0)
    assert slow.now < LONGEST + 26.0
    assert asked.ask("launch", lambda: slow.call([]), 1e9) == (Answer.WAITS, None), "whatever verb it is"
    before = slow.asked
    asked.begin()
    asked.ask("launch", lambda: slow.call([]), 1e9)
    assert slow.asked == before + 1, "the next tick asks again"
