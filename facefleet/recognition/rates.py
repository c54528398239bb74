"""How often something happens, and how sure that is where searches are not independent of each other.

Photos of one person fail together, one person's photos are searched for in many galleries, and one enrolled person
may be the one whom many strangers are taken for. So what is drawn again by chance, a thousand times, is not searches
but people (bootstrap: Efron 1979; people on both sides of a comparison, each with one weight: Owen 2007, *The
pigeonhole bootstrap*). The interval is made at least as wide as that of Wilson (1927) for as many independent tries
as there are different photos, because a bootstrap of what never happened says that it never will.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from facefleet.recognition.identification import Floats
from facefleet.recognition.trials import Searches, joined

#: Of the standard normal distribution, 95 % lie within this of 0.
Z95 = 1.959964
DRAWS = 1000
#: The same chance every time: two runs on the same photos tell the same.
SEED = 1


@dataclass(frozen=True, slots=True)
class Rate:
    """A share, 0 to 1, and its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False, slots=True)
class Pool:
    """Searches of many trials, and which of them were given a name at their trial's threshold."""

    searches: Searches
    is_named: NDArray[np.bool_]


def pooled(found: Iterable[tuple[Searches, float]]) -> Pool:
    """The searches of trials, each with the base threshold that held in it."""
    parts = list(found)
    named = [searches.named_from <= threshold for searches, threshold in parts]
    return Pool(joined([searches for searches, _ in parts]), np.concatenate(named))


def share_right(pool: Pool) -> Rate | None:
    """The share of mated searches that were given the right name; None where there are no searches."""
    searches = pool.searches
    return _rate(searches, pool.is_named & (searches.named == searches.person), both_sides=False)


def share_named(pool: Pool) -> Rate | None:
    """The share of searches given a name, all for people not in the gallery; None where there are no searches."""
    return _rate(pool.searches, pool.is_named, both_sides=True)


def wilson(value: float, tries: float) -> tuple[float, float]:
    """The 95 % interval of a share seen in so many independent tries (Wilson 1927)."""
    z2 = Z95**2
    middle = (value + z2 / (2 * tries)) / (1 + z2 / tries)
    half = Z95 * sqrt(value * (1 - value) / tries + z2 / (4 * tries**2)) / (1 + z2 / tries)
    return max(0.0, middle - half), min(1.0, middle + half)


def clustered(events: Floats, tries: Floats, independent: int) -> Rate | None:
    """The share of events among tries, counted for each person, shape (people,), or pair of people, (people, people).

    `independent` is the most independent tries that there may have been. None where there were no tries.
    """
    total = float(tries.sum())
    if not total:
        return None
    value = float(events.sum()) / total
    count = len(tries)
    weights = np.random.default_rng(SEED).multinomial(count, np.full(count, 1 / count), size=DRAWS).astype(np.float64)
    drawn = _weighted(weights, tries)
    shares = _weighted(weights, events)[drawn > 0] / drawn[drawn > 0]
    low, high = wilson(value, max(1, independent))
    bounds = np.quantile(shares, [0.025, 0.975]) if len(shares) else np.array([value, value])
    return Rate(value, min(low, float(bounds[0])), max(high, min(1.0, float(bounds[1]))))


def _rate(searches: Searches, happened: NDArray[np.bool_], *, both_sides: bool) -> Rate | None:
    if not len(happened):
        return None
    # Numbers without gaps: only people of these searches are drawn.
    people, places = np.unique(np.concatenate([searches.person, searches.named]), return_inverse=True)
    person, named = places[: len(happened)], places[len(happened) :]
    independent = len(np.unique(searches.photo))
    tries = np.bincount(person, minlength=len(people)).astype(np.float64)
    if not both_sides:
        return clustered(np.bincount(person, happened, len(people)).astype(np.float64), tries, independent)
    events = np.zeros((len(people), len(people)))
    np.add.at(events, (person, named), happened)
    return clustered(events, tries, independent)


def _weighted(weights: Floats, counts: Floats) -> Floats:
    """The sum of the counts for each draw, those of a pair of people with the weights of both."""
    sums = weights @ counts
    return np.asarray(sums if counts.ndim == 1 else (sums * weights).sum(axis=1))
