"""May this photo be enrolled? What is measured of it, and the limits that a person may overrule with force.

The limits lie where a photo begins to do harm: its encoding is 0.11 or more farther from its person than that of the
same photo undisturbed, and enrolled alone it finds less than a third of the person's other photos, not three quarters
(LFW, 99 people, 186 photos blurred, shaken, made smaller, darker and brighter in 49 ways, 21 November 2026). Of LFW's
790 photos as they are, none is beyond them. Distances are those of identification, between scaled encodings.

Every check decides by the very figure that it tells, rounded as told, so that none says that 15 is less than 15.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from facefleet.errors import BadImage
from facefleet.model import Face
from facefleet.recognition.encoder import EncodedFace, Encoding
from facefleet.recognition.identification import centres, distances, scaled
from facefleet.recognition.images import Pixels

#: A second face is no rival while it has less than this share of the largest one's area. In 45 photos of LFW with more
#: than one face the largest was the wrong one three times, beside one of 0.83, 0.93 and 0.94 of its size. LFW's photos
#: are cut around their subject; others are not, so half of them, where it was always right, are left to force.
RIVAL = 0.5
#: Pixels. At 20 to 22 the encoding is 0.12 off, at 18 to 20 0.15; photos 64 pixels wide have faces from 23 on.
SMALLEST_WIDTH = 20
#: Luma, 0 to 255. At 14 to 16 the encoding is 0.09 off, at 12 to 14 0.11; LFW's darkest face has 63.
DARKEST = 14
#: At 230 to 235 the encoding is 0.05 off, at 235 to 240 0.12; LFW's brightest face has 196.
BRIGHTEST = 235
#: See `sharpness`. At 15 to 20 the encoding is 0.12 off, at 12 to 15 0.15, at 8 to 10 0.18; LFW's softest face has 29,
#: the softest of ten photos 64 pixels wide 20.
SOFTEST = 15
#: The nearest two different photos of one person lie 0.183 apart (1,304 pairs, LFW). Copies of one photo that were
#: cut, turned by 2 degrees, made a quarter smaller or saved again as JPEG of quality 75 lie 0 to 0.08 from it, 99 in
#: 100 of them below 0.15; of those of half the size 65, of quality 50 88.
SAME_PHOTO = 0.15
#: Beyond this nobody is taken for somebody else against the word of whoever enrols, even where the threshold is higher,
#: as it is in small galleries: between ten people's photos 64 pixels wide it is 0.55 and more. At 0.5, of first photos
#: of another's face 8 in 10 are stopped, 9 where that one has three photos, and of rightful ones 0 to 3 in 100.
ALIKE = 0.5

#: The chip's rows and columns that are the face; what is around it may be background, or black beyond the edge.
MIDDLE = slice(25, 124)
#: Chip pixels to one of those that sharpness is measured on: finer detail the encoding hardly needs, and noise and
#: JPEG blocks would count as such.
DETAIL = 3
#: ITU-R BT.601.
LUMA = np.array([0.299, 0.587, 0.114])

Grey = NDArray[np.float64]


def the_subject(faces: Sequence[EncodedFace], *, force: bool) -> EncodedFace:
    """The face to enrol: the largest, unless another is nearly as large and nobody says `force`; raises `BadImage`."""
    if not faces:
        raise BadImage("0 faces found, 1 is needed: send a sharper photo, seen from the front", code="no_face")
    largest, *others = sorted(faces, key=lambda face: face.box.area, reverse=True)
    share = round(100 * others[0].box.area / max(1, largest.box.area)) if others else 0
    if share >= 100 * RIVAL and not force:
        raise _refusal(
            "several_faces",
            f"{len(faces)} faces found, the second {share} % as large as the largest, less than {100 * RIVAL:.0f} %"
            " is needed: send a part of the photo with just this person",
            otherwise="enrol the largest face with force",
        )
    return largest


def check_quality(face: EncodedFace) -> None:
    """Raises `BadImage`, which force overrules, where the face is too small, dark, bright or blurred to be enrolled."""
    wide, bright, sharp = width(face), brightness(face.chip), sharpness(face.chip)
    if wide < SMALLEST_WIDTH:
        raise _refusal(
            "face_too_small", f"the face is {wide} pixels wide, {SMALLEST_WIDTH} are needed: send a larger photo"
        )
    if bright < DARKEST:
        raise _refusal(
            "face_too_dark",
            f"the face's brightness is {bright} of 255, {DARKEST} is needed: send a photo taken in more light",
        )
    if bright > BRIGHTEST:
        raise _refusal(
            "face_too_bright",
            f"the face's brightness is {bright} of 255, at most {BRIGHTEST} will do: send a less exposed photo",
        )
    if sharp < SOFTEST:
        raise _refusal(
            "face_too_blurred",
            f"the face's sharpness is {sharp}, {SOFTEST} is needed: send a photo in focus, of somebody keeping still",
        )


def check_novelty(encoding: Encoding, own: NDArray[np.floating]) -> None:
    """Raises `BadImage`, which force overrules, where a person's own photos, shape (n, 128), have this one already.

    A second copy teaches nothing, and draws the person's centre to itself. Leave out the photo that a job delivered
    twice has enrolled before.
    """
    if not len(own):
        return
    nearest = round(float(distances(scaled(encoding)[np.newaxis], scaled(own)).min()), 2)
    if nearest < SAME_PHOTO:
        raise _refusal(
            "duplicate_photo",
            f"a photo of this person is at distance {nearest:.2f}, practically the same; {SAME_PHOTO:.2f} is needed:"
            " send another photo",
        )


def check_identity(encoding: Encoding, person_id: str, own: NDArray[np.floating], found: Face) -> None:
    """Raises `BadImage`, which force overrules, where the face to enrol as this person is identified as another.

    `own` are the person's photos so far, shape (n, 128); `found` is what the gallery says of the face. Nobody is
    refused for not being like their other photos.
    """
    if found.person_id in (None, person_id) or found.distance is None or found.distance > ALIKE:
        return
    to_own = _distance_to(own, encoding)
    # The gallery may not have learned of the person's last photo yet, or was told that a like face is not theirs.
    if to_own is not None and to_own <= found.distance:
        return
    beside = "who has no photo yet" if to_own is None else f"at distance {to_own:.2f}"
    raise _refusal(
        "nearer_to_another",
        f"the face is identified as {found.person_id}, at distance {found.distance:.2f}, not as the person named,"
        f" {beside}: check whose photo it is",
        person_id=found.person_id,
    )


def width(face: EncodedFace) -> int:
    """In the picture's pixels; of a face cut by the edge, the longer side that is left."""
    box = face.box
    return max(box.x_max - box.x_min, box.y_max - box.y_min)


def brightness(chip: Pixels) -> int:
    """The face's mean luma, 0 to 255."""
    return round(float(_grey(chip).mean()))


def sharpness(chip: Pixels) -> int:
    """How much fine detail the face has, in thousandths of its contrast; 140 on LFW, 1 where all is blurred.

    The variance of the second differences, across, down and along both diagonals: the least of the four, since
    whoever moved is blurred in one direction alone. Light and contrast make no difference.
    """
    grey = _reduced(_grey(chip))
    here = grey[1:-1, 1:-1]
    # A step along a diagonal is √2 as long, and there the same bend makes a difference twice as large.
    bends = (
        grey[:-2, 1:-1] + grey[2:, 1:-1] - 2 * here,
        grey[1:-1, :-2] + grey[1:-1, 2:] - 2 * here,
        (grey[:-2, :-2] + grey[2:, 2:] - 2 * here) / 2,
        (grey[:-2, 2:] + grey[2:, :-2] - 2 * here) / 2,
    )
    # A chip of one colour has no contrast, and no detail.
    return round(1000 * min(float(bend.var()) for bend in bends) / (float(grey.var()) or 1.0))


def _grey(chip: Pixels) -> Grey:
    return np.asarray(chip[MIDDLE, MIDDLE] @ LUMA)


def _reduced(grey: Grey) -> Grey:
    rows, columns = grey.shape[0] // DETAIL, grey.shape[1] // DETAIL
    return np.asarray(grey.reshape(rows, DETAIL, columns, DETAIL).mean(axis=(1, 3)))


def _distance_to(photos: NDArray[np.floating], encoding: Encoding) -> float | None:
    """From the nearest of the centres that these photos make; None where there are none."""
    return float(distances(scaled(encoding)[np.newaxis], centres(photos)).min()) if len(photos) else None


def _refusal(
    code: str, detail: str, *, otherwise: str = "enrol it all the same with force", person_id: str | None = None
) -> BadImage:
    return BadImage(f"{detail}, or {otherwise}", code=code, forcible=True, person_id=person_id)
