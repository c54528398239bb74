"""The decision rule: what a person's centres are, and which threshold is in force; laws, and the figures measured."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.random import Generator

from facefleet.recognition.identification import (
    FAR,
    FARTHEST,
    LENGTH,
    MARGIN,
    MEAN,
    SPREAD,
    STRETCH,
    Encodings,
    base_threshold,
    centres,
    distances,
    scaled,
    strangers_named,
    threshold_in_force,
    toll,
)

RATE = 0.01
SIZES = st.integers(1, 1_000_000)
RATES = st.floats(1e-6, 0.5)
DISTANCES = st.floats(0, FARTHEST)


def photos_of(rng: Generator, count: int, *, noise: float = 0.2) -> Encodings:
    """Photos of one made-up person: a direction, and around it what differs from photo to photo."""
    person = rng.normal(size=128)
    direction = person / np.linalg.norm(person)
    return np.asarray(direction + noise * rng.normal(size=(count, 128)) / np.sqrt(128), dtype=np.float32)


@given(stretch=st.floats(0.1, 10), seed=st.integers(0, 99))
def test_only_the_direction_of_an_encoding_counts(stretch: float, seed: int) -> None:
    encodings = photos_of(np.random.default_rng(seed), 3)
    assert np.linalg.norm(scaled(encodings), axis=1) == pytest.approx([LENGTH] * 3)
    assert scaled(encodings * np.float32(stretch)) == pytest.approx(scaled(encodings), abs=1e-5)


def test_an_encoding_of_nothing_stays_nothing() -> None:
    assert not scaled(np.zeros(128, np.float32)).any()


def test_a_person_without_photos_has_no_centre() -> None:
    assert centres(np.empty((0, 128), np.float32)).shape == (0, 128)


def test_a_person_with_one_photo_is_that_photo() -> None:
    photo = photos_of(np.random.default_rng(1), 1)
    assert centres(photo) == pytest.approx(scaled(photo))
    assert distances(scaled(photo), centres(photo)) == pytest.approx(0, abs=1e-3)


def test_photos_that_are_like_each_other_make_one_centre_longer_the_more_there_are() -> None:
    photos = photos_of(np.random.default_rng(1), 6)
    lengths = [np.linalg.norm(centres(photos[:count]), axis=1) for count in (1, 2, 3, 6)]
    assert [len(of_one) for of_one in lengths] == [1, 1, 1, 1]
    assert np.concatenate(lengths) == pytest.approx([LENGTH * (1 + STRETCH * (1 - 1 / n)) for n in (1, 2, 3, 6)])


def test_two_people_under_one_name_have_a_centre_each_and_every_photo_lies_near_one() -> None:
    rng = np.random.default_rng(2)
    both = np.concatenate([photos_of(rng, 3), photos_of(rng, 2)])
    rows = centres(both)
    assert len(rows) == 2
    assert distances(scaled(both), rows).min(axis=1).max() < 0.3


def test_many_people_under_one_name_are_not_averaged_to_a_face_that_is_nobodys() -> None:
    rng = np.random.default_rng(3)
    assert len(centres(np.concatenate([photos_of(rng, 4) for _ in range(20)]))) == 20


@given(seed=st.integers(0, 99), people=st.integers(1, 3), photos=st.integers(1, 4))
@settings(max_examples=30)
def test_the_order_of_photos_makes_no_difference_to_a_bit(seed: int, people: int, photos: int) -> None:
    rng = np.random.default_rng(seed)
    all_photos = np.concatenate([photos_of(rng, photos) for _ in range(people)])
    assert np.array_equal(centres(all_photos), centres(rng.permutation(all_photos)))


def test_distances_are_those_of_the_plain_formula() -> None:
    rng = np.random.default_rng(4)
    probes, rows = rng.normal(size=(3, 128)), rng.normal(size=(5, 128))
    plain = np.linalg.norm(probes[:, None] - rows[None], axis=2)
    assert distances(probes, rows) == pytest.approx(plain)


@given(base=st.floats(0.2, 1), near=DISTANCES, far=DISTANCES)
def test_the_threshold_in_force_rises_with_the_second_persons_distance_and_never_above_the_base(
    base: float, near: float, far: float
) -> None:
    near, far = sorted((near, far))
    assert 0 <= threshold_in_force(base, near) <= threshold_in_force(base, far) <= base
    assert threshold_in_force(base, None) == base


@given(base=st.floats(0.25, 1), first=st.floats(0, FAR), lead=st.floats(0, 0.5))
def test_a_match_is_a_distance_that_is_small_less_half_its_lead_over_the_second(
    base: float, first: float, lead: float
) -> None:
    second = min(first + lead, FAR)
    # What the margin rule of the literature bounds: d1 - (d2 - d1) / 2.
    score, bound = first - (second - first) / 2, base + (base - FAR) / 2
    if abs(score - bound) > 1e-9:
        assert (first <= threshold_in_force(base, second)) == (score <= bound)


@given(base=st.floats(0.25, 1), first=st.floats(0, 1), lead=st.floats(0, 1))
def test_with_its_toll_a_distance_is_the_base_threshold_from_which_on_it_matches(
    base: float, first: float, lead: float
) -> None:
    named_from = first + float(toll(np.asarray(first + lead)))
    if abs(named_from - base) > 1e-9:
        assert (first <= threshold_in_force(base, first + lead)) == (named_from <= base)


def test_the_very_photo_that_was_enrolled_matches_even_with_a_double_beside_it() -> None:
    assert threshold_in_force(0.1, 0.0) == 0.0
    assert threshold_in_force(base_threshold(1_000_000, RATE), 0.0) > 0


@given(few=SIZES, many=SIZES, rate=RATES)
@settings(max_examples=40, deadline=None)
def test_the_threshold_falls_as_the_gallery_grows(few: int, many: int, rate: float) -> None:
    few, many = sorted((few, many))
    assert 0 <= base_threshold(many, rate) <= base_threshold(few, rate) + 1e-6 < FARTHEST


@given(people=SIZES, strict=RATES, lax=RATES)
@settings(max_examples=40, deadline=None)
def test_the_threshold_rises_with_the_stranger_rate(people: int, strict: float, lax: float) -> None:
    strict, lax = sorted((strict, lax))
    assert base_threshold(people, strict) <= base_threshold(people, lax) + 1e-6


@given(people=SIZES, rate=RATES)
@settings(max_examples=40, deadline=None)
def test_at_the_threshold_the_rate_is_the_one_that_was_asked_for(people: int, rate: float) -> None:
    assert strangers_named(base_threshold(people, rate), people) == pytest.approx(rate, rel=0.01)


@pytest.mark.parametrize("people", [1, 10, 1_000_000])
def test_who_allows_every_stranger_to_be_named_has_no_threshold(people: int) -> None:
    assert base_threshold(people, 1.0) == pytest.approx(FARTHEST, abs=1e-5)


def test_an_empty_gallery_has_the_threshold_of_one_person() -> None:
    assert base_threshold(0, RATE) == base_threshold(1, RATE)


@pytest.mark.parametrize(("people", "threshold"), [(1, 0.610), (2, 0.588), (50, 0.513), (1000, 0.478), (10**6, 0.408)])
def test_thresholds_are_the_ones_that_were_measured_and_told(people: int, threshold: float) -> None:
    assert base_threshold(people, RATE) == pytest.approx(threshold, abs=0.001)


@pytest.mark.parametrize("people", [1, 5, 100])
def test_of_strangers_as_the_model_has_them_just_the_stated_share_is_named(people: int) -> None:
    rng = np.random.default_rng(5)
    apart = np.sort(rng.normal(MEAN, SPREAD, size=(40_000, people)), axis=1)
    taken = toll(apart[:, 1]) if people > 1 else 0.0
    named = (apart[:, 0] + taken <= base_threshold(people, 0.02)).mean()
    assert named == pytest.approx(0.02, abs=0.0025)


def test_a_second_person_takes_a_third_of_what_they_are_nearer_than_far() -> None:
    assert 0.5 - threshold_in_force(0.5, 0.4) == pytest.approx(MARGIN * (FAR - 0.4))
