"""The photos and clips of a folder, in turn: a camera for tests, and for desktops without one."""

import logging
import time
from collections import deque
from collections.abc import Set
from pathlib import Path

from pi_uploader.camera import CameraFailed, NoCamera
from pi_uploader.forms import CLIPS, TYPES, suffix_of
from pi_uploader.recording import Clip

log = logging.getLogger(__name__)

PHOTO_SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})
CLIP_SUFFIXES = frozenset({".mp4", ".m4v", ".h264", ".264"})


class FolderCamera:
    """The files of a folder by name, over and over, as they are.

    Each round looks anew at what is in the folder. A file that is gone by its turn, cannot be read, or is not what its
    name says, is passed over.
    """

    def __init__(self, folder: Path) -> None:
        files_of(folder, PHOTO_SUFFIXES | CLIP_SUFFIXES)
        self._photos = Round(folder, PHOTO_SUFFIXES, TYPES.keys() - CLIPS)
        self._clips = Round(folder, CLIP_SUFFIXES, CLIPS)
        self._folder = folder
        self._seconds = 0.0
        self._due = 0.0
        self._closed = False

    def still(self) -> bytes:
        self._check()
        return self._photos.next()

    def record(self, seconds: float, form: str) -> None:
        """A clip every so many seconds, however long it is, and in whatever form."""
        self._check()
        files_of(self._folder, CLIP_SUFFIXES)
        self._seconds, self._due = seconds, time.monotonic() + seconds

    def clip(self, timeout: float) -> Clip | None:
        self._check()
        if not self._seconds:
            return None
        left = self._due - time.monotonic()
        time.sleep(max(0.0, min(left, timeout)))
        if left > timeout:
            return None
        self._due += self._seconds
        now = time.monotonic()
        began = now - self._seconds
        return Clip(self._clips.next(), time.time() - self._seconds, began, now)

    def end(self) -> None:
        self._seconds = 0.0

    def close(self) -> None:
        self._closed = True

    def _check(self) -> None:
        if self._closed:
            raise CameraFailed(f"the camera of {self._folder} is closed: open it again")


class Round:
    """Files with these suffixes, and of these forms by what is in them."""

    def __init__(self, folder: Path, suffixes: frozenset[str], forms: Set[str]) -> None:
        self._folder, self._suffixes, self._forms = folder, suffixes, forms
        self._left: deque[Path] = deque()

    def next(self) -> bytes:
        """Raises `NoCamera` where there is none, and `CameraFailed` where none can be read."""
        if file := self._next():
            return file
        self._left.extend(files_of(self._folder, self._suffixes))
        if file := self._next():
            return file
        forms = " or ".join(sorted(self._forms))
        raise CameraFailed(f"no file in {self._folder} can be read as {forms}: put one there that can")

    def _next(self) -> bytes | None:
        while self._left:
            path = self._left.popleft()
            try:
                if (data := path.read_bytes()) and suffix_of(data) in self._forms:
                    return data
                # Nor raised, as below.
                log.warning("%s is %s: move it away", path, "not what its name says" if data else "empty")
            except FileNotFoundError:
                continue
            except OSError as e:
                # Not raised: who then opens the camera anew has the first file again, and never one behind this.
                log.warning("%s cannot be read (%s): let this user read it, or move it away", path, e.strerror)
        return None


def files_of(folder: Path, suffixes: frozenset[str]) -> list[Path]:
    """Those in a folder by name, without those that are hidden; at least one, or `NoCamera`."""
    try:
        files = sorted(p for p in folder.iterdir() if p.suffix.lower() in suffixes and not p.name.startswith("."))
    except OSError as e:
        raise NoCamera(
            f"{folder} is no folder that can be read ({e.strerror}): name another, `--camera folder:PATH`"
        ) from e
    if not files:
        raise NoCamera(f"there are no {_missing(suffixes, folder)}")
    return files


def _missing(suffixes: frozenset[str], folder: Path) -> str:
    if suffixes == CLIP_SUFFIXES:
        return f"clips in {folder}: put a .mp4 or .h264 there"
    more = ", and for video a .mp4 or .h264" if suffixes > PHOTO_SUFFIXES else ""
    return f"photos in {folder}: put a .jpg or .png there{more}"
