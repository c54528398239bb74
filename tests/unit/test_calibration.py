"""Error rates and chosen thresholds, on made-up people whose rates are known."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.random import Generator

from bench.openset import NEAREST
from facefleet.cli.figures import draw, in_words, report
from facefleet.model import Box
from facefleet.recognition import trials
from facefleet.recognition.calibration import BASES, Calibration, Pairs, calibrated
from facefleet.recognition.choosing import (
    Chooser,
    Course,
    Measured,
    built_in,
    cross_validated,
    fitted,
    measured,
    observed,
    outsiders,
    recommended,
)
from facefleet.recognition.encoder import EncodedFace
from facefleet.recognition.identification import base_threshold
from facefleet.recognition.labelled import Labelled, albums, central, split_known, stranger_albums
from facefleet.recognition.rates import Rate

COURSE = Course(enrol=3, splits=4)
RATE = 0.05
#: What two people have in common, what sets one apart, and what differs from photo to photo; and in how many of the
#: 128 directions people differ: distances come out with about the mean and spread of dlib's.
COMMON, PERSON, PHOTO, DIRECTIONS = 1.3, 0.52, 0.28, 24


def people(
    rng: Generator, count: int, photos: int, *, name: str = "person", noise: float = PHOTO, faceless: int = 0
) -> list[Labelled]:
    """Made-up people, each with so many photos."""
    middle = np.zeros(128)
    middle[0] = COMMON
    found = []
    for i in range(count):
        centre = middle.copy()
        centre[1 : DIRECTIONS + 1] = PERSON * rng.normal(size=DIRECTIONS) / np.sqrt(DIRECTIONS)
        encodings = centre + noise * rng.normal(size=(photos, 128)) / np.sqrt(128)
        found.append(Labelled(f"{name} {i}", encodings.astype(np.float32), faceless))
    return found


@pytest.fixture(scope="module")
def known() -> list[Labelled]:
    return people(np.random.default_rng(1), 24, 6)


@pytest.fixture(scope="module")
def strangers() -> list[Labelled]:
    return people(np.random.default_rng(2), 60, 1, name="stranger")


@pytest.fixture(scope="module")
def calibration(known: list[Labelled], strangers: list[Labelled]) -> Calibration:
    groups = {person.name: "odd" if i % 2 else "even" for i, person in enumerate(known)}
    return calibrated(known, strangers, RATE, COURSE, groups)


def rate(found: Rate | None) -> Rate:
    assert found is not None
    return found


def names(of: Sequence[Labelled]) -> set[str]:
    return {person.name for person in of}


def test_nobody_is_in_both_halves_of_a_split(known: list[Labelled], strangers: list[Labelled]) -> None:
    for (one, tried), (other, _) in COURSE.pairs(known, strangers):
        assert names(one.people).isdisjoint(names(other.people))
        assert len(one.people) + len(other.people) == len(known) + len(strangers)
        assert set(tried.mated.named) <= set(one.numbers[: len(one.known)])


def test_the_same_seed_gives_the_same_trials_and_another_seed_others(
    known: list[Labelled], strangers: list[Labelled]
) -> None:
    first, again, other = (
        measured(cross_validated(known, strangers, fitted(RATE, c), c), left_out=True)
        for c in (COURSE, COURSE, Course(enrol=3, splits=4, seed=2))
    )
    assert first == again != other


def test_no_enrolled_photo_is_searched_for(known: list[Labelled]) -> None:
    """Enrolled and asked for at once it would lie at no distance: nobody could be told wrong."""
    trial = trials.trial(trials.everybody(known, []), NEAREST, 3, np.random.default_rng(1))
    assert trial.mated.named_from.min() > 0.01
    assert len(trial.mated.person) == 3 * len(known) == len(np.unique(trial.mated.photo))


def test_a_photo_without_a_face_is_a_known_person_not_named(known: list[Labelled]) -> None:
    half_faceless = [Labelled(person.name, person.encodings, faceless=3) for person in known]
    found = measured(cross_validated(half_faceless, [], lambda *_: 9.0, COURSE), left_out=True)
    assert rate(found.known_right).value == 0.5
    assert rate(found.strangers_named).value == 1.0


def test_somebody_left_out_of_the_gallery_is_a_stranger_to_it(known: list[Labelled]) -> None:
    trial = trials.trial(trials.everybody(known, []), trials.OWN, 3, np.random.default_rng(1))
    assert not (trial.left_out.named == trial.left_out.person).any()
    assert (trial.left_out.named_from > trial.mated.named_from).mean() > 0.9
    assert len(outsiders(trial).person) == len(trial.left_out.person)


def test_who_is_left_out_of_a_gallery_of_two_is_compared_with_the_other_alone() -> None:
    part = trials.everybody(people(np.random.default_rng(1), 2, 4), [])
    trial = trials.trial(part, trials.OWN, 3, np.random.default_rng(1))
    assert np.isfinite(trial.left_out.named_from).all()


@pytest.mark.parametrize("choose", [fitted(RATE, COURSE), observed(RATE)], ids=["fitted", "observed"])
def test_a_chosen_threshold_names_about_as_many_strangers_as_wanted_and_knows_most_people(
    choose: Chooser, known: list[Labelled], strangers: list[Labelled]
) -> None:
    found = measured(cross_validated(known, strangers, choose, COURSE), left_out=True)
    named = rate(found.strangers_named)
    assert named.low <= RATE <= named.high
    assert rate(found.known_right).value > 0.9


def test_a_curve_that_does_not_fit_gives_way_to_the_strangers_seen() -> None:
    """Everybody has a twin: distances have two humps, and the mean and spread of both say nothing of twins."""
    rng = np.random.default_rng(3)
    singles = people(rng, 40, 5)
    twins = [
        Labelled(f"twin of {p.name}", (p.encodings + 0.1 * rng.normal(size=(5, 128)) / 11.3).astype(np.float32))
        for p in singles
    ]
    course = Course(enrol=3, splits=2)
    part = trials.everybody(singles[:20] + twins[20:], twins[:20] + singles[20:])
    trial = trials.trial(part, trials.OWN, 3, rng)
    threshold = fitted(RATE, course)(part, trial, 40)
    assert threshold == observed(RATE)(part, trial, 40) < built_in(RATE)(part, trial, 40)


def test_the_observed_threshold_names_no_more_than_the_share_asked_for(
    known: list[Labelled], strangers: list[Labelled]
) -> None:
    part = trials.everybody(known, strangers)
    trial = trials.trial(part, trials.OWN, 3, np.random.default_rng(1))
    threshold = observed(RATE)(part, trial, 24)
    searches = outsiders(trial)
    shares = [
        (searches.named_from[searches.person == person] <= threshold).mean() for person in np.unique(searches.person)
    ]
    assert 0 < np.mean(shares) <= RATE


def test_the_recommended_rate_makes_the_built_in_threshold_the_recommended_one(
    known: list[Labelled], strangers: list[Labelled]
) -> None:
    suits = recommended(known, strangers, RATE, COURSE)
    assert base_threshold(suits.people, suits.stranger_rate) == pytest.approx(suits.threshold, abs=1e-4)


def test_faces_that_are_more_alike_get_a_lower_threshold_and_a_lower_rate(known: list[Labelled]) -> None:
    alike = [Labelled(p.name, p.encodings + np.float32(0.4) * np.eye(1, 128, dtype=np.float32)) for p in known]
    usual, lower = recommended(known, [], RATE, COURSE), recommended(alike, [], RATE, COURSE)
    assert lower.mean < usual.mean
    assert lower.threshold < usual.threshold and lower.stranger_rate < usual.stranger_rate


def test_pairs_of_one_person_and_of_two_are_counted_apart() -> None:
    two = [Labelled("a", np.eye(3, 128, dtype=np.float32)[:2]), Labelled("b", np.eye(3, 128, dtype=np.float32)[2:])]
    pairs = Pairs.of(two, np.random.default_rng(1))
    # All three are at a right angle to each other.
    apart = float(pairs.distances[0])
    assert (rate(pairs.fmr(apart + 0.01)).value, rate(pairs.fnmr(apart + 0.01)).value) == (1.0, 0.0)
    assert (rate(pairs.fmr(apart - 0.01)).value, rate(pairs.fnmr(apart - 0.01)).value) == (0.0, 1.0)


def test_both_errors_of_verification_run_against_each_other(calibration: Calibration) -> None:
    fmr = [rate(row.fmr).value for row in calibration.verification]
    fnmr = [rate(row.fnmr).value for row in calibration.verification]
    assert fmr == sorted(fmr) and fnmr == sorted(fnmr, reverse=True)
    assert fmr[0] < 0.01 < 0.05 < fmr[-1] and fnmr[-1] < 0.01


def test_with_the_threshold_more_known_people_and_more_strangers_are_named(calibration: Calibration) -> None:
    assert [row.threshold for row in calibration.identification] == list(BASES)
    for one in ("known_right", "strangers_named"):
        values = [rate(getattr(row, one)).value for row in calibration.identification]
        assert values == sorted(values)


def test_a_group_is_measured_on_its_own_people(known: list[Labelled], calibration: Calibration) -> None:
    assert [(group.name, group.people) for group in calibration.groups] == [("even", 12), ("odd", 12)]
    right = [rate(group.known_right).value for group in calibration.groups]
    assert np.mean(right) == pytest.approx(rate(calibration.chosen.known_right).value)


def test_a_group_whose_photos_are_worse_is_told(known: list[Labelled]) -> None:
    blurred = people(np.random.default_rng(7), 12, 6, name="blurred", noise=0.6)
    groups = {p.name: "sharp" for p in known} | {p.name: "blurred" for p in blurred}
    worse, better = calibrated([*known, *blurred], [], RATE, COURSE, groups).groups
    assert rate(worse.known_right).high < rate(better.known_right).low


def test_the_report_has_plain_numbers_only_and_says_what_to_set(calibration: Calibration) -> None:
    figures = report(calibration)
    assert set(figures["recommended"]) == {"people", "threshold", "stranger_rate", "mean", "spread"}
    assert set(figures["chosen"]["known_right"]) == {"value", "low", "high"}
    assert set(figures["identification_curve"][0]) == {"threshold", "known_right", "strangers_named"}
    about = {"people": 24, "strangers": 60, "photos_without_face": 0, "enrol": 3, "stranger_rate": RATE}
    assert any("set FACEFLEET_STRANGER_RATE=" in line for line in in_words(calibration, about))


def test_the_picture_is_a_png_file(calibration: Calibration, tmp_path: Path) -> None:
    draw(calibration, RATE, tmp_path / "rates")
    assert (tmp_path / "rates").read_bytes().startswith(b"\x89PNG")


def test_a_measurement_without_strangers_or_people_left_out_has_no_rate_of_them(known: list[Labelled]) -> None:
    found = measured(cross_validated(known, [], lambda *_: 0.5, COURSE), left_out=False)
    assert isinstance(found, Measured) and found.strangers_named is None


def test_who_has_too_few_photos_to_be_asked_for_is_a_stranger_and_who_has_none_is_nobody() -> None:
    rng = np.random.default_rng(8)
    enough, few = people(rng, 1, 4, name="enough"), people(rng, 1, 3, name="few")
    none = [Labelled("none", np.empty((0, 128), np.float32), faceless=5)]
    assert split_known([*enough, *few, *none], 3) == (enough, few)


def test_of_several_faces_the_one_in_the_middle_is_meant() -> None:
    nothing = np.zeros(128, np.float32), np.zeros((150, 150, 3), np.uint8)
    aside, middle = (EncodedFace(Box(x, 40, x + 20, 60), *nothing) for x in (0, 45))
    assert central([aside, middle], 100, 100) is middle


def test_albums_are_folders_with_photos_and_loose_photos_are_strangers(tmp_path: Path) -> None:
    for name in ("b/1.jpg", "b/2.PNG", "b/notes.txt", "a/1.jpg", ".hidden/1.jpg", "empty/notes.txt", "loose.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [(name, len(photos)) for name, photos in albums(tmp_path)] == [("a", 1), ("b", 2)]
    assert [name for name, _ in stranger_albums(tmp_path)] == ["a", "b", "loose.jpg"]
