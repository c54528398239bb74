"""Instances that cannot be started or stopped: they are found among the others, and left alone or ended."""

from collections import deque
from dataclasses import replace
from typing import Any

from lines import Line
from places import TERMS, Place, at

from facefleet.errors import Unavailable
from facefleet.model import InstanceState


class Picky(Line):
    """It takes no call for what names one of these."""

    bad: frozenset[str] = frozenset()

    def start(self, ids: list[str]) -> None:
        self._mind(ids)
        super().start(ids)

    def retire(self, ids: list[str]) -> None:
        self.cloud.asked_to_go = {id: self.cloud.clock.now for id in ids} | self.cloud.asked_to_go
        self._mind(ids)
        super().retire(ids)

    def _mind(self, ids: list[str]) -> None:
        if bad := self.bad & set(ids):
            raise Unavailable(f"{bad} cannot be touched")


def picky(**cloud: Any) -> Place:
    place = at(**cloud)
    place.line = Picky(place.cloud)
    place.begin_anew()
    return place


def test_instances_that_cannot_be_stopped_keep_nobody_up_and_are_ended_in_the_end() -> None:
    place = picky(drain_timeout=60.0)
    place.cloud.arrive(4)
    place.run(55)
    place.line.bad = frozenset({"i-1", "i-2"})
    place.run(15)
    assert place.states() == [InstanceState.RUNNING] * 2 + [InstanceState.STOPPING] * 2
    place.run(100)
    assert (place.states(), place.cloud.wrongs) == ([], [])


def test_a_stopped_one_that_cannot_be_started_is_left_alone_and_another_launched() -> None:
    place = picky(pool=2)
    place.cloud.arrive(2)
    place.run(200)
    assert place.states() == [InstanceState.STOPPED] * 2
    place.line.bad = frozenset({"i-1"})
    place.cloud.arrive(2)
    place.run(100)
    assert (place.cloud.launches, place.cloud.done) == (3, 4)
    assert [m.seen.state for m in place.cloud.living() if m.seen.id == "i-1"] == [InstanceState.STOPPED]


class Mute(Line):
    """What it starts, it does not say."""

    def start(self, ids: list[str]) -> None:
        super().start(ids)
        raise Unavailable("the reply was lost")


def test_a_start_whose_replies_were_lost_is_counted_until_the_list_tells() -> None:
    place = at(pool=1, settles_after=20.0)
    place.terms, place.cloud.most, place.line = replace(TERMS, most=1), 1, Mute(place.cloud)
    place.begin_anew()
    place.cloud.arrive(1)
    place.run(200)
    place.cloud.lags = deque([20.0])
    place.cloud.arrive(5)
    place.run(60)
    assert place.status.errors["unavailable"] >= 3
    assert (place.cloud.launches, place.cloud.wrongs) == (1, [])
