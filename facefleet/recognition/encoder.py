"""The model: an image in, its faces with their encodings out. `face_recognition`'s way, each model loaded once."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import dlib
import numpy as np
from numpy.typing import NDArray

from facefleet.errors import Unavailable
from facefleet.model import Box
from facefleet.recognition.images import Pixels, shrink

#: 128 float32: faces of one person lie nearer to each other than to others' (http://blog.dlib.net/2017/02).
Encoding = NDArray[np.float32]

MODEL = "dlib-resnet-v1"
#: The detector finds faces from about 80 pixels on; each upsampling halves that, and costs four times the time.
MAX_UPSAMPLES = 2
#: No upsampling beyond this many pixels: a face that small in an image that large is not looked for.
MAX_UPSAMPLED_PIXELS = 4_000_000


@dataclass(frozen=True, slots=True)
class EncodedFace:
    box: Box
    encoding: Encoding


#: The seam: whoever finds and encodes faces looks like this. Boxes are in the image's pixels; any order.
Encoder = Callable[[Pixels], list[EncodedFace]]


def dlib_encoder(*, longest_side: int) -> Encoder:
    """HOG detection, 5-point alignment, and dlib's network, on images reduced to `longest_side` pixels."""
    folder = model_folder()
    detect = dlib.get_frontal_face_detector()
    align = dlib.shape_predictor(str(folder / "shape_predictor_5_face_landmarks.dat"))
    network = dlib.face_recognition_model_v1(str(folder / "dlib_face_recognition_resnet_model_v1.dat"))

    def encode(pixels: Pixels) -> list[EncodedFace]:
        small, scale = shrink(pixels, longest_side)
        return [
            EncodedFace(
                _box(place, scale, pixels.shape),
                np.asarray(network.compute_face_descriptor(small, align(small, place)), dtype=np.float32),
            )
            for place in _places(detect, small)
        ]

    return encode


def model_folder() -> Path:
    """Where the weights lie. The package is found and not imported: on failure its import ends the process."""
    spec = find_spec("face_recognition_models")
    if spec is None or spec.origin is None:
        raise Unavailable("the models are missing: pip install -r requirements.txt")
    return Path(spec.origin).parent / "models"


def _places(detect: "dlib.fhog_object_detector", pixels: Pixels) -> list["dlib.rectangle"]:
    for upsamples in range(MAX_UPSAMPLES + 1):
        if upsamples and pixels.shape[0] * pixels.shape[1] * 4**upsamples > MAX_UPSAMPLED_PIXELS:
            break
        if places := list(detect(pixels, upsamples)):
            return places
    return []


def _box(place: "dlib.rectangle", scale: float, shape: tuple[int, ...]) -> Box:
    rows, columns = shape[:2]

    def within(value: float, most: int) -> int:
        return min(max(round(value), 0), most)

    return Box(
        within(place.left() * scale, columns),
        within(place.top() * scale, rows),
        within((place.right() + 1) * scale, columns),
        within((place.bottom() + 1) * scale, rows),
    )
