"""Where the faces are: proposals from all over the picture, and dlib's detector, which decides at each and places it.

dlib's HOG detector alone would have to look all over as well, at twice the size where faces are small, and takes ten
times as long. The boxes are its own, since the landmarks that follow were trained on them.
"""

from collections.abc import Iterable
from pathlib import Path

from facefleet.recognition.images import Area, Picture
from facefleet.recognition.proposals import Proposer
from facefleet.recognition.trained import open_detector

#: In pixels: dlib's detector, with the one upsampling that is usual, finds none smaller.
SMALLEST = 40.0
#: A proposal's side to that of dlib's box of the same face, about.
PROPOSED_SIDE = 1.6
#: R-Net sees proposals from an image in which the smallest is so wide.
SEEN_SIDE = 24.0
#: dlib looks at so much more than the proposal, its side resampled to so many pixels: dlib's window has 80, and a face
#: then 75 or a little more or less, so that one size of the image is enough to find it.
WIDER = 1.5
LOOKED_AT = 120.0
#: dlib says face from 0 on. Two networks have said so before, so it is asked to doubt a little less.
LENIENCE = -0.1
#: Where nothing is found, faces half as large are looked for, unless that takes an image of more pixels than these:
#: 30 ms.
FINER = 0.5
MAX_FINER_PIXELS = 500_000
#: At last dlib looks all over an image of this longer side, or four times the picture's own: 64 pixels are enough then.
WHOLE_SIDE = 640
MAX_ENLARGED = 4
#: dlib's own measures of one face found twice, from its file: IoU, and share of the smaller box.
SHARED, COVERED = 0.33, 0.79
#: Faces of one picture: a crowd, or somebody hostile, may cost a second.
MAX_FACES = 200

Found = tuple[float, Area]


class Detector:
    """Holds the networks and dlib's detector."""

    def __init__(self, models: Path | None = None, *, smallest_face: float) -> None:
        """`smallest_face`: a share of the picture's longer side or, from 1 on, pixels. Raises `Unavailable`.

        `models`: the folder with the networks that were made; without it, it takes longer.
        """
        self._smallest = smallest_face
        self._propose = Proposer(models).propose
        self._detect = open_detector(models)

    def find(self, picture: Picture) -> list[Area]:
        """The faces' boxes, the surest first; raises `BadImage`."""
        smallest = max(SMALLEST, self._smallest * (picture.longer_side if self._smallest < 1 else 1))
        return (
            self._at_proposals(picture, smallest)
            or self._at_proposals(picture, smallest * FINER, MAX_FINER_PIXELS)
            or _without_doubles(self._look(picture, (0, 0, picture.width, picture.height), _whole_scale(picture)))
        )

    def _at_proposals(self, picture: Picture, smallest: float, max_pixels: float = float("inf")) -> list[Area]:
        scale = SEEN_SIDE / (PROPOSED_SIDE * smallest)
        if picture.width * picture.height * scale**2 > max_pixels:
            return []
        seen = picture.whole(picture.longer_side * scale)
        squares = self._propose(seen, SEEN_SIDE) * (picture.width / seen.width)
        return _without_doubles(found for square in squares.tolist() for found in self._near(picture, square))

    def _near(self, picture: Picture, square: Area) -> list[Found]:
        left, top, right, bottom = square
        more = (right - left) * (WIDER - 1) / 2
        return self._look(picture, (left - more, top - more, right + more, bottom + more), LOOKED_AT / (right - left))

    def _look(self, picture: Picture, area: Area, scale: float) -> list[Found]:
        """What dlib finds in the area at that scale, in the picture's pixels."""
        pixels, (left, top, right, bottom) = picture.part(area, scale)
        across, down = (right - left) / pixels.shape[1], (bottom - top) / pixels.shape[0]
        places, scores, _ = self._detect.run(pixels, 0, LENIENCE)
        return [
            (
                score,
                (
                    left + place.left() * across,
                    top + place.top() * down,
                    left + (place.right() + 1) * across,
                    top + (place.bottom() + 1) * down,
                ),
            )
            for place, score in zip(places, scores, strict=True)
        ]


def _whole_scale(picture: Picture) -> float:
    return min(WHOLE_SIDE / picture.longer_side, MAX_ENLARGED)


def _without_doubles(found: Iterable[Found]) -> list[Area]:
    """Each face once, where dlib was surest."""
    kept: list[Area] = []
    for _, area in sorted(found, reverse=True):
        if not any(_same(area, other) for other in kept):
            kept.append(area)
    return kept[:MAX_FACES]


def _same(a: Area, b: Area) -> bool:
    both = _size((max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])))
    return both > SHARED * (_size(a) + _size(b) - both) or both > COVERED * min(_size(a), _size(b))


def _size(area: Area) -> float:
    return max(0.0, area[2] - area[0]) * max(0.0, area[3] - area[1])
