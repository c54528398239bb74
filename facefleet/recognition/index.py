"""The rows of a matrix that are nearest to a probe: exactly by BLAS where they are few, else by way of a shortlist.

The shortlist is made by product quantisation with 4-bit fast scan (André et al., *Quicker ADC*, 2019; faiss): 32 bytes
a row, every row looked at, so there is no graph or cell to miss. What is on it is compared exactly.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from facefleet.errors import Unavailable
from facefleet.recognition.weights import DIMENSIONS

#: Below so many rows BLAS is as quick as the shortlist, and needs no second library.
QUANTISED_FROM = 20_000
#: Rows that are compared exactly. In a million, the nearest stood at worst 30th among the quantised.
SHORTLIST = 300
#: Beyond so many rows none are held in memory, where there is nothing that quantises them: some 200 MB.
MOST_EXACT = 400_000
#: More than enough to place 16 centres in the plane, 64 times.
SAMPLE = 20_000
SUBQUANTISERS = 64
BITS = 4
#: BLAS's sums of 128 products stray by less than this part of the squared lengths, in float32.
ROUNDING = 1e-4
#: Bytes that an index is read in at a time.
PIECE = 1 << 20

Row = NDArray[np.float32]
#: A matrix of encodings, (rows, 128).
Rows = NDArray[np.float32]
Numbers = NDArray[np.int64]


class Index(Protocol):
    """Numbered rows that are searched for the nearest: what `Exact` and `Quantised` are."""

    def __len__(self) -> int: ...

    def nearest(self, probe: Row, count: int) -> tuple[Numbers, Row]:
        """The numbers of the nearest rows and their Euclidean distances, nearest first, ties by number.

        As many as asked for, and those that are as near as the last of them.
        """


def no_rows() -> Rows:
    return np.empty((0, DIMENSIONS), np.float32)


@dataclass(frozen=True, eq=False)
class Exact:
    """Rows in memory, all of them compared."""

    rows: Rows = field(default_factory=no_rows, repr=False)
    squares: Row = field(default_factory=lambda: np.empty(0, np.float32), repr=False)

    @classmethod
    def of(cls, rows: Rows) -> "Exact":
        return cls(rows, np.einsum("ij,ij->i", rows, rows))

    def __len__(self) -> int:
        return len(self.rows)

    def nearest(self, probe: Row, count: int) -> tuple[Numbers, Row]:
        numbers = np.arange(len(self.rows)) if count >= len(self.rows) else self._candidates(probe, count)
        return _ordered(numbers, self.rows[numbers], probe, count)

    def _candidates(self, probe: Row, count: int) -> Numbers:
        """Rows among which the nearest surely are, by |x|² - 2x·probe, which one pass of BLAS gives."""
        near = self.squares - 2 * (self.rows @ probe)
        slack = ROUNDING * (self.squares.max() + probe @ probe)
        return np.flatnonzero(near <= np.partition(near, count - 1)[count - 1] + slack)


class Quantised:
    """Codes of rows in memory; the rows themselves lie where `fetch` reads them from."""

    def __init__(self, codes: Any, fetch: Callable[[Numbers], Rows]) -> None:
        self._codes = codes
        self._fetch = fetch

    def __len__(self) -> int:
        return int(self._codes.ntotal)

    def nearest(self, probe: Row, count: int) -> tuple[Numbers, Row]:
        # Among quantised rows the order is not exact, so more are fetched than asked for.
        length = min(len(self), max(SHORTLIST, 4 * count))
        _, found = self._codes.search(probe[np.newaxis], length)
        numbers = np.sort(found[0][found[0] >= 0])
        return _ordered(numbers, self._fetch(numbers), probe, count)


def build(sample: Rows, blocks: Iterable[Rows]) -> Any:
    """Codes of all rows, learned from a sample of them; the same rows give the same codes."""
    faiss = _faiss()
    codes = faiss.IndexPQFastScan(DIMENSIONS, SUBQUANTISERS, BITS)
    codes.train(sample)
    for block in blocks:
        codes.add(block)
    return codes


def dump(codes: Any, write: Callable[[bytes], int]) -> None:
    """Hands the codes to `write`, piece by piece."""
    faiss = _faiss()
    faiss.write_index(codes, faiss.PyCallbackIOWriter(write, PIECE))


def restore(read: Callable[[int], bytes]) -> Any:
    """What `dump` wrote, from a function that reads so many bytes on; raises `ValueError`."""
    faiss = _faiss()
    try:
        return faiss.read_index(faiss.PyCallbackIOReader(read, PIECE))
    except RuntimeError as e:
        raise ValueError(f"no index of ours: {e}") from e


def blocks_of(count: int, size: int) -> Iterator[tuple[int, int]]:
    """0 up to `count` in steps: pairs of a beginning and an end."""
    return ((start, min(start + size, count)) for start in range(0, count, size))


def row_distances(rows: Rows, probe: Row) -> Row:
    """Euclidean, row by row: the same two encodings give the same number wherever they stand."""
    return np.asarray(np.linalg.norm(rows - probe, axis=1), np.float32)


def _ordered(numbers: Numbers, rows: Rows, probe: Row, count: int) -> tuple[Numbers, Row]:
    """Ascending numbers put in order of distance, and cut behind the last that is as near as the count-th."""
    near = row_distances(rows, probe)
    order = np.argsort(near, kind="stable")
    near = near[order]
    kept = int(np.searchsorted(near, near[count - 1], "right")) if count < len(near) else len(near)
    return numbers[order[:kept]], near[:kept]


def is_quantised(rows: int) -> bool:
    """Whether so many are searched by their codes; raises `Unavailable` where that should be, and cannot.

    There is no faiss in a function, whose image is the smaller for it.
    """
    if rows < QUANTISED_FROM:
        return False
    if find_spec("faiss") is not None:
        return True
    if rows > MOST_EXACT:
        detail = f"a gallery of {rows} encodings, and without faiss only {MOST_EXACT} are searched: let workers do it"
        raise Unavailable(detail, code="gallery_too_large")
    return False


def _faiss() -> Any:
    # Imported where a gallery is large enough to need it: 15 MB that most never pay.
    import faiss

    # A worker is a process on a core.
    faiss.omp_set_num_threads(1)
    return faiss
