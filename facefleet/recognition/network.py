"""The face network: chips in, encodings out. dlib's weights, run by ONNX Runtime in a small part of dlib's time.

The converted file is made once and kept. At each start it encodes a built-in chip, of which dlib's own encoding
stands in the file; whatever goes wrong, dlib itself encodes, and a warning says why.
"""

import ctypes
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import dlib
import numpy as np
from numpy.typing import NDArray

from facefleet.errors import Unavailable
from facefleet.recognition.kept import facts_of, make, open_kept
from facefleet.recognition.runtime import Session
from facefleet.recognition.weights import CHIP_SIDE, DIMENSIONS, MODEL, checksum_of, weights_file

log = logging.getLogger(__name__)

#: Aligned faces as `dlib.get_face_chip(image, shape, size=150, padding=0.25)` cuts them: (n, 150, 150, 3), RGB.
Chips = NDArray[np.uint8]
#: (n, 128).
Encodings = NDArray[np.float32]
#: The seam: whoever makes encodings of chips looks like this. Any number of chips, none among them.
Network = Callable[[Chips], Encodings]

CONVERTED = f"{MODEL}.onnx"
#: Chips encoded at once. A photo with 100 faces takes no more memory than one with 8; 16 would be 2 % faster.
BATCH = 8
#: How far an encoding may lie from dlib's, per number. On faces they differ by 6e-7 at most.
TOLERANCE = 1e-4
REMEDY = "pip install -r requirements.txt, or build the image anew"


@dataclass(frozen=True, slots=True)
class Converted:
    """A converted network, and how far its encoding of the built-in chip lies from dlib's."""

    encode: Network
    error: float


def load_network(folder: Path) -> Network:
    """The fastest network that agrees with dlib's. Keeps its file in `folder`, and makes it there if need be.

    Where dlib's own weights are not installed, the file must be there already. Raises `Unavailable` where neither is to
    be had; all else ends in dlib's encoder and a warning.
    """
    wanted = checksum_of(weights_file)
    try:
        return _converted(folder, wanted)
    except Unavailable as e:
        if wanted is None:
            raise
        log.warning("faces are encoded by dlib itself, many times slower: %s", e)
        return dlib_network(weights_file())


def dlib_network(source: Path) -> Network:
    """dlib's own network from dlib's own file: slower, and right by definition."""
    network = dlib.face_recognition_model_v1(str(source))

    def encode(chips: Chips) -> Encodings:
        # One by one: in batches dlib takes as long, and twice the memory.
        encodings = [network.compute_face_descriptor(np.ascontiguousarray(chip)) for chip in chips]
        return np.array(encodings, np.float32).reshape(-1, DIMENSIONS)

    return encode


def onnx_network(session: Session) -> Network:
    def encode(chips: Chips) -> Encodings:
        parts = [session.run(None, {"chips": chips[at : at + BATCH]})[0] for at in range(0, len(chips), BATCH)]
        return np.concatenate([np.empty((0, DIMENSIONS), np.float32), *parts])

    return encode


def check_chip() -> Chips:
    """A batch of one chip that looks somewhat like a face: nobody's, and the same on every machine."""
    rows, columns = np.mgrid[:CHIP_SIDE, :CHIP_SIDE]

    def oval(row: int, column: int, height: int, width: int) -> NDArray[np.int64]:
        # Whole numbers alone: the last bit of an exponential differs between machines.
        away = ((rows - row) * width) ** 2 + ((columns - column) * height) ** 2
        return np.asarray(100 - 100 * away // (height * width) ** 2).clip(0)

    face, hair = oval(80, 75, 95, 72), oval(5, 75, 45, 85)
    eyes = oval(57, 46, 9, 17) + oval(57, 104, 9, 17)
    brows = oval(41, 45, 6, 24) + oval(41, 105, 6, 24)
    nose, mouth = oval(78, 82, 24, 11), oval(112, 75, 9, 29)
    skin = 50 + 2 * face - hair - eyes - brows // 2 - nose // 3
    colours = np.stack([skin, skin * 4 // 5 - mouth // 3, skin * 2 // 3 - mouth // 3], axis=-1)
    return colours.clip(0, 255).astype(np.uint8)[np.newaxis]


def largest_difference(encodings: Encodings, reference: Encodings) -> float:
    """Of any number of the encodings; NaN where one is."""
    return float(np.abs(encodings - reference).max())


def _converted(folder: Path, wanted: str | None) -> Network:
    path = folder.absolute() / CONVERTED
    converted = _opened(path, wanted)
    if converted is None and wanted is None:
        raise Unavailable(f"{path} cannot be used, and what it is made of is not installed: {REMEDY}")
    if converted is None:
        make(folder.absolute())
        converted = _opened(path, wanted)
    if converted is None:
        raise Unavailable(f"{path} was just made and cannot be used")
    # Not `>`, which NaN would pass.
    if not converted.error <= TOLERANCE:
        raise Unavailable(
            f"{path} does not encode as dlib does ({converted.error:.1g} off): remove it, to have it made anew"
        )
    _return_memory()
    return converted.encode


def _opened(path: Path, wanted: str | None) -> Converted | None:
    """None where there is no file that can be used."""
    session = open_kept(path, wanted)
    if session is None:
        return None
    try:
        recorded = np.frombuffer(bytes.fromhex(facts_of(session)["encoding"]), "<f4").reshape(1, DIMENSIONS)
    except (KeyError, ValueError):
        return None
    encode = onnx_network(session)
    return Converted(encode, largest_difference(encode(check_chip()), recorded))


def _return_memory() -> None:
    """Loading leaves 45 MB of freed weights with glibc, which would not give them back; elsewhere, nothing."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
