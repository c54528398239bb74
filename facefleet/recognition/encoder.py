"""The model: a picture in, its faces with their encodings out."""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil, floor
from pathlib import Path

import dlib
import numpy as np
from numpy.typing import NDArray

from facefleet.model import Box
from facefleet.recognition.detector import Detector
from facefleet.recognition.images import Area, Picture, Pixels
from facefleet.recognition.network import load_network
from facefleet.recognition.trained import open_landmarks
from facefleet.recognition.weights import CHIP_SIDE

#: 128 float32: faces of one person lie nearer to each other than to others' (http://blog.dlib.net/2017/02).
Encoding = NDArray[np.float32]

#: A chip, what the network sees of a face, has a quarter of its size around it.
CHIP_PADDING = 0.25
#: A face is aligned from an image in which it is at least so wide, or from the full size: more a chip cannot show.
ALIGNED_SIDE = 120.0
#: What lies around a face that a chip may show, in widths of the face's box.
AROUND = 1.0


@dataclass(frozen=True, slots=True)
class EncodedFace:
    """A face as it was found, its encoding, and the chip that this was made of."""

    box: Box
    encoding: Encoding
    #: What the network saw: uint8, shape (150, 150, 3).
    chip: Pixels = field(repr=False)


#: The seam: whoever finds and encodes faces looks like this. Boxes are in the picture's pixels; any order.
Encoder = Callable[[Picture], list[EncodedFace]]


def open_encoder(models: Path, *, smallest_face: float) -> Encoder:
    """Detection, 5-point alignment, and dlib's network, whose converted file is kept in the folder `models`.

    `smallest_face`: a share of the picture's longer side or, from 1 on, pixels. Raises `Unavailable`.
    """
    # First, because it makes the folder's files.
    network = load_network(models)
    detector = Detector(models, smallest_face=smallest_face)
    landmarks = open_landmarks(models)

    def encode(picture: Picture) -> list[EncodedFace]:
        areas = detector.find(picture)
        if not areas:
            return []
        chips = [chip_of(picture, area, landmarks) for area in areas]
        return [
            EncodedFace(_box(picture, area), encoding, chip)
            for area, encoding, chip in zip(areas, network(np.stack(chips)), chips, strict=True)
        ]

    return encode


def chip_of(picture: Picture, area: Area, landmarks: "dlib.shape_predictor") -> Pixels:
    """The face turned upright and cut out, as dlib does it before it encodes."""
    left, top, right, bottom = area
    across, down = AROUND * (right - left), AROUND * (bottom - top)
    around = (floor(left - across), floor(top - down), ceil(right + across), ceil(bottom + down))
    pixels, (x, y), factor = picture.cut(around, min(1.0, ALIGNED_SIDE / (right - left)))
    place = dlib.rectangle(
        round(left * factor) - x,
        round(top * factor) - y,
        round(right * factor) - 1 - x,
        round(bottom * factor) - 1 - y,
    )
    chip: Pixels = dlib.get_face_chip(pixels, landmarks(pixels, place), CHIP_SIDE, CHIP_PADDING)
    return chip


def _box(picture: Picture, area: Area) -> Box:
    left, top, right, bottom = area
    return Box(
        max(round(left), 0), max(round(top), 0), min(round(right), picture.width), min(round(bottom), picture.height)
    )
