"""Where faces may be: the first two networks of MTCNN, small and quick to say "surely not here".

K. Zhang, Z. Zhang, Z. Li, Y. Qiao, "Joint Face Detection and Alignment Using Multitask Cascaded Convolutional
Networks", IEEE Signal Processing Letters 23 (2016). P-Net looks at windows of 12 pixels all over an image at several
sizes, R-Net at those 24 pixels wide that are left. The weights are those of the package `mtcnn-runtime`.
"""

import logging
from collections.abc import Iterator
from functools import partial
from itertools import zip_longest
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facefleet.errors import Unavailable
from facefleet.recognition.images import REDUCING_GAP, Pixels
from facefleet.recognition.kept import make, open_kept
from facefleet.recognition.packages import folder_of
from facefleet.recognition.runtime import Session, open_session
from facefleet.recognition.weights import checksum_of

log = logging.getLogger(__name__)

#: float32, shape (n, 4): left, top, right, bottom.
Boxes = NDArray[np.float32]
Scores = NDArray[np.float32]

NETWORKS = ("pnet.onnx", "rnet.onnx")
WINDOW = 12
#: P-Net's windows stand this many pixels apart.
STRIDE = 2
#: From one size of the image to the next. The paper's 0.709 found no face more of 566, in half as much time again.
STEP = 0.6
#: Chosen on mosaics of 566 faces, 40 to 390 pixels wide: all of those that dlib's detector finds are proposed.
P_NET_SCORE = 0.8
R_NET_SCORE = 0.7
R_NET_SIDE = 24
#: Most that R-Net looks at, the likeliest first.
MAX_CANDIDATES = 400
#: P-Net looks at so many pixels at once, for which it takes 130 MB.
STRIP_PIXELS = 1_000_000
#: How much two boxes may share before the less likely one goes.
SHARED = 0.5


class Proposer:
    """Holds both networks."""

    def __init__(self, models: Path | None = None) -> None:
        """`models`: the folder with what was made of the networks. Raises `Unavailable` where they are missing."""
        self._p_net, self._r_net = _opened(models)

    def propose(self, image: Image.Image, smallest: float) -> Boxes:
        """Squares in the image's pixels that may hold a face, the likeliest first; down to so small a side."""
        boxes, scores = self._all_over(image, smallest)
        keep = _without_doubles(boxes, scores)[:MAX_CANDIDATES]
        if not len(keep):
            return boxes
        squares = _square(boxes[keep])
        shifts, probabilities = self._run(self._r_net, np.stack([_seen(image, square) for square in squares]))
        likely = probabilities[:, 1] > R_NET_SCORE
        boxes = _shifted(squares, shifts)[likely]
        return _square(boxes[_without_doubles(boxes, probabilities[likely, 1])])

    def _all_over(self, image: Image.Image, smallest: float) -> tuple[Boxes, Scores]:
        found = [self._at(small, scale) for small, scale in _sizes(image, WINDOW / smallest)]
        boxes, scores = zip(*found, strict=True) if found else ([np.empty((0, 4), np.float32)], [np.empty(0)])
        return np.concatenate(boxes), np.concatenate(scores)

    def _at(self, image: Image.Image, scale: float) -> tuple[Boxes, Scores]:
        """P-Net's likely windows at one size of the image, in pixels of the whole."""
        found = [self._in_strip(pixels, top) for top, pixels in _strips(np.asarray(image))]
        windows, shifts, scores = (np.concatenate(parts) for parts in zip(*found, strict=True))
        windows /= scale
        keep = _without_doubles(windows, scores)
        return _shifted(windows, shifts)[keep], scores[keep]

    def _in_strip(self, pixels: Pixels, top: int) -> tuple[Boxes, NDArray[np.float32], Scores]:
        """P-Net's likely windows in a strip that begins at this row of the image, in the image's pixels."""
        shifts, probabilities = self._run(self._p_net, pixels[None])
        rows, columns = np.nonzero(probabilities[0, 1] > P_NET_SCORE)
        corners = np.stack([columns, rows, columns, rows], axis=1).astype(np.float32) * STRIDE
        windows = corners + np.array([0, top, WINDOW, top + WINDOW], np.float32)
        return windows, shifts[0][:, rows, columns].T, probabilities[0, 1][rows, columns]

    @staticmethod
    def _run(network: Session, pixels: Pixels) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        values = (np.float32(1 / 128) * pixels - np.float32(127.5 / 128)).transpose(0, 3, 1, 2)
        shifts, probabilities = network.run(None, {"input": np.ascontiguousarray(values)})
        return shifts, probabilities


def proposal_weights(name: str) -> Path:
    """Where the network's own file lies; raises `Unavailable`. To import the package would import OpenCV."""
    return folder_of("mtcnnruntime") / "weights" / name


def _opened(models: Path | None) -> list[Session]:
    """What was made of the networks, made anew where it cannot be used; or they themselves: the same numbers, later."""
    kept = [] if models is None else _kept(models)
    if models is not None and not all(kept):
        try:
            make(models)
            kept = _kept(models)
        except Unavailable as e:
            log.warning("faces are looked for more slowly: %s", e)
    return [made or open_session(proposal_weights(name)) for made, name in zip_longest(kept, NETWORKS)]


def _kept(models: Path) -> list[Session | None]:
    return [open_kept(models / name, checksum_of(partial(proposal_weights, name))) for name in NETWORKS]


def _strips(pixels: Pixels) -> Iterator[tuple[int, Pixels]]:
    """The image from top to bottom in parts that fit the memory, with the row that each begins at.

    Every window lies in one of them: they overlap by what a window is higher than a step.
    """
    rows, columns, _ = pixels.shape
    step = max(1, STRIP_PIXELS // columns // STRIDE) * STRIDE
    for top in range(0, max(1, rows - WINDOW + STRIDE), step):
        yield top, pixels[top : top + step + WINDOW - STRIDE]


def _sizes(image: Image.Image, scale: float) -> Iterator[tuple[Image.Image, float]]:
    """The image smaller and smaller, until a window sees all of it, with the scale of each."""
    while min(image.size) * scale >= WINDOW:
        size = (round(image.width * scale), round(image.height * scale))
        yield image.resize(size, Image.Resampling.BILINEAR, reducing_gap=REDUCING_GAP), scale
        scale *= STEP


def _seen(image: Image.Image, square: Boxes) -> Pixels:
    """What R-Net is shown of a square; what lies outside the image is left out."""
    left, top, right, bottom = square.tolist()
    box = (max(left, 0.0), max(top, 0.0), min(right, float(image.width)), min(bottom, float(image.height)))
    side = (R_NET_SIDE, R_NET_SIDE)
    if box[2] - box[0] < 1 or box[3] - box[1] < 1:
        return np.zeros((*side, 3), np.uint8)
    return np.asarray(image.resize(side, Image.Resampling.BILINEAR, box=box, reducing_gap=REDUCING_GAP))


def _shifted(boxes: Boxes, shifts: NDArray[np.float32]) -> Boxes:
    """The boxes moved as the network says, in shares of their sides."""
    return boxes + shifts * np.tile(boxes[:, 2:] - boxes[:, :2], 2)


def _square(boxes: Boxes) -> Boxes:
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True) / 2
    return np.hstack([centre - half, centre + half])


def _without_doubles(boxes: Boxes, scores: Scores) -> NDArray[np.intp]:
    """Which to keep, the likeliest first: each that shares no more of its area with a likelier one (IoU)."""
    left, top, right, bottom = boxes.T
    area = (right - left) * (bottom - top)
    order = np.argsort(-scores, kind="stable")
    keep = []
    while len(order):
        first, rest = order[0], order[1:]
        keep.append(first)
        across = np.minimum(right[first], right[rest]) - np.maximum(left[first], left[rest])
        down = np.minimum(bottom[first], bottom[rest]) - np.maximum(top[first], top[rest])
        both = np.maximum(across, 0) * np.maximum(down, 0)
        order = rest[both <= SHARED * (area[first] + area[rest] - both)]
    return np.array(keep, np.intp)
