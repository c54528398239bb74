"""How near the encoder comes to what this core can do: multiply-adds a second, beside plain matrix products.

numpy's OpenBLAS picks its kernel by the processor's name, and for one newer than itself a kernel without AVX-512: half
of what the core can do. So the products are measured with each kernel that may be the right one.
"""

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from facefleet.recognition.network import BATCH, check_chip, load_network
from facefleet.recognition.weights import CHIP_SIDE, Weights, read_weights, weights_file

#: Names OpenBLAS's kernel, before it is loaded (https://github.com/OpenMathLib/OpenBLAS, DYNAMIC_ARCH).
KERNEL = "OPENBLAS_CORETYPE"
#: As it comes; and the kernel for AVX-512.
AS_IT_COMES, AVX512 = "", "SKYLAKEX"
#: Sides of the square products, of which the quickest counts.
SQUARES = (1024, 2048)
ROUNDS = 15
SQUARE_ROUNDS = 5

Matrix = NDArray[np.float32]
#: Rows, what is summed over, columns.
Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Peak:
    """With one kernel of OpenBLAS. A multiply-add is two operations.

    `fraction`: the encoder's speed to that of the products of the same sizes; `fraction_square`: to the square ones'.
    """

    kernel: str
    multiply_adds: int
    encoder_gflops: float
    products_gflops: float
    square_gflops: float
    fraction: float
    fraction_square: float


def measure_peaks(models: Path) -> list[Peak]:
    """As numpy comes first, then with other kernels that this processor can run, each in a process of its own."""
    return [_in_process(models, kernel) for kernel in kernels()]


def kernels() -> Iterator[str]:
    yield AS_IT_COMES
    about = Path("/proc/cpuinfo")
    if about.exists() and " avx512f " in about.read_text():
        yield AVX512


def measure_peak(models: Path, kernel: str) -> Peak:
    """On this process's one thread, in turns; it was started with the kernel."""
    weights = read_weights(weights_file())
    shapes = list(products(weights, BATCH))
    encode, multiply = encoder(models), multiplier(shapes)
    turns = [(cpu(encode), cpu(multiply)) for _ in range(ROUNDS)]
    encoding, multiplying = (median(seconds) for seconds in zip(*turns, strict=True))
    multiply_adds = sum(rows * inner * columns for rows, inner, columns in shapes)
    gflop = 2 * multiply_adds / 1e9
    square = max(square_gflops(side) for side in SQUARES)
    return Peak(
        kernel=kernel or "as it comes",
        multiply_adds=multiply_adds // BATCH,
        encoder_gflops=round(gflop / encoding, 1),
        products_gflops=round(gflop / multiplying, 1),
        square_gflops=round(square, 1),
        fraction=round(median(product / network for network, product in turns), 2),
        fraction_square=round(gflop / encoding / square, 2),
    )


def products(weights: Weights, batch: int) -> Iterator[Shape]:
    """The matrix products that the network comes to for a batch of faces, by the shapes of dlib's filters."""
    blocks = iter(weights.convolutions)
    stem = next(blocks)
    side = _side(CHIP_SIDE, stem.filters.shape[-1], stem.stride, stem.padding)
    yield _product(stem.filters, side, batch)
    # The pool behind it, 3×3 with stride 2.
    side = _side(side, 3, 2, 0)
    for first, second in zip(blocks, blocks, strict=True):
        inner = _side(side, first.filters.shape[-1], first.stride, first.padding)
        yield _product(first.filters, inner, batch)
        yield _product(second.filters, _side(inner, second.filters.shape[-1], second.stride, second.padding), batch)
        # The shortcut halves the map with a pool of 2×2, and is the larger where the two differ.
        side //= first.stride
    inputs, outputs = weights.projection.shape
    yield outputs, inputs, batch


def encoder(models: Path) -> Callable[[], object]:
    """Encodes a batch of faces."""
    network = load_network(models)
    chips = np.repeat(check_chip(), BATCH, axis=0)
    return lambda: network(chips)


def multiplier(shapes: list[Shape]) -> Callable[[], None]:
    """Multiplies matrices of these shapes, made beforehand."""
    rng = np.random.default_rng(0)

    def made(rows: int, columns: int) -> Matrix:
        return rng.random((rows, columns), np.float32)

    matrices = {(m, k, n): (made(m, k), made(k, n), np.empty((m, n), np.float32)) for m, k, n in set(shapes)}

    def multiply() -> None:
        for shape in shapes:
            left, right, out = matrices[shape]
            np.matmul(left, right, out=out)

    return multiply


def square_gflops(side: int) -> float:
    multiply = multiplier([(side, side, side)])
    multiply()
    return 2 * side**3 / 1e9 / median(cpu(multiply) for _ in range(SQUARE_ROUNDS))


def cpu(work: Callable[[], object]) -> float:
    """Its seconds of CPU."""
    started = time.process_time()
    work()
    return time.process_time() - started


def _in_process(models: Path, kernel: str) -> Peak:
    before = os.environ.get(KERNEL)
    if kernel:
        os.environ[KERNEL] = kernel
    try:
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            return pool.submit(measure_peak, models, kernel).result()
    finally:
        os.environ.pop(KERNEL, None)
        if before is not None:
            os.environ[KERNEL] = before


def _side(side: int, kernel: int, stride: int, padding: int) -> int:
    return (side + 2 * padding - kernel) // stride + 1


def _product(filters: Matrix, side: int, batch: int) -> Shape:
    count, channels, rows, columns = filters.shape
    return count, channels * rows * columns, side * side * batch
