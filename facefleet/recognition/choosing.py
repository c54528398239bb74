"""Ways to choose the threshold on some people, and how they fare with others.

Nobody is used for both choosing a threshold and measuring it: people are dealt into two halves by chance, each half
in turn gives the threshold that the other is measured at, and that many times over. For words see `trials`, for
intervals `rates`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from facefleet.recognition import trials
from facefleet.recognition.identification import Floats, base_threshold, strangers_named
from facefleet.recognition.labelled import Labelled
from facefleet.recognition.rates import Rate, pooled, share_named, share_right, wilson
from facefleet.recognition.trials import Part, Rule, Searches, Trial, joined
from facefleet.settings import LEAST_STRANGER_RATE, MOST_STRANGER_RATE

#: Distances that are all but the same have still some spread, or no curve could be drawn through them.
LEAST_SPREAD = 1e-3

#: Chooses a base threshold on one part of the people and its trial, for galleries of so many.
Chooser = Callable[[Part, Trial, int], float]


@dataclass(frozen=True, slots=True)
class Course:
    """How people are tried: photos enrolled of each, splits into halves, the seed of all chance, and the rule."""

    enrol: int = 3
    splits: int = 20
    seed: int = 1
    rule: Rule = trials.OWN

    def pairs(
        self, known: Sequence[Labelled], strangers: Sequence[Labelled]
    ) -> Iterator[tuple[tuple[Part, Trial], tuple[Part, Trial]]]:
        """The halves of every split with their trials; the same, in the same order, every time."""
        rng = np.random.default_rng(self.seed)
        return trials.trial_pairs(known, strangers, self.splits, self.rule, self.enrol, rng)


@dataclass(frozen=True, slots=True)
class Measured:
    """What a way of choosing comes to, in galleries of `people`; `threshold` is the mean of the base thresholds."""

    people: int
    threshold: float
    known_right: Rate | None
    strangers_named: Rate | None


@dataclass(frozen=True, slots=True)
class Recommended:
    """For a gallery of all `people`: the base threshold and, better, the rate to set, which follows its growth.

    `mean` and `spread` are those of the distances between photos of two people.
    """

    people: int
    threshold: float
    stranger_rate: float
    mean: float
    spread: float


def fitted(stranger_rate: float, course: Course) -> Chooser:
    """Chooses by the mean and spread of the distances between two people's photos, as the built-in threshold does.

    A one-in-a-hundred event is seen once or twice among the strangers of a part, while mean and spread rest on
    thousands of pairs: thresholds from parts of LFW strayed by 0.005 so, and by 0.018 when taken from the strangers
    seen. Those count only where too many of them are named for the curve to be right: more than the rate allows, at
    the lower end of the interval.
    """

    def choose(part: Part, trial: Trial, people: int) -> float:
        threshold = base_threshold(people, stranger_rate, *mean_and_spread(part, course))
        searches = outsiders(trial)
        named = float(_weights(searches)[searches.named_from <= threshold].sum())
        if wilson(named, len(np.unique(searches.person)))[0] <= stranger_rate:
            return threshold
        return observed(stranger_rate)(part, trial, people)

    return choose


def observed(stranger_rate: float) -> Chooser:
    """Chooses the highest threshold at which no more than this share of the strangers seen is named."""

    def choose(part: Part, trial: Trial, people: int) -> float:
        searches = outsiders(trial)
        order = np.argsort(searches.named_from)
        shares = np.cumsum(_weights(searches)[order])
        one_too_many = min(int(np.searchsorted(shares, stranger_rate, side="right")), len(order) - 1)
        return float(np.nextafter(searches.named_from[order][one_too_many], 0))

    return choose


def built_in(stranger_rate: float) -> Chooser:
    """Chooses what the service does without any calibration."""
    return lambda part, trial, people: base_threshold(people, stranger_rate)


def cross_validated(
    known: Sequence[Labelled], strangers: Sequence[Labelled], choose: Chooser, course: Course
) -> list[tuple[Trial, float]]:
    """Each half's trial, with the threshold that was chosen on the other half."""
    found = []
    for one, other in course.pairs(known, strangers):
        for (part, chosen_on), (_, measured_on) in ((one, other), (other, one)):
            found.append((measured_on, choose(part, chosen_on, measured_on.people)))
    return found


def measured(found: Sequence[tuple[Trial, float]], *, left_out: bool) -> Measured:
    """The rates over all trials. `left_out`: known people count as strangers, too, to the gallery without them."""
    strange = [(outsiders(trial) if left_out else trial.strangers, threshold) for trial, threshold in found]
    return Measured(
        max(trial.people for trial, _ in found),
        float(np.mean([threshold for _, threshold in found])),
        share_right(pooled((trial.mated, threshold) for trial, threshold in found)),
        share_named(pooled(strange)),
    )


def recommended(
    known: Sequence[Labelled], strangers: Sequence[Labelled], stranger_rate: float, course: Course
) -> Recommended:
    """What suits a gallery of all known people, chosen on everybody; how well that does, `cross_validated` tells."""
    part = trials.everybody(known, strangers)
    trial = trials.trial(part, course.rule, course.enrol, np.random.default_rng(course.seed))
    threshold = fitted(stranger_rate, course)(part, trial, len(known))
    rate = min(max(strangers_named(threshold, len(known)), LEAST_STRANGER_RATE), MOST_STRANGER_RATE)
    return Recommended(len(known), threshold, rate, *mean_and_spread(part, course))


def outsiders(trial: Trial) -> Searches:
    """The searches for people not in the gallery: strangers, and known people to the gallery without them."""
    return joined([trial.strangers, trial.left_out])


def mean_and_spread(part: Part, course: Course) -> tuple[float, float]:
    """Of the distances between photos of two people."""
    apart = trials.impostor_distances(part.people, course.enrol, np.random.default_rng(course.seed))
    return float(apart.mean()), max(float(apart.std()), LEAST_SPREAD)


def _weights(searches: Searches) -> Floats:
    """Weights that make each person count the same, 1 in all."""
    people, places, counts = np.unique(searches.person, return_inverse=True, return_counts=True)
    return np.asarray(1 / (len(people) * counts[places]))
