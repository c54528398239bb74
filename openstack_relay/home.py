"""Results as files at home: each whole or not there at all, and the newest of a stem under its plain name."""

import errno
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from facefleet.errors import BadMessage, Unavailable
from openstack_relay import names

#: What a file in the making is called: hidden, and passed over by whoever reads the folder.
MAKING = ".making-"
#: Seconds after which nobody is at it any more.
LEFT = 3600.0
#: Of one name alone, and no better the next time. All else is the disk's, the folder's or the machine's.
OF_THE_NAME = {errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL, errno.EILSEQ}
#: Bytes of a file that somebody else may have put there; more than any result.
MOST_READ = 65_536
#: What a disk must take before anything more is received: a block.
PROBE = b"\0" * 4096


class There(NamedTuple):
    """In the order in which one result comes after another: when its message was sent, in ms, then what it says."""

    sent_ms: int
    content: bytes


class Home:
    """A folder, which several processes may share. Every verb may be called from any thread."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # No other process's, on whatever machine: the folder may be one of several.
        self._making = folder / f"{MAKING}{uuid4().hex}"
        # Two results of one stem at the same time would each see the one before.
        self._lock = threading.Lock()

    def ask(self) -> None:
        """Raises `Unavailable` as long as nothing can be written there; makes the folder."""
        with self._lock, _telling(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                _write(self._making, PROBE)
            finally:
                self._making.unlink(missing_ok=True)

    def keep(self, stem: str, line: str, *, sent_at: float) -> Path:
        """Returns the result's file once it is safe; raises `Unavailable`, or `BadMessage` where the name is taken.

        The same again is the same file. Of several results of a stem the newest has the plain name, whatever order
        they come in, and each other one a name that ends in its digest.
        """
        new, name = There(round(sent_at * 1000), f"{line}\n".encode()), names.named(stem)
        with self._lock, _telling(self.folder):
            return self._kept(name, new, _found(self.folder / name))

    def _kept(self, name: str, new: There, there: There | None) -> Path:
        plain, beside = self.folder / name, self._older(name, new)
        if there is not None and there.content != new.content:
            if there > new:
                return self._put(beside, new)
            # Before its name is another's: whoever is killed in between has both.
            self._put(self._older(name, there), there)
        if there is None or there.content != new.content or there < new:
            self._put(plain, new)
        # It was the older one, and is not any more.
        beside.unlink(missing_ok=True)
        return plain

    def _older(self, name: str, one: There) -> Path:
        return self.folder / names.older(name, one.content)

    def _put(self, path: Path, one: There) -> Path:
        try:
            _write(self._making, one.content)
            os.utime(self._making, ns=(one.sent_ms * 1_000_000,) * 2)
            self._making.replace(path)
            _sync(self.folder)
        finally:
            self._making.unlink(missing_ok=True)
        return path

    def tidy(self) -> None:
        """Makes the folder, and removes what killed processes left half made there. What fails is told by `keep`."""
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            for half in self.folder.glob(f"{MAKING}*"):
                # Not by the time of its change, which is that of a message.
                if time.time() - half.stat().st_ctime > LEFT:
                    half.unlink()


def _found(path: Path) -> There | None:
    try:
        with path.open("rb") as file:
            return There(os.fstat(file.fileno()).st_mtime_ns // 1_000_000, file.read(MOST_READ))
    except FileNotFoundError:
        return None


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    """A rename is on the disk only once its folder is."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextmanager
def _telling(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as e:
        if e.errno in OF_THE_NAME:
            raise BadMessage(f"its file cannot be written ({e.strerror}): move away what has its name") from e
        raise Unavailable(
            f"results cannot be written to {folder} ({e.strerror}): make room, or mend the folder; it goes on by itself"
        ) from e
