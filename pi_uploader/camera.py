"""Cameras, of three kinds, that all do one thing: give a photo taken now."""

import logging
import sys
from collections import deque
from pathlib import Path
from typing import Protocol

log = logging.getLogger(__name__)

SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})
FORMS = "auto, picamera2, usb, usb:1 (or usb:/dev/video1), or folder:PATH"
#: What gives a camera to somebody who has none.
WAYS = (
    "for a camera on the ribbon cable `sudo apt install -y python3-picamera2`;"
    " for one on USB `pip install -r pi_uploader/requirements-usb.txt` (on a Pi `sudo apt install -y python3-opencv`);"
    " for none at all give a folder of photos, `--camera folder:PATH`"
)


class CameraError(Exception):
    """There is no photo; the message says what to do next."""


class BadCamera(CameraError, ValueError):
    """The settings name no kind of camera that there is: correct them."""


class NoCamera(CameraError, LookupError):
    """There is no such camera here: plug it in, install what drives it, or name another."""


class CameraFailed(CameraError, OSError):
    """The camera is there and gave no photo: close it, and open it anew at the next press."""


class Camera(Protocol):
    """For one thread at a time."""

    def still(self) -> bytes:
        """A photo that was taken after this was called, as a JPEG or PNG.

        Raises `CameraFailed` within seconds, or `NoCamera`; never waits for ever.
        """

    def close(self) -> None:
        """Gives the camera back for others to open; again is harmless."""


class FolderCamera:
    """The photos of a folder by name, over and over, as they are: a camera for tests and for desktops without one.

    Each round looks anew at what is in the folder. A photo that is gone by its turn, or cannot be read, is passed over.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._round = deque(photos_of(folder))
        self._closed = False

    def still(self) -> bytes:
        if self._closed:
            raise CameraFailed(f"the camera of {self._folder} is closed: open it again")
        if photo := self._next():
            return photo
        self._round.extend(photos_of(self._folder))
        if photo := self._next():
            return photo
        raise CameraFailed(f"no photo in {self._folder} can be read: put one there that can")

    def close(self) -> None:
        self._closed = True

    def _next(self) -> bytes | None:
        while self._round:
            photo = self._round.popleft()
            try:
                if image := photo.read_bytes():
                    return image
                log.warning("%s is empty: move it away", photo)
            except FileNotFoundError:
                continue
            except OSError as e:
                # Not raised: who then opens the camera anew has the first photo again, and never one behind this.
                log.warning("%s cannot be read (%s): let this user read it, or move it away", photo, e.strerror)
        return None


def photos_of(folder: Path) -> list[Path]:
    """The photos in a folder by name, without those that are hidden; at least one, or `NoCamera`."""
    try:
        photos = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))
    except OSError as e:
        raise NoCamera(
            f"{folder} is no folder that can be read ({e.strerror}): name another, `--camera folder:PATH`"
        ) from e
    if not photos:
        raise NoCamera(f"there are no photos in {folder}: put a .jpg or .png there")
    return photos


def open_camera(spec: str, size: tuple[int, int]) -> Camera:
    """The camera that `spec` names, running; of its sizes the nearest to `size`, in pixels across and down.

    `auto` is the camera on the ribbon cable, else the first on USB. Raises `BadCamera`, `NoCamera` or `CameraFailed`.
    """
    kind, _, rest = spec.partition(":")
    if spec == "auto":
        return _first_found(size)
    if spec == "picamera2":
        return _ribbon(size)
    if spec == "usb" or (kind == "usb" and rest):
        return _usb(rest, size)
    if kind == "folder" and rest:
        return FolderCamera(Path(rest).expanduser())
    raise BadCamera(f"there is no camera {spec!r}: name {FORMS}")


def _first_found(size: tuple[int, int]) -> Camera:
    try:
        return _ribbon(size)
    except NoCamera as e:
        ribbon = e
    try:
        return _usb("", size)
    except NoCamera as e:
        raise NoCamera(f"no camera was found. Ribbon cable: {ribbon}. USB: {e}. What helps: {WAYS}") from e


# The two are imported when they are asked for: without them the client is small enough for the smallest Pi.
def _ribbon(size: tuple[int, int]) -> Camera:
    if sys.platform != "linux":
        raise NoCamera("picamera2 is for a Raspberry Pi: name another camera here")
    from pi_uploader.picamera import Picamera

    return Picamera(size)


def _usb(device: str, size: tuple[int, int]) -> Camera:
    from pi_uploader.usb import open_usb

    return open_usb(device, size)
