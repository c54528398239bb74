"""Captures on their way: each is safe on the disk before it is called taken, and stays until it is answered.

A capture is a file, `0000000042_1763784000123_<key>_photo.jpg`: its number, which is its place in line; when it was
taken, in ms; the key that makes sending it twice count once; what it was taken for. Whoever looks sees photos.

Bounded: where a new capture does not fit, frames of live sessions go first, the oldest first. Photos of the button and
those to enrol never go: where only these are left, the new capture is refused, and what was called taken is kept.
"""

import heapq
import logging
import os
import re
import shutil
import threading
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from uuid import uuid4

from filelock import FileLock, Timeout

log = logging.getLogger(__name__)

FRAME = "frame"
#: What a file in the making begins with.
MAKING = ".making-"
NAME = re.compile(r"(\d{10,})_(\d+)_([0-9a-f]{32})_(.+)\.(jpg|png)", re.DOTALL)
PNG = b"\x89PNG"
#: A file's name takes 255 bytes on ext4, and all but the label is ours.
MAX_LABEL_BYTES = 150


class SpoolFull(OSError):
    """There is no room for a capture: it is not taken. Let those that wait be sent first."""


class SpoolBusy(RuntimeError):
    """Another process works on this spool: stop that one first."""


@dataclass(frozen=True, slots=True, order=True)
class Item:
    """A capture. `since`: when it was taken on this process's monotonic clock; None if an earlier one took it."""

    number: int
    taken_at: float = field(compare=False)
    key: str
    label: str = field(compare=False)
    suffix: str = field(compare=False)
    since: float | None = field(default=None, compare=False)

    @property
    def name(self) -> str:
        return f"{self.number:010d}_{round(1000 * self.taken_at)}_{self.key}_{self.label}.{self.suffix}"

    @property
    def is_frame(self) -> bool:
        return self.label.startswith(FRAME)


def item_of(name: str) -> Item | None:
    """What a file's name says; None for a file that is no capture."""
    if (found := NAME.fullmatch(name)) is None:
        return None
    number, taken_ms, key, label, suffix = found.groups()
    return Item(int(number), int(taken_ms) / 1000, key, label, suffix)


class Spool:
    """A folder of captures, for one process. Every verb may be called from any thread."""

    def __init__(self, folder: Path, *, max_bytes: int, free_bytes: int) -> None:
        """Raises `SpoolBusy`, and `OSError` where the folder cannot be made or read."""
        self._folder = folder
        self._max_bytes = max_bytes
        self._free_bytes = free_bytes
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = FileLock(folder / ".lock")
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise SpoolBusy(
                f"{folder} is another pi_uploader's: stop that one first, or name a folder with --data"
            ) from None
        self._changed = threading.Condition()
        self._sizes = _found_in(folder)
        self._bytes = sum(self._sizes.values())
        self._line = sorted(self._sizes)
        self._in_hand: set[Item] = set()
        self._last = max((item.number for item in self._sizes), default=0)
        #: Frames that went to make room.
        self.lost = 0

    def __enter__(self) -> "Spool":
        return self

    def __exit__(self, kind: type[BaseException] | None, e: BaseException | None, trace: TracebackType | None) -> None:
        self._lock.release()

    def __len__(self) -> int:
        """How many captures wait, those in hand as well."""
        return len(self._sizes)

    def items(self) -> list[Item]:
        with self._changed:
            return sorted(self._sizes)

    def put(self, image: bytes, *, taken_at: float, since: float | None = None, label: str = "photo") -> Item:
        """Returns once the capture is safe. Raises `SpoolFull`."""
        item = self._placed(image, taken_at, since, label)
        try:
            self._write(item, image)
        except OSError as e:
            with self._changed:
                self._forget(item)
            raise SpoolFull(f"{self._folder} cannot be written ({e.strerror}): the capture is not taken") from e
        with self._changed:
            heapq.heappush(self._line, item)
            self._changed.notify()
        return item

    def take(self, timeout: float) -> Item | None:
        """The first that nobody has in hand, now in the caller's; None if there was none in time."""
        with self._changed:
            self._changed.wait_for(self._is_waiting, timeout)
            if not self._is_waiting():
                return None
            item = heapq.heappop(self._line)
            self._in_hand.add(item)
            return item

    def give_back(self, item: Item) -> None:
        """To its old place in line."""
        with self._changed:
            self._in_hand.discard(item)
            heapq.heappush(self._line, item)
            self._changed.notify()

    def read(self, item: Item) -> bytes:
        """Raises `OSError`."""
        return (self._folder / item.name).read_bytes()

    def remove(self, item: Item) -> None:
        """It is answered. Again is harmless."""
        (self._folder / item.name).unlink(missing_ok=True)
        with self._changed:
            self._forget(item)

    def _is_waiting(self) -> bool:
        # Those that went meanwhile are still in line.
        while self._line and self._line[0] not in self._sizes:
            heapq.heappop(self._line)
        return bool(self._line)

    def _placed(self, image: bytes, taken_at: float, since: float | None, label: str) -> Item:
        """A new item with room for it, held from now on."""
        if len(label.encode()) > MAX_LABEL_BYTES:
            raise ValueError(f"{label} is too long: {MAX_LABEL_BYTES} bytes at most")
        with self._changed:
            self._make_room(len(image))
            self._last += 1
            suffix = "png" if image.startswith(PNG) else "jpg"
            item = Item(self._last, taken_at, uuid4().hex, label, suffix, since)
            self._sizes[item] = len(image)
            self._bytes += len(image)
            return item

    def _make_room(self, needed: int) -> None:
        while not self._fits(needed):
            oldest = min((item for item in self._sizes if item.is_frame and item not in self._in_hand), default=None)
            if oldest is None:
                raise SpoolFull(
                    f"no room in {self._folder}: {len(self._sizes)} captures of {self._bytes / 1e6:.0f} MB wait, "
                    f"{shutil.disk_usage(self._folder).free / 1e6:.0f} MB of the disk are free: "
                    "see that the service can be reached, or raise spool_bytes"
                )
            (self._folder / oldest.name).unlink(missing_ok=True)
            self._forget(oldest)
            self.lost += 1
            log.warning("%s went, unsent, to make room", oldest.label)

    def _fits(self, needed: int) -> bool:
        free = shutil.disk_usage(self._folder).free
        return self._bytes + needed <= self._max_bytes and free - needed >= self._free_bytes

    def _forget(self, item: Item) -> None:
        self._in_hand.discard(item)
        self._bytes -= self._sizes.pop(item, 0)

    def _write(self, item: Item, image: bytes) -> None:
        """Made beside, synced, then renamed: a plug that is pulled leaves the whole photo or none."""
        making = self._folder / f"{MAKING}{item.key}"
        try:
            with making.open("xb") as file:
                file.write(image)
                file.flush()
                os.fsync(file.fileno())
            making.replace(self._folder / item.name)
            sync_folder(self._folder)
        except OSError:
            making.unlink(missing_ok=True)
            raise


def sync_folder(folder: Path) -> None:
    """A rename is on the disk only once its folder is. Windows has no such thing."""
    if os.name == "nt":
        return
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _found_in(folder: Path) -> dict[Item, int]:
    """Captures of earlier processes, by size. What those left half made was never taken, and goes."""
    sizes = {}
    for path in folder.iterdir():
        if path.name.startswith(MAKING):
            path.unlink(missing_ok=True)
        elif (item := item_of(path.name)) is not None:
            sizes[item] = path.stat().st_size
    return sizes
