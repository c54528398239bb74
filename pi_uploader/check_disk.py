"""The data folder and its spool, as a check-up finds them."""

import errno
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

from pi_uploader.disk import MAKING, write_whole
from pi_uploader.findings import Finding
from pi_uploader.settings import Settings
from pi_uploader.spool import LOCK, Spool, SpoolBusy, item_of, waits

#: Bytes of a large capture.
CAPTURE = 1_000_000
#: Seconds; a card that is well takes a tenth.
SLOW_WRITE = 2.0
#: Of `spool_bytes`.
NEARLY_FULL = 0.9
WHAT_TO_DO = {
    errno.EROFS: (
        "the disk is read-only: cards that wear out become so, and cards after a pulled plug until they are"
        " repaired: see `dmesg`, restart; if it stays so, save what is on the card and replace it"
    ),
    errno.ENOSPC: "the disk is full: remove what is not needed, `sudo apt clean` and `journalctl --vacuum-size=50M`",
    errno.EIO: "the disk fails: see `dmesg`, save what is on the card and replace it",
}
NOT_OURS = "run this as the user whose folder it is (`sudo pi_uploader --check`), or name a folder with --data"


def disk(settings: Settings) -> Iterator[Finding]:
    folder = settings.spool
    if (owner := foreign_owner(settings.folder)) is not None:
        yield Finding("disk", False, f"{settings.folder} is of user {owner}, and this is root", NOT_OURS)
        return
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        seconds = seconds_to_write(folder)
        free = shutil.disk_usage(folder).free
    except OSError as e:
        words = f"{folder} cannot be written ({e.strerror})"
        yield Finding("disk", False, words, WHAT_TO_DO.get(e.errno or 0, NOT_OURS))
        return
    yield written(folder, free, settings.free_bytes, seconds)


def written(folder: Path, free: int, free_bytes: int, seconds: float) -> Finding:
    """What free space and a capture written say of the disk."""
    told = f"{folder}: {free / 1e6:,.0f} MB are free"
    if free - CAPTURE < free_bytes:
        words = "make room on the disk, or lower free_bytes: until then captures are refused"
        return Finding("disk", False, f"{told}, and captures leave {free_bytes / 1e6:,.0f} MB free", words)
    slow = "each photo takes so long: replace the card by one of class A1, or end what else writes"
    told = f"{told}, a capture of {CAPTURE / 1e6:g} MB is safe in {seconds:.2f} s"
    return Finding("disk", True, told, slow if seconds > SLOW_WRITE else "")


def seconds_to_write(folder: Path) -> float:
    """Until a capture of some size is safe; it is removed. Raises `OSError`."""
    # So named, what stays because this is killed goes with the next start.
    file = folder / f"{MAKING}check-{uuid4().hex}"
    started = time.monotonic()
    try:
        write_whole(file, bytes(CAPTURE))
        return time.monotonic() - started
    finally:
        file.unlink(missing_ok=True)


def foreign_owner(folder: Path) -> int | None:
    """Whose it is, where this is root and it is not root's: what root makes there, its owner could not use."""
    if os.name == "nt" or os.geteuid() != 0 or not folder.exists():
        return None
    return folder.stat().st_uid or None


def has_other(settings: Settings) -> bool:
    """Whether another pi_uploader works in this data folder."""
    try:
        if not (settings.spool / LOCK).exists():
            return False
        with _opened(settings):
            return False
    except SpoolBusy:
        return True
    except OSError:
        return False


def spool(settings: Settings) -> Iterator[Finding]:
    if foreign_owner(settings.folder) is not None:
        yield Finding("spool", False, "not looked at", NOT_OURS)
        return
    try:
        with _opened(settings):
            yield waiting(*_captures(settings.spool), settings.spool_bytes)
    except SpoolBusy:
        words = (
            "to check button, LEDs and camera: `sudo systemctl stop pi_uploader`, or end it where it runs; then again"
        )
        yield Finding("spool", False, f"another pi_uploader works with {settings.folder}", words)
    except OSError as e:
        yield Finding("spool", False, f"cannot be opened ({e.strerror})", "see what is said of the disk")


def waiting(captures: int, size: int, spool_bytes: int) -> Finding:
    """What is in a spool says of it."""
    told = f"{waits(captures)}, {size / 1e6:.1f} of {spool_bytes / 1e6:,.0f} MB"
    if size > NEARLY_FULL * spool_bytes:
        words = (
            "see that the service answers, and start pi_uploader: new captures are refused soon; or raise spool_bytes"
        )
        return Finding("spool", False, told, words)
    return Finding("spool", True, told, "they are sent once pi_uploader runs" if captures else "")


def _captures(folder: Path) -> tuple[int, int]:
    """How many, of how many bytes."""
    sizes = [path.stat().st_size for path in folder.iterdir() if item_of(path.name) is not None]
    return len(sizes), sum(sizes)


def _opened(settings: Settings) -> Spool:
    return Spool(settings.spool, max_bytes=settings.spool_bytes, free_bytes=settings.free_bytes)
