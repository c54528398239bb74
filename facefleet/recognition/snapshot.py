"""A gallery as one file: written in one pass, mapped by every worker, and searched without being read.

The file: a header; the rows of everybody's centres, person by person; where each person's text begins; whose each row
is; the texts, in order of the ids; for many rows, their quantised codes. All numbers are little-endian.
"""

import json
import os
import shutil
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from hashlib import sha256
from itertools import accumulate
from mmap import ACCESS_READ, mmap
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any
from weakref import finalize

import numpy as np
from numpy.typing import NDArray

from facefleet.errors import ServiceError
from facefleet.model import Person
from facefleet.recognition import index
from facefleet.recognition.entries import Entry, person_of
from facefleet.recognition.index import Exact, Index, Numbers, Quantised, Rows
from facefleet.recognition.weights import DIMENSIONS

MAGIC = b"facefleet gallery\n"
FORMAT = 1
#: One page, so that no row lies across two.
HEADER_BYTES = 4096
ROW_BYTES = 4 * DIMENSIONS
#: People, or rows, that are read at a time.
BLOCK = 4096
#: Between an id and its JSON, which never holds one as it is.
END_OF_ID = b"\0"


class BadSnapshot(ServiceError, ValueError):
    """A file is not a snapshot that can be used here: make another."""

    code = "bad_snapshot"


@dataclass(frozen=True, slots=True)
class Header:
    """What stands where: all sizes follow from these."""

    version: int
    model: str
    people: int
    enrolled: int
    rows: int
    text: int
    codes: int
    format: int = FORMAT

    def starts(self) -> list[int]:
        """Where rows, texts' places, owners, texts and codes begin, and the file ends."""
        sizes = (ROW_BYTES * self.rows, 8 * (self.people + 1), 4 * self.rows, self.text, self.codes)
        return list(accumulate(sizes, initial=HEADER_BYTES))

    def dump(self) -> bytes:
        body = json.dumps(asdict(self)).encode()
        return (MAGIC + sha256(body).digest() + body).ljust(HEADER_BYTES)

    @classmethod
    def load(cls, data: bytes) -> "Header":
        """Raises `BadSnapshot`."""
        checksum, body = data[len(MAGIC) : len(MAGIC) + 32], data[len(MAGIC) + 32 :].rstrip()
        if not data.startswith(MAGIC) or len(data) != HEADER_BYTES:
            raise BadSnapshot("not a gallery of ours")
        if sha256(body).digest() != checksum:
            raise BadSnapshot("a damaged gallery: its header is not as it was written")
        fields = json.loads(body)
        if fields["format"] != FORMAT:
            raise BadSnapshot(f"a gallery of format {fields['format']}, this worker reads {FORMAT}")
        return cls(**fields)


class _File:
    """A file that stays as it was opened, whatever becomes of its name.

    Rows and texts are read and not mapped: pages that were mapped once count as this process's memory, and chance
    would soon have touched all of them.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDONLY)
        finalize(self, os.close, self._file)
        self.size = os.fstat(self._file).st_size

    def read(self, start: int, size: int) -> bytes:
        return os.pread(self._file, size, start)

    def rows(self, numbers: Iterable[int]) -> Rows:
        read, file = os.pread, self._file
        found = b"".join([read(file, ROW_BYTES, HEADER_BYTES + ROW_BYTES * number) for number in numbers])
        return np.frombuffer(found, "<f4").reshape(-1, DIMENSIONS)

    def block(self, start: int, end: int) -> Rows:
        found = self.read(HEADER_BYTES + ROW_BYTES * start, ROW_BYTES * (end - start))
        return np.frombuffer(found, "<f4").reshape(-1, DIMENSIONS)

    def stream(self, start: int) -> IO[bytes]:
        stream = os.fdopen(os.dup(self._file), "rb")
        stream.seek(start)
        return stream

    def array(self, start: int, count: int, kind: str) -> NDArray[Any]:
        # An empty stretch may lie at the very end, where nothing can be mapped.
        mapped = mmap(self._file, 0, access=ACCESS_READ) if count else b""
        return np.frombuffer(mapped, kind, count, start if count else 0)


class Snapshot:
    """People of one version, in order of their ids, by number; their rows likewise."""

    def __init__(self, file: _File, header: Header) -> None:
        _rows, texts, owners, self._text, codes, _end = header.starts()
        self.version = header.version
        self.enrolled = header.enrolled
        self._people = header.people
        self._file = file
        self._texts = file.array(texts, header.people + 1, "<u8")
        self._owners = file.array(owners, header.rows, "<u4")
        self.index = _index(file, header, codes)

    def __len__(self) -> int:
        return self._people

    def owners(self, rows: Numbers) -> list[int]:
        """The numbers of the people whose these rows are."""
        owners: list[int] = self._owners[rows].tolist()
        return owners

    def person(self, number: int) -> Person:
        """Without their photos, which a snapshot has not."""
        return person_of(*self._about(number))

    def id(self, number: int) -> str:
        return self._about(number)[0]

    def number(self, id: str) -> int | None:
        """Somebody's number; None if nobody has this id."""
        place = bisect_left(range(self._people), id, key=self.id)
        return place if place < self._people and self.id(place) == id else None

    def is_enrolled(self, number: int) -> bool:
        """Whether the person has any photo."""
        # A number of another type would have all the owners converted first.
        place = int(np.searchsorted(self._owners, np.uint32(number)))
        return place < len(self._owners) and int(self._owners[place]) == number

    def entries(self) -> Iterator[tuple[int, Entry]]:
        """Everybody, each with their number, read a block at a time."""
        for start, end in index.blocks_of(self._people, BLOCK):
            places = (self._texts[start : end + 1] - self._texts[start]).tolist()
            text = self._file.read(self._text + int(self._texts[start]), places[-1])
            firsts = np.searchsorted(self._owners, np.arange(start, end + 1, dtype=np.uint32)).tolist()
            rows = self._file.block(firsts[0], firsts[-1])
            for i in range(end - start):
                id, about = _parted(text[places[i] : places[i + 1]])
                yield start + i, Entry(id, about, rows[firsts[i] - firsts[0] : firsts[i + 1] - firsts[0]])

    def _about(self, number: int) -> tuple[str, bytes]:
        start, end = self._texts[number : number + 2].tolist()
        return _parted(self._file.read(self._text + start, end - start))


def _parted(text: bytes) -> tuple[str, bytes]:
    id, _, about = text.rpartition(END_OF_ID)
    return id.decode(), about


def _index(file: _File, header: Header, codes: int) -> Index:
    if not index.is_quantised(header.rows):
        return Exact.of(file.block(0, header.rows))
    if not header.codes:
        # A function made it, for itself: in each worker's memory it takes far more than codes, which are soon made.
        raise BadSnapshot("a large gallery without codes: another is made")
    with file.stream(codes) as stream:
        return Quantised(index.restore(stream.read), lambda numbers: file.rows(numbers.tolist()))


def load(path: Path, *, model: str) -> Snapshot:
    """The snapshot that a file holds, ready to be searched; raises `BadSnapshot`, or `Unavailable` of too many rows.

    Header and sizes are checked, and not each of the file's bytes: that would take longer than all the rest.
    """
    file = _File(path)
    header = Header.load(file.read(0, HEADER_BYTES))
    if header.model != model:
        raise BadSnapshot(f"a gallery of encodings by {header.model}, and this worker's are by {model}")
    if file.size != header.starts()[-1]:
        raise BadSnapshot(f"a damaged gallery: {file.size} bytes where {header.starts()[-1]} were written")
    try:
        return Snapshot(file, header)
    except ValueError as e:
        raise BadSnapshot(f"a damaged gallery: {e}") from e


def write(entries: Iterable[Entry], path: Path, *, version: int, model: str) -> None:
    """One file of everybody, who come in order of their ids; raises `ValueError` where they do not.

    In memory it holds 12 bytes a person and 32 a row, and some 30 MB besides, never all the people.
    """
    with path.open("wb+") as file, TemporaryFile(dir=path.parent) as texts:
        file.write(bytes(HEADER_BYTES))
        places, owners, enrolled = _write_entries(entries, file, texts)
        file.write(np.asarray(places, "<u8").data)
        file.write(np.asarray(owners, "<u4").data)
        texts.seek(0)
        shutil.copyfileobj(texts, file)
        codes = file.tell()
        if index.is_quantised(len(owners)):
            file.flush()
            index.dump(_codes(_File(path), len(owners)), file.write)
        header = Header(version, model, len(places) - 1, enrolled, len(owners), places[-1], file.tell() - codes)
        file.seek(0)
        file.write(header.dump())


def _write_entries(
    entries: Iterable[Entry], file: IO[bytes], texts: IO[bytes]
) -> tuple["array[int]", "array[int]", int]:
    """Rows into one file, texts into the other; where each text begins, whose each row is, and how many have any."""
    places, owners, enrolled, last = array("Q", [0]), array("I"), 0, b""
    for number, one in enumerate(entries):
        id = one.id.encode()
        if number and id <= last:
            raise ValueError(f"{one.id} comes behind {last.decode()}: people are written in order of their ids")
        last = id
        places.append(places[-1] + texts.write(id + END_OF_ID + one.about))
        file.write(one.rows.astype("<f4", copy=False).tobytes())
        owners.extend([number] * len(one.rows))
        enrolled += len(one.rows) > 0
    return places, owners, enrolled


def _codes(file: _File, count: int) -> Any:
    """Learned from a sample that is the same each time, so that everybody makes the same of the same rows."""
    sample = np.sort(np.random.default_rng(0).choice(count, min(count, index.SAMPLE), replace=False))
    blocks = (file.block(start, end) for start, end in index.blocks_of(count, BLOCK))
    return index.build(file.rows(sample.tolist()), blocks)
