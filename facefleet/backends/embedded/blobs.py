"""Blobs in a directory: a folder for each area, a file for each key, nothing half written."""

import fcntl
import hashlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO
from urllib.parse import quote, unquote
from uuid import uuid4

from facefleet.errors import Conflict, NotFound, Unavailable
from facefleet.keys import loggable
from facefleet.lock import exclusively
from facefleet.model import BlobInfo

#: ext4 and most others take 255 bytes for a name.
MAX_NAME_BYTES = 200
#: Ends a folder that holds the rest of a long name. `quote` never writes this.
CONTINUED = "%+"
#: Writes a file at the path.
Fill = Callable[[Path], object]
#: Whoever makes a file has locked it so many seconds later.
UNLOCKED = 1.0


class DirectoryBlobs:
    """The key `in/test_00.jpg` is the file `<root>/<folder of in>/test_00.jpg`.

    Everything behind the first slash is one percent-encoded name, so that no key leaves its folder and no
    key stands in another's way, as `a` and `a/b` would.
    """

    def __init__(self, root: Path, folders: Mapping[str, str]) -> None:
        self._root = root
        self._folders = folders
        # Files in the making lie apart, on the same disk: a listing never meets one.
        self._making = root / ".making"
        self._making.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.tidy()

    def put(self, key: str, data: bytes) -> None:
        self.put_all({key: data})

    def put_all(self, blobs: Mapping[str, bytes]) -> None:
        self._put(blobs)

    def put_file(self, key: str, fill: Fill) -> None:
        self._put({key: fill})

    def tagged(self, key: str) -> tuple[bytes, str]:
        data = self.get(key)
        return data, _tag(data)

    def put_if(self, key: str, data: bytes, *, tag: str | None) -> str:
        with exclusively(self._root / ".changing.lock"):
            if self._tag_of(key) != tag:
                raise Conflict(f"{loggable(key)} was changed by somebody else")
            self.put(key, data)
        return _tag(data)

    def _tag_of(self, key: str) -> str | None:
        try:
            return self.tagged(key)[1]
        except NotFound:
            return None

    def _put(self, contents: Mapping[str, bytes | Fill]) -> None:
        """Made beside, synced, then renamed, so that a reader never sees half a file, nor a power cut leaves one.

        All at each step: the first sync brings most of what the others wait for to the disk as well.
        """
        paths = [self._path(key) for key in contents]
        try:
            with ExitStack() as held:
                making = [held.enter_context(self._made(content)) for content in contents.values()]
                for file in making:
                    os.fsync(file.fileno())
                for file, path in zip(making, paths, strict=True):
                    _move(Path(file.name), path)
                for folder in dict.fromkeys(path.parent for path in paths):
                    _sync_folder(folder)
        except Unavailable:
            # An `OSError`, too.
            raise
        except OSError as e:
            raise Unavailable(
                f"{', '.join(map(loggable, contents))} cannot be written ({e.strerror}): is the disk full?"
            ) from e

    @contextmanager
    def _made(self, content: bytes | Fill) -> Iterator[IO[bytes]]:
        """A new file with this content; where anything fails before it is moved, it is gone."""
        path = self._making / uuid4().hex
        with path.open("xb") as file:
            try:
                # A lock dies with its holder: what is not locked will never be finished.
                fcntl.flock(file, fcntl.LOCK_EX)
                if isinstance(content, bytes):
                    file.write(content)
                    file.flush()
                else:
                    content(path)
                yield file
            except BaseException:
                # Nobody would find an image that stays here, neither to forget nor to erase it.
                path.unlink(missing_ok=True)
                raise

    def local(self, key: str) -> Path:
        path = self._path(key)
        if not path.is_file():
            raise NotFound(f"no blob {loggable(key)}")
        return path

    def tidy(self) -> None:
        """Removes what processes that were killed while they wrote left behind."""
        for making in self._making.iterdir():
            with suppress(FileNotFoundError):
                # One that was just made is not locked yet.
                if time.time() - making.stat().st_ctime > UNLOCKED and _is_abandoned(making):
                    making.unlink()

    def get(self, key: str) -> bytes:
        try:
            return self._path(key).read_bytes()
        except FileNotFoundError:
            raise NotFound(f"no blob {loggable(key)}") from None

    def delete(self, key: str) -> bool:
        path = self._path(key)
        try:
            path.unlink()
        except FileNotFoundError:
            return False
        _sync_folder(path.parent)
        return True

    def delete_older(self, key: str) -> None:
        """Nothing: no file has older versions."""

    def list(self, prefix: str, *, every_version: bool = False) -> Iterator[BlobInfo]:
        area = prefix.partition("/")[0]
        for name, entry in _files(self._area(area)):
            key = f"{area}/{unquote(name)}"
            if key.startswith(prefix):
                with suppress(FileNotFoundError):
                    info = entry.stat()
                    yield BlobInfo(key, info.st_size, info.st_mtime)

    def _path(self, key: str) -> Path:
        area, _, name = key.partition("/")
        if not name:
            raise ValueError(f"a key is area/name, not {key!r}")
        encoded = quote(name, safe=" ")
        parts = [_no_dots(encoded[i : i + MAX_NAME_BYTES]) for i in range(0, len(encoded), MAX_NAME_BYTES)]
        return self._area(area).joinpath(*(part + CONTINUED for part in parts[:-1]), parts[-1])

    def _area(self, area: str) -> Path:
        if not area.isalpha():
            raise ValueError(f"an area is a word, not {area!r}")
        return self._root / self._folders.get(area, area)


def _tag(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _no_dots(part: str) -> str:
    """`quote` lets dots pass, and one or two of them alone would be this folder or the one above."""
    return part.replace(".", "%2E") if part in (".", "..") else part


def _files(folder: Path, before: str = "") -> Iterator[tuple[str, "os.DirEntry[str]"]]:
    """Encoded names, put together again, and their files."""
    try:
        entries = list(os.scandir(folder))
    except FileNotFoundError:
        return
    for entry in entries:
        if entry.name.endswith(CONTINUED):
            yield from _files(Path(entry.path), before + entry.name.removesuffix(CONTINUED))
        else:
            yield before + entry.name, entry


def _is_abandoned(making: Path) -> bool:
    with making.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def _move(making: Path, path: Path) -> None:
    try:
        making.replace(path)
    except FileNotFoundError:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sync_folder(path.parent.parent)
        making.replace(path)


def _sync_folder(folder: Path) -> None:
    """A rename or deletion is on disk only once its folder is."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
