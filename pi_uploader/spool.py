"""Captures on their way: each is safe on the disk before it is called taken, and stays until it is answered.

A capture is a file, `0000000042_1763784000123_<key>_photo.jpg`: its number, which is its place in line; when it was
taken, in ms; the key that makes sending it twice count once; what it was taken for. Who looks sees photos and clips.

Bounded: where a new capture does not fit, those of live sessions go first, the oldest first. Photos of the button and
those to enrol never go: where only these are left, the new capture is refused, and what was called taken is kept.
"""

import heapq
import logging
import re
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from uuid import uuid4

from filelock import FileLock, Timeout

from pi_uploader.disk import MAKING, write_whole
from pi_uploader.forms import CLIPS, suffix_of

log = logging.getLogger(__name__)

#: What captures of live sessions are labelled with, before their number.
FRAME, CLIP = "frame", "clip"
LOCK = ".lock"
NAME = re.compile(r"([0-9]{10,})_([0-9]{1,14})_([0-9a-f]{32})_([^/]+)\.(jpg|png|h264|mp4)", re.DOTALL)
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
    def is_live(self) -> bool:
        return self.label.startswith((FRAME, CLIP))

    @property
    def is_clip(self) -> bool:
        return self.suffix in CLIPS


def item_of(name: str) -> Item | None:
    """What a file's name says; None for a file that is no capture."""
    if (found := NAME.fullmatch(name)) is None:
        return None
    number, taken_ms, key, label, suffix = found.groups()
    item = Item(int(number), int(taken_ms) / 1000, key, label, suffix)
    # Whatever is written in another way than ours is somebody else's.
    return item if item.name == name else None


def waits(captures: int) -> str:
    return "1 capture waits" if captures == 1 else f"{captures} captures wait"


class Spool:
    """A folder of captures, for one process. Every verb may be called from any thread."""

    def __init__(self, folder: Path, *, max_bytes: int, free_bytes: int) -> None:
        """Raises `SpoolBusy`, and `OSError` where the folder cannot be made or read."""
        self._folder = folder
        self._max_bytes = max_bytes
        self._free_bytes = free_bytes
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = FileLock(folder / LOCK)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise SpoolBusy(f"{folder} is in use by another pi_uploader: stop that first, or name a --data") from None
        self._changed = threading.Condition()
        self._sizes = _found_in(folder)
        self._bytes = sum(self._sizes.values())
        #: By turn: 0, or later for those that went behind all others, which `_turn_of` knows.
        self._line = [(0, item) for item in sorted(self._sizes)]
        self._turns, self._turn_of = 0, dict[Item, int]()
        self._in_hand: set[Item] = set()
        self._last = max((item.number for item in self._sizes), default=0)
        self._ends = False
        #: Captures that went to make room, and those of them that were clips.
        self.lost = self.lost_clips = 0

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
            write_whole(self._folder / item.name, image)
        except OSError as e:
            with self._changed:
                self._forget(item)
            raise SpoolFull(f"{self._folder} cannot be written ({e.strerror}): the capture is not taken") from e
        self.give_back(item)
        return item

    def take(self, timeout: float) -> Item | None:
        """The first that nobody has in hand, now in the caller's; None if there was none in time."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_waiting() or self._ends, timeout)
            if not self._is_waiting():
                return None
            item = heapq.heappop(self._line)[1]
            self._in_hand.add(item)
            return item

    def end(self) -> None:
        """From now on nobody waits for a capture that may come."""
        with self._changed:
            self._ends = True
            self._changed.notify_all()

    def give_back(self, item: Item, *, last: bool = False) -> None:
        """To its old place in line, or to behind all that wait; again is harmless."""
        with self._changed:
            if item not in self._in_hand:
                return
            self._in_hand.discard(item)
            if last:
                self._turns += 1
                self._turn_of[item] = self._turns
            heapq.heappush(self._line, (self._turn_of.get(item, 0), item))
            self._changed.notify()

    def others_wait(self) -> bool:
        """Whether there is any that nobody has in hand."""
        with self._changed:
            return self._is_waiting()

    def read(self, item: Item) -> bytes:
        """Raises `OSError`."""
        return (self._folder / item.name).read_bytes()

    def remove(self, item: Item) -> None:
        """It is answered. Again is harmless. Raises `OSError`; nobody waits for it any more then, either."""
        try:
            (self._folder / item.name).unlink(missing_ok=True)
        finally:
            with self._changed:
                self._forget(item)

    def _is_waiting(self) -> bool:
        # Those that went meanwhile are still in line.
        while self._line and self._line[0][1] not in self._sizes:
            heapq.heappop(self._line)
        return bool(self._line)

    def _placed(self, image: bytes, taken_at: float, since: float | None, label: str) -> Item:
        """A new item with room for it; in hand, so that nobody makes room of what is being written."""
        if not label or len(label.encode()) > MAX_LABEL_BYTES or set(label) & {"/", "\\", "\0"}:
            raise ValueError(f"{label!r} is no part of a file's name, of {MAX_LABEL_BYTES} bytes at most")
        with self._changed:
            self._make_room(len(image))
            self._last += 1
            # As its file's name has it: the next process must send it as this one did.
            taken_at = round(1000 * taken_at) / 1000
            item = Item(self._last, taken_at, uuid4().hex, label, suffix_of(image), since)
            self._in_hand.add(item)
            self._sizes[item] = len(image)
            self._bytes += len(image)
            return item

    def _make_room(self, needed: int) -> None:
        """All that it takes, or nothing: frames that went would be lost for a capture that is refused all the same."""
        if (short := self._short_of(needed)) <= 0:
            return
        if short > sum(self._sizes[item] for item in self._expendable()):
            raise self._full()
        while self._short_of(needed) > 0:
            # None where somebody else fills the disk meanwhile.
            if (oldest := min(self._expendable(), default=None)) is None:
                raise self._full()
            (self._folder / oldest.name).unlink(missing_ok=True)
            self._forget(oldest)
            self.lost, self.lost_clips = self.lost + 1, self.lost_clips + oldest.is_clip
            log.warning("%s went, unsent, to make room", oldest.label)

    def _short_of(self, needed: int) -> int:
        """Bytes that must go for so many more; 0 or less if none must."""
        return max(self._bytes + needed - self._max_bytes, self._free_bytes + needed - self._free())

    def _free(self) -> int:
        """Bytes that are free on the disk."""
        try:
            return shutil.disk_usage(self._folder).free
        except OSError as e:
            raise SpoolFull(f"{self._folder} cannot be used ({e.strerror}): see what became of it") from e

    def _expendable(self) -> Iterator[Item]:
        return (item for item in self._sizes if item.is_live and item not in self._in_hand)

    def _full(self) -> SpoolFull:
        return SpoolFull(
            f"no room in {self._folder}: {waits(len(self._sizes))} ({self._bytes / 1e6:.0f} MB), "
            f"{self._free() / 1e6:.0f} MB of the disk are free: "
            "see that the service can be reached, or raise spool_bytes"
        )

    def _forget(self, item: Item) -> None:
        self._in_hand.discard(item)
        self._turn_of.pop(item, None)
        self._bytes -= self._sizes.pop(item, 0)


def _found_in(folder: Path) -> dict[Item, int]:
    """Captures of earlier processes, by size. What those left half made was never taken, and goes."""
    sizes = {}
    for path in folder.iterdir():
        if path.name.startswith(MAKING):
            path.unlink(missing_ok=True)
        elif (item := item_of(path.name)) is not None:
            sizes[item] = path.stat().st_size
    return sizes
