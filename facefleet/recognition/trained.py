"""What dlib has learned besides its face network: what a face looks like, and where its eyes and nose are.

Both are kept beside the networks, so that a folder of these is all that a worker needs. And dlib takes 0.2 s to unpack
the detector that it carries, but 1 ms to read the same from a file.
"""

import logging
from pathlib import Path
from tempfile import TemporaryDirectory

import dlib

from facefleet.errors import Unavailable
from facefleet.recognition.kept import is_whole, keep, sealed
from facefleet.recognition.weights import model_folder

log = logging.getLogger(__name__)

#: Another dlib may carry another, or write it differently.
DETECTOR = f"frontal-face-{dlib.__version__}.svm"
LANDMARKS = "shape_predictor_5_face_landmarks.dat"


def open_detector(models: Path | None = None) -> "dlib.fhog_object_detector":
    """dlib's detector of frontal faces, from the folder `models`, where it is kept if it can be."""
    if models is None:
        return dlib.get_frontal_face_detector()
    path = models / DETECTOR
    if is_whole(path):
        return dlib.fhog_object_detector(str(path))
    try:
        keep_detector(models)
    except Unavailable as e:
        log.info("the detector is unpacked at each start: %s", e)
    return dlib.get_frontal_face_detector()


def open_landmarks(models: Path) -> "dlib.shape_predictor":
    """What finds the five points of a face that it is aligned by; raises `Unavailable` where it is not to be had."""
    path = models / LANDMARKS
    return dlib.shape_predictor(str(path if is_whole(path) else _installed()))


def keep_detector(folder: Path) -> Path:
    """The file that was made in `folder`; raises `Unavailable` where it cannot be written."""
    # dlib writes to a name alone.
    with TemporaryDirectory() as scratch:
        made = Path(scratch) / DETECTOR
        dlib.get_frontal_face_detector().save(str(made))
        return keep(folder / DETECTOR, sealed(made.read_bytes()))


def keep_landmarks(folder: Path) -> Path:
    """The file that was made in `folder`; raises `Unavailable` where it cannot be written, or is not installed."""
    return keep(folder / LANDMARKS, sealed(_installed().read_bytes()))


def _installed() -> Path:
    path = model_folder() / LANDMARKS
    if not path.is_file():
        # dlib would say so in words of its own.
        raise Unavailable(f"{path} is missing: pip install -r requirements.txt")
    return path
