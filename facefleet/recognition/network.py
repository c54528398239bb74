"""The face network: chips in, encodings out. dlib's weights, run by ONNX Runtime in a small part of dlib's time.

The converted file is made once and kept. At each start it encodes a built-in chip, of which dlib's own encoding
stands in the file; whatever goes wrong, dlib itself encodes, and a warning says why.
"""

import ctypes
import logging
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import dlib
import numpy as np
from numpy.typing import NDArray

from facefleet.errors import Unavailable
from facefleet.recognition.runtime import Session, open_session
from facefleet.recognition.weights import CHIP_SIDE, DIMENSIONS, MODEL, checksum, weights_file

log = logging.getLogger(__name__)

#: Aligned faces as `dlib.get_face_chip(image, shape, size=150, padding=0.25)` cuts them: (n, 150, 150, 3), RGB.
Chips = NDArray[np.uint8]
#: (n, 128).
Encodings = NDArray[np.float32]
#: The seam: whoever makes encodings of chips looks like this. Any number of chips, none among them.
Network = Callable[[Chips], Encodings]

CONVERTED = f"{MODEL}.onnx"
#: The form of the converted file. Another number, and every kept file is made anew.
FORM = "2"
#: Ends a converted file, before the SHA-256 of all that comes before: to ONNX, one more entry of `metadata_props`
#: (onnx.proto).
SEAL = b"\x72\x4a\x0a\x06sha256\x12\x40"
#: Chips encoded at once. A photo with 100 faces takes no more memory than one with 8; 16 would be 2 % faster.
BATCH = 8
#: How far an encoding may lie from dlib's, per number. On faces they differ by 6e-7 at most.
TOLERANCE = 1e-4
#: A conversion takes about a second. Beyond this it hangs, and a worker that waits serves nobody.
CONVERSION_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Converted:
    """A converted network, and how far its encoding of the built-in chip lies from dlib's."""

    encode: Network
    error: float


def load_network(folder: Path) -> Network:
    """The fastest network that agrees with dlib's. Keeps its file in `folder`, and makes it there if need be.

    Raises `Unavailable` where dlib's own weights are missing; all else ends in dlib's encoder and a warning.
    """
    source = weights_file()
    wanted = checksum(source)
    try:
        return _converted(folder, wanted)
    except Unavailable as e:
        log.warning("faces are encoded by dlib itself, many times slower: %s", e)
        return dlib_network(source)


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


def sealed(data: bytes) -> bytes:
    """A model's file with its own checksum at the end; still a model's file."""
    return data + SEAL + sha256(data).hexdigest().encode()


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


def _converted(folder: Path, wanted: str) -> Network:
    path = folder.absolute() / CONVERTED
    converted = _opened(path, wanted)
    if converted is None:
        _convert(folder.absolute())
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


def _opened(path: Path, wanted: str) -> Converted | None:
    """None where there is no file, or one of other weights or another form, or a damaged one."""
    if not path.is_file():
        return None
    try:
        data = path.read_bytes()
        # A few flipped bits would do the built-in chip little harm, and faces more.
        if sealed(data[: -len(sealed(b""))]) != data:
            return None
        session = open_session(data)
        facts = session.get_modelmeta().custom_metadata_map
        if (facts.get("source"), facts.get("form")) != (wanted, FORM):
            return None
        recorded = np.frombuffer(bytes.fromhex(facts["encoding"]), "<f4").reshape(1, DIMENSIONS)
        encode = onnx_network(session)
        return Converted(encode, largest_difference(encode(check_chip()), recorded))
    except Exception as e:  # of a damaged file: ONNX Runtime's errors, and many builtins, have no other class in common
        log.info("%s cannot be used: %s", path, e)
        return None


def _convert(folder: Path) -> None:
    """In a process of its own: what conversion imports would otherwise stay in the worker's memory."""
    command = [sys.executable, "-m", "facefleet.recognition.convert", str(folder)]
    try:
        done = subprocess.run(  # noqa: S603  # our own command, and no shell
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=CONVERSION_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as e:
        raise Unavailable(f"the conversion of dlib's weights did not end well: {e}") from e
    if done.returncode:
        reason = (done.stderr.strip() or f"exit code {done.returncode}").rsplit("\n", 1)[-1]
        raise Unavailable(f"dlib's weights were not converted: {reason}")


def _return_memory() -> None:
    """Loading leaves 45 MB of freed weights with glibc, which would not give them back; elsewhere, nothing."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
