"""Files that hold blobs on this machine for a while. An image or an encoding may not stay on a worker's disk."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from threading import local
from typing import IO
from weakref import finalize

from facefleet.errors import Unavailable

#: Where a process finds its open files by number: Linux, and macOS.
DESCRIPTORS = next((folder for folder in (Path("/proc/self/fd"), Path("/dev/fd")) if folder.is_dir()), Path("/dev/fd"))


class Unnamed:
    """An open file without a name: it is gone once nobody holds it open, even if this process is killed."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        with TemporaryFile() as file:
            for chunk in chunks:
                file.write(chunk)
            file.seek(0)
            self._file = os.dup(file.fileno())
        finalize(self, os.close, self._file)

    @property
    def path(self) -> Path:
        """Opens it anew, in this process, as long as this is held."""
        return DESCRIPTORS / str(self._file)


class LastUnnamed(local):
    """For each thread the file that it fetched last, so that it can still open what it was given the path of."""

    file: Unnamed | None = None

    def replace(self, chunks: Iterable[bytes]) -> Path:
        self.file = None
        self.file = Unnamed(chunks)
        return self.file.path


@contextmanager
def filled(fill: Callable[[Path], object]) -> Iterator[IO[bytes]]:
    """The file that `fill` makes, open to be read; its name is gone before anybody reads it."""
    with TemporaryDirectory(prefix="facefleet-") as folder:
        path = Path(folder) / "blob"
        fill(path)
        file = path.open("rb")
    with file:
        yield file


@contextmanager
def on_disk(what: str) -> Iterator[None]:
    try:
        yield
    except Unavailable:
        # An `OSError`, too.
        raise
    except OSError as e:
        raise Unavailable(f"{what}: a file cannot be written ({e.strerror}): is the disk full?") from e
