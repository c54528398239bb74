"""What dlib's face network has learned, read from the file that dlib keeps it in.

The file is dlib's own serialisation: each layer's name, then packed integers, and tensors of raw little-endian
float32, from the layer that sees the image to the last (`serialize` in dlib/dnn/layers.h).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import file_digest
from io import BufferedReader
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facefleet.errors import Unavailable
from facefleet.recognition.packages import folder_of

Tensor = NDArray[np.float32]

#: What made an encoding: those of two models cannot be compared.
MODEL = "dlib-resnet-v1"
#: What the network sees, in pixels, and how many numbers it makes of it.
CHIP_SIDE, DIMENSIONS = 150, 128

FILE = "dlib_face_recognition_resnet_model_v1.dat"
#: After the first layer: how many filters, and how many residual blocks of two convolutions with so many.
LEVELS = ((32, 3), (64, 4), (128, 3), (256, 3), (256, 1))
#: The form of dlib's tensors that is read here, the one in its file.
TENSOR_VERSION = 2


@dataclass(frozen=True, slots=True)
class Convolution:
    """One convolution and the affine behind it: `gamma * (filters ∗ x + bias) + beta`, per filter.

    Filters have the shape (filters, channels, rows, columns).
    """

    filters: Tensor
    bias: Tensor
    gamma: Tensor
    beta: Tensor
    stride: int
    padding: int


@dataclass(frozen=True, slots=True)
class Weights:
    """The convolutions in the order in which an image passes them, and the last layer's matrix, (256, 128)."""

    convolutions: tuple[Convolution, ...]
    projection: Tensor


def model_folder() -> Path:
    """Where the weights lie; raises `Unavailable`. On failure, importing the package would end the process."""
    return folder_of("face_recognition_models") / "models"


def weights_file() -> Path:
    """Where dlib's file lies; raises `Unavailable` where the models are not installed."""
    return model_folder() / FILE


def read_weights(path: Path) -> Weights:
    """The network that a file holds; raises `Unavailable` where the file is missing, or holds another."""
    with _opened(path) as file:
        data = file.read()
    try:
        return _parse(data)
    except (IndexError, ValueError) as e:
        raise Unavailable(f"{path} is not dlib's face network, or is damaged ({e}): install it anew") from e


def checksum(path: Path) -> str:
    """The file's SHA-256; raises `Unavailable` where it is missing."""
    with _opened(path) as file:
        return file_digest(file, "sha256").hexdigest()


def checksum_of(find: Callable[[], Path]) -> str | None:
    """That of a file of a package; None where it is not installed, and what was made of it has to do."""
    try:
        return checksum(find())
    except Unavailable:
        return None


def _opened(path: Path) -> BufferedReader:
    try:
        return path.open("rb")
    except OSError as e:
        raise Unavailable(f"{path} cannot be read ({e.strerror}): pip install -r requirements.txt") from e


def _parse(data: bytes) -> Weights:
    pairs = zip(_layers(data, b"con_4"), _layers(data, b"affine_"), strict=True)
    convolutions = tuple(_convolution(data, con, affine) for con, affine in pairs)
    if [convolution.filters.shape for convolution in convolutions] != list(_shapes()):
        raise ValueError("its convolutions have other shapes")
    (last,) = _layers(data, b"fc_2")
    _, last = _integers(data, last, 2)
    return Weights(convolutions, _tensor(data, last)[0].reshape(256, 128))


def _shapes() -> Iterator[tuple[int, int, int, int]]:
    yield 32, 3, 7, 7
    channels = 32
    for filters, blocks in LEVELS:
        for _ in range(2 * blocks):
            yield filters, channels, 3, 3
            channels = filters


def _layers(data: bytes, name: bytes) -> Iterator[int]:
    """Where the contents of each layer of this name begin."""
    # A string stands behind its length, itself a packed integer.
    name = bytes((1, len(name))) + name
    at = data.find(name)
    while at >= 0:
        yield at + len(name)
        at = data.find(name, at + 1)


def _convolution(data: bytes, con: int, affine: int) -> Convolution:
    params, at = _tensor(data, con)
    (filters, rows, columns, stride, _, padding, _), _ = _integers(data, at, 7)
    kernels, bias = params[:-filters], params[-filters:]
    gamma, beta = _tensor(data, affine)[0].reshape(2, filters)
    return Convolution(kernels.reshape(filters, -1, rows, columns), bias, gamma, beta, stride, padding)


def _tensor(data: bytes, at: int) -> tuple[Tensor, int]:
    """A tensor's numbers in a row, and where what follows begins."""
    (version, *sizes), at = _integers(data, at, 5)
    if version != TENSOR_VERSION:
        raise ValueError("its tensors have another form")
    count = prod(sizes)
    return np.frombuffer(data, "<f4", count, at), at + 4 * count


def _integers(data: bytes, at: int, count: int) -> tuple[list[int], int]:
    """Packed integers, each behind a byte that holds its size; and where what follows begins."""
    values = []
    for _ in range(count):
        size = data[at] & 0x0F
        values.append(int.from_bytes(data[at + 1 : at + 1 + size], "little"))
        at += 1 + size
    return values, at
