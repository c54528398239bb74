"""Intervals of shares: the textbook's, and those of searches that hang together by person."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from pytest import approx

from facefleet.recognition.rates import Rate, clustered, wilson


def rate(found: Rate | None) -> Rate:
    assert found is not None
    return found


@given(value=st.floats(0, 1), tries=st.integers(1, 10_000))
def test_an_interval_contains_its_value_and_stays_between_none_and_all(value: float, tries: int) -> None:
    low, high = wilson(value, tries)
    assert 0 <= low <= value + 1e-12 and value - 1e-12 <= high <= 1


def test_wilsons_interval_is_the_one_of_the_textbook() -> None:
    assert wilson(0.5, 10) == approx((0.2366, 0.7634), abs=1e-4)
    assert wilson(0.0, 100) == approx((0.0, 0.0370), abs=1e-4)


def test_what_never_happened_may_still_happen() -> None:
    assert rate(clustered(np.zeros(50), np.ones(50), 50)).high > 0.05


def test_of_nobody_there_is_no_rate() -> None:
    assert clustered(np.zeros(3), np.zeros(3), 3) is None


def test_failures_that_come_by_person_are_known_less_surely_than_scattered_ones() -> None:
    tries = np.full(100, 10.0)
    by_person, scattered = np.zeros(100), np.full(100, 1.0)
    by_person[:10] = 10.0
    together, apart = (rate(clustered(events, tries, 1000)) for events in (by_person, scattered))
    assert together.value == apart.value == 0.1
    assert together.high - together.low > 2 * (apart.high - apart.low)


def test_strangers_taken_for_one_and_the_same_person_are_known_less_surely_than_for_many() -> None:
    one, many = np.zeros((60, 60)), np.zeros((60, 60))
    one[:10, 59], many[np.arange(10), np.arange(10) + 40] = 1, 1
    taken_for_one, taken_for_many = (rate(clustered(events, np.ones(60), 60)) for events in (one, many))
    assert taken_for_one.value == taken_for_many.value
    assert taken_for_one.high > taken_for_many.high + 0.05


def test_most_intervals_contain_the_true_rate() -> None:
    """Photos of one person fail together: an interval of independent photos would miss three times in ten."""
    rng = np.random.default_rng(6)
    hits = 0
    for _ in range(100):
        chances = rng.beta(0.4, 1.6, size=60)
        found = rate(clustered(rng.binomial(6, chances).astype(float), np.full(60, 6.0), 360))
        hits += found.low <= 0.2 <= found.high
    assert hits >= 88
