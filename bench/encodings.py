"""Encodings of people who do not exist, as far apart as those of people who do.

After what dlib's network says of Labelled Faces in the Wild (295 people): about a mean of length 1.3, people vary along
few of 128 directions (`BETWEEN`) and photos of one person along more (`WITHIN`); both are turned at random. With the
mean of three photos enrolled, two people are 0.72 apart in the median, and another photo 0.37 (0.32 to 0.42) from its
own person. Isotropic encodings vary as much, along all directions alike.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facefleet.recognition.identification import scaled
from facefleet.recognition.index import Rows
from facefleet.recognition.weights import DIMENSIONS

MEAN_LENGTH = 1.3
#: Variance along each direction, as it falls, and its sum over all.
PLACES = np.arange(DIMENSIONS)
BETWEEN = 1 / (1 + PLACES / 2.5) * np.exp(-((PLACES / 70) ** 2))
WITHIN = np.exp(-PLACES / 33)
BETWEEN_SUM, WITHIN_SUM = 0.235, 0.103


@dataclass(frozen=True)
class Faces:
    """Where faces come from: how people differ, and how a person's photos do, in some turned space."""

    between: NDArray[np.float64]
    within: NDArray[np.float64]
    turn: NDArray[np.float64]
    mean: NDArray[np.float64]
    rng: np.random.Generator

    @classmethod
    def like(cls, *, isotropic: bool) -> "Faces":
        rng = np.random.default_rng(0)
        between, within = (np.ones(DIMENSIONS), np.ones(DIMENSIONS)) if isotropic else (BETWEEN, WITHIN)
        mean = rng.normal(size=DIMENSIONS)
        return cls(
            np.sqrt(between * (BETWEEN_SUM / between.sum())),
            np.sqrt(within * (WITHIN_SUM / within.sum())),
            np.linalg.qr(rng.normal(size=(DIMENSIONS, DIMENSIONS)))[0],
            mean * (MEAN_LENGTH / np.linalg.norm(mean)),
            rng,
        )

    def people(self, count: int) -> NDArray[np.float64]:
        return self.rng.normal(size=(count, DIMENSIONS)) * self.between

    def photos(self, people: NDArray[np.float64], *, averaged: int = 1) -> Rows:
        """An encoding of each, the mean of so many photos, as long as a gallery holds them."""
        noise = self.rng.normal(size=people.shape) * self.within / np.sqrt(averaged)
        return scaled((people + noise) @ self.turn + self.mean)
