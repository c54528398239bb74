"""The lines that alarms look for: their words, and how often they come."""

import logging

import pytest
from places import LIMITS, TERMS, at

from controller.notices import REPEAT
from facefleet.model import InstanceState

AT_MOST = (
    "the fleet is at its most: 4 instances, and {} messages wait; raise FACEFLEET_MAX_INSTANCES if that is too slow"
)


def said(caplog: pytest.LogCaptureFixture, begin: str) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING and r.getMessage().startswith(begin)]


def test_a_fleet_at_its_most_says_so_once_a_minute_while_work_waits(caplog: pytest.LogCaptureFixture) -> None:
    place = at(boot=10.0)
    place.cloud.arrive(600)
    place.tick()
    assert said(caplog, "the fleet") == [], "as many are asked for as may come, and none was refused"
    place.run(1)
    assert said(caplog, "the fleet") == [AT_MOST.format(600)]
    place.run(119)
    assert len(said(caplog, "the fleet is at its most: ")) == 120 / REPEAT
    place.run(200)
    assert place.cloud.done == 600
    caplog.clear()
    place.run(200)
    assert said(caplog, "the fleet") == []


def test_a_fleet_at_its_most_for_which_nothing_waits_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    place = at(boot=1.0)
    place.terms = TERMS.__class__(TERMS.most, TERMS.most, TERMS.hold)
    place.begin_anew()
    place.run(200)
    assert place.states() == [InstanceState.RUNNING] * TERMS.most
    assert said(caplog, "the fleet") == []


def test_a_budget_that_is_used_up_is_told_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    place = at()
    place.limits = LIMITS.__class__(pool="p", budget=130.0, boot=45.0)
    place.begin_anew()
    place.cloud.arrive(400)
    place.tick()
    assert said(caplog, "the budget") == [
        "the budget of this hour is used up: 2 instances may come now, and more are wanted; raise "
        "FACEFLEET_BUDGET_PER_HOUR, or wait"
    ]
    place.run(119)
    assert len(said(caplog, "the budget of this hour is used up: ")) == 120 / REPEAT
