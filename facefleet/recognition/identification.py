"""When is a face somebody's? The decision rule: pure functions of encodings, distances and the gallery's size.

Four things make it name few strangers and still most people that it knows. Figures: known people named right, in
galleries of 50 people × 3 photos, where one stranger in a hundred is named (LFW, 99 people × 6 photos and 196
strangers, 200 galleries drawn by chance; 21 November 2026).

1. Only an encoding's direction counts. Its length tells of the photo, not of the person: faces with short ones lie
   near to everybody. 87.7 % without, 94.3 % with.
2. A person is the mean of their photos, not the nearest of them: 94.3 %, not 91.2 %.
3. The threshold falls where a second person is almost as near: 95.2 %; in galleries of 90, 94.3 % and not 90.5 %.
4. The mean of many photos lies nearer to everybody, strangers too, than a single photo, and is set off for that:
   people with one photo, among others with more, are named right in 80 of 100 cases, not in 70.

The threshold itself follows the gallery's size and the stranger rate: `base_threshold`.
"""

from functools import lru_cache
from math import erfc, log1p, pi, sqrt

import numpy as np
from numpy.typing import NDArray

Encodings = NDArray[np.float32]
Floats = NDArray[np.float64]

#: What every encoding's length is made: the mean on LFW, so that distances are about what dlib's users know.
LENGTH = 1.43
#: Photos of one person that are farther apart than this are not averaged: those are two people under one name, or
#: somebody who changed. On LFW 1 % of the pairs of two people are nearer, and 2 % of one person's are farther.
SPLIT = 0.61
#: A centre is made longer by this, the more the more photos are behind it, and so lies farther from everybody: by
#: 0.04 for three photos. Strangers lie at 0.817 from one photo, on average, at 0.790 from the mean of 2, 0.779 of 3
#: and 0.772 of 5. A length needs no number beside the row, and an index of rows nothing but plain distances.
STRETCH = 0.12
#: A second person at this distance or beyond says nothing: that is where one stands by chance.
FAR = 0.65
#: How far the threshold falls for each step that the second person is nearer than `FAR`.
MARGIN = 1 / 3
#: Distances between photos of two people are as good as normal: with these two numbers the quantiles from 50 % down
#: to 0.01 % agree to 0.008 (260,000 pairs of 295 people, LFW, 21 November 2026).
MEAN = 0.814
SPREAD = 0.0877
#: No two encodings of `LENGTH` are farther apart.
FARTHEST = 2 * LENGTH
#: Below this the normal curve holds nothing that counts, in spreads.
TAIL = 8.0
#: Points of the integral, and halvings of the interval in which the threshold is looked for: good to 1e-6.
POINTS, HALVINGS = 400, 22


def scaled(encodings: NDArray[np.floating]) -> Encodings:
    """The encodings, rows or a single one, each made `LENGTH` long; zeros stay zeros."""
    lengths = np.linalg.norm(encodings, axis=-1, keepdims=True)
    return np.asarray(encodings * (LENGTH / np.maximum(lengths, np.finfo(np.float32).tiny)), dtype=np.float32)


def centres(encodings: NDArray[np.floating]) -> Encodings:
    """A person's centres: the mean of the photos, or one mean for each group of photos that are like each other.

    Groups are joined, the two nearest first, as long as their photos are less than `SPLIT` apart on average (average
    linkage: Sokal and Michener 1958). The photos' order does not matter. Probes are compared with the rows as they are,
    by plain distance, once `scaled`.
    """
    # In an order of their own, so that sums and ties come out the same whatever order they were enrolled in.
    sums = np.array(sorted(scaled(encodings).tolist()), dtype=np.float64).reshape(-1, encodings.shape[-1])
    photos = np.ones(len(sums), dtype=np.intp)
    apart = distances(sums, sums)
    np.fill_diagonal(apart, np.inf)
    while len(sums) > 1 and apart.min() < SPLIT:
        i, j = sorted(divmod(int(apart.argmin()), len(sums)))
        apart[i] = apart[:, i] = (photos[i] * apart[i] + photos[j] * apart[j]) / (photos[i] + photos[j])
        sums[i], photos[i] = sums[i] + sums[j], photos[i] + photos[j]
        sums, photos = np.delete(sums, j, axis=0), np.delete(photos, j)
        apart = np.delete(np.delete(apart, j, axis=0), j, axis=1)
    return scaled(sums) * (1 + STRETCH * (1 - 1 / photos)).astype(np.float32)[:, None]


def distances(probes: NDArray[np.floating], rows: NDArray[np.floating]) -> Floats:
    """Euclidean distances of each probe to each row, shape (probes, rows)."""
    a, b = probes.astype(np.float64), rows.astype(np.float64)
    squares = (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1)[None, :] - 2 * (a @ b.T)
    return np.asarray(np.sqrt(np.maximum(squares, 0)))


def toll(runner_up: Floats) -> Floats:
    """What a second person at this distance takes off the threshold."""
    return np.asarray(MARGIN * (FAR - np.minimum(runner_up, FAR)))


def threshold_in_force(base: float, runner_up: float | None) -> float:
    """The threshold for one face: never above `base`, and lower where a second person (None: there is none) is near.

    The same as a bound on d1 - (d2 - d1) / 2, the distance less half the lead over the second, for all d2 < `FAR`.
    """
    taken = 0.0 if runner_up is None else float(toll(np.asarray(runner_up, dtype=np.float64)))
    # The very photo that was enrolled is its person's, whoever else is near.
    return max(0.0, base - taken)


def strangers_named(base: float, people: int, *, mean: float = MEAN, spread: float = SPREAD) -> float:
    """The share of strangers whom a gallery of so many people names, at this base threshold.

    A stranger is named as somebody at distance x if all others are far enough for x to be below the threshold in
    force. Summed over the people and x, with independent normal distances; without the margin this is the
    well-known 1 - (1 - p)^N. On LFW, the data that `MEAN` and `SPREAD` are from, 0.6 to 1.1 % of strangers were named
    where this says 1 %, and 1.9 to 3.4 % where it says 3 %, in galleries of 1 to 95 people with 1 to 5 photos; with
    270 people and one photo, 0.4 and 1.4 %. It errs towards fewer as galleries grow; beyond those it is extrapolated.
    """
    x = np.linspace(mean - TAIL * spread, min(base, mean + TAIL * spread), POINTS)
    if x[-1] <= x[0]:
        return 0.0
    density = np.exp(-0.5 * ((x - mean) / spread) ** 2) / (spread * sqrt(2 * pi))
    # The others must be farther than x itself, and far enough that their toll leaves x below the threshold.
    others = np.maximum(x, FAR - (base - x) / MARGIN)
    all_farther = [(people - 1) * _log_farther((other - mean) / spread) for other in others]
    return float(min(1.0, np.trapezoid(people * density * np.exp(all_farther), x)))


def _log_farther(z: float) -> float:
    """The logarithm of the chance to be above z, exact where that is almost sure."""
    nearer = erfc(-z / sqrt(2)) / 2
    return log1p(-min(nearer, 1 - 1e-15))


@lru_cache(maxsize=1024)
def base_threshold(people: int, stranger_rate: float, mean: float = MEAN, spread: float = SPREAD) -> float:
    """The highest threshold at which a gallery of so many people names no more than this share of strangers.

    It falls with the gallery's size and rises with the rate; beyond it nobody is named, whoever else is near.
    Distances of other faces than LFW's have other means and spreads: `facefleet calibrate` measures them.
    """
    low, high = 0.0, FARTHEST
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        named = strangers_named(middle, max(1, people), mean=mean, spread=spread)
        low, high = (low, middle) if named > stranger_rate else (middle, high)
    return low
