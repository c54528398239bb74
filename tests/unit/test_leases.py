"""Leases by our own clock: a late receipt is of no use, and no lease lasts longer than SQS allows."""

from hypothesis import given
from hypothesis import strategies as st

from facefleet.backends.aws.leases import LONGEST, MANY, Leases


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_lease_is_ours_until_it_ends_and_only_once() -> None:
    clock = Clock()
    leases = Leases(clock)
    leases.begin("one", 5)
    clock.now += 4.9
    assert leases.end("one")
    assert not leases.end("one")


def test_a_lease_that_has_ended_is_neither_ended_nor_extended() -> None:
    clock = Clock()
    leases = Leases(clock)
    leases.begin("one", 5)
    clock.now += 5
    assert leases.extend("one", 60) is None
    assert not leases.end("one")


def test_a_receipt_that_nobody_had_is_no_lease() -> None:
    assert not Leases().end("nobody's")
    assert Leases().extend("nobody's", 1) is None


@given(waits=st.lists(st.integers(0, LONGEST), min_size=1, max_size=8), seconds=st.integers(0, 2 * LONGEST))
def test_however_often_it_is_extended_a_lease_ends_within_what_sqs_allows(waits: list[int], seconds: int) -> None:
    clock = Clock()
    leases = Leases(clock)
    leases.begin("one", LONGEST - 1)
    received_at = clock.now
    for wait in waits:
        clock.now += wait
        allowed = leases.extend("one", seconds)
        assert allowed is None or clock.now + allowed < received_at + LONGEST


def test_when_all_end_those_that_were_still_ours_are_told() -> None:
    clock = Clock()
    leases = Leases(clock)
    leases.begin("short", 5)
    leases.begin("long", 60)
    clock.now += 5
    assert leases.end_all() == ["long"]
    assert leases.end_all() == [] and not leases.end("long")


def test_what_has_ended_does_not_pile_up() -> None:
    clock = Clock()
    leases = Leases(clock)
    for i in range(3 * MANY):
        leases.begin(str(i), 5)
        clock.now += 1
    assert len(leases) <= MANY


def test_those_that_last_are_kept_however_many_there_are() -> None:
    leases = Leases(Clock())
    for i in range(2 * MANY):
        leases.begin(str(i), 5)
    assert all(leases.end(str(i)) for i in range(2 * MANY))
