"""No state lasts longer than it may, by what the list says and by what was seen."""

import pytest

from controller.ledger import Ledger, Member
from controller.remedies import Allowed, overdue
from facefleet.model import Instance, InstanceState, Start

PENDING, RUNNING, DRAINING, STOPPING, STOPPED = InstanceState
ALLOWED = Allowed(pending=300.0, draining=30.0, stopping=120.0)


@pytest.mark.parametrize(
    ("state", "since", "heard", "going", "is_overdue"),
    [
        (PENDING, 700.0, False, 0.0, False),
        (PENDING, 699.0, False, 0.0, True),
        (RUNNING, 699.0, False, 0.0, True),
        (RUNNING, 1.0, True, 0.0, False),
        (RUNNING, 1.0, True, 900.0, False),
        (DRAINING, 970.0, True, 0.0, False),
        (DRAINING, 969.0, True, 0.0, True),
        (DRAINING, 969.0, False, 0.0, True),
        (STOPPING, 880.0, True, 1.0, False),
        (STOPPING, 879.0, True, 1.0, True),
        (STOPPED, 1.0, False, 0.0, False),
    ],
)
def test_no_state_lasts_longer_than_it_may(
    state: InstanceState, since: float, heard: bool, going: float, is_overdue: bool
) -> None:
    one = Instance("i", state, since, since)
    ledger = Ledger(members={"i": Member("i", "", 0, since, since, Start.LAUNCH, heard, going)})
    assert overdue([one], ledger, {}, ALLOWED, 0.0, now=1000.0) == ["i"] * is_overdue


@pytest.mark.parametrize(("going", "is_overdue"), [(970.0, False), (969.0, True)])
def test_one_listed_as_draining_since_its_launch_has_its_time_from_when_that_was_seen(
    going: float, *, is_overdue: bool
) -> None:
    one = Instance("i", DRAINING, 1.0, 1.0)
    ledger = Ledger(members={"i": Member("i", "", 0, 1.0, 1.0, Start.LAUNCH, True, going)})
    assert overdue([one], ledger, {}, ALLOWED, 0.0, now=1000.0) == ["i"] * is_overdue


@pytest.mark.parametrize(("seen", "is_overdue"), [(880.0, False), (879.0, True)])
def test_one_listed_as_stopping_since_its_launch_has_its_time_from_when_that_was_seen(
    seen: float, *, is_overdue: bool
) -> None:
    one = Instance("i", STOPPING, 1.0, 1.0)
    ledger = Ledger(members={"i": Member("i", "", 0, 1.0, 1.0, Start.LAUNCH, True, 500.0)})
    assert overdue([one], ledger, {"i": seen}, ALLOWED, 0.0, now=1000.0) == ["i"] * is_overdue


def test_one_that_was_told_to_drain_and_runs_on_is_ended_too() -> None:
    one = Instance("i", RUNNING, 1.0, 1.0)
    ledger = Ledger(members={"i": Member("i", "", 0, 1.0, 1.0, Start.LAUNCH, True, 900.0)})
    assert overdue([one], ledger, {"i": 971.0}, ALLOWED, 0.0, now=1000.0) == []
    assert overdue([one], ledger, {"i": 969.0}, ALLOWED, 0.0, now=1000.0) == ["i"]


@pytest.mark.parametrize(
    ("state", "heard", "going"),
    [(PENDING, False, 0.0), (RUNNING, False, 0.0), (RUNNING, True, 1.0), (DRAINING, True, 1.0), (STOPPING, True, 1.0)],
)
def test_no_time_counts_in_which_nobody_watched(state: InstanceState, heard: bool, going: float) -> None:
    one = Instance("i", state, 1.0, 1.0)
    ledger = Ledger(members={"i": Member("i", "", 0, 1.0, 1.0, Start.LAUNCH, heard, going)})
    assert overdue([one], ledger, {"i": 1.0}, ALLOWED, 9990.0, now=10_000.0) == []
    assert overdue([one], ledger, {"i": 1.0}, ALLOWED, 9000.0, now=10_000.0) == ["i"]
