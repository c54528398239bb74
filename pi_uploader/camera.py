"""Cameras, of three kinds, that all give a photo taken now, and record clips meanwhile."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pi_uploader.recording import Clip

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


class NoEncoder(CameraError, LookupError):
    """Photos can be taken here, and no clips: install what encodes them."""


class Camera(Protocol):
    """For one thread at a time; while it records, clips for a second one."""

    def still(self) -> bytes:
        """A photo that was taken after this was called, as a JPEG or PNG.

        Raises `CameraFailed` within seconds, or `NoCamera`; never waits for ever.
        """

    def record(self, seconds: float, form: str) -> None:
        """From now on it records clips of so many seconds each, in the form h264 or mp4, without a gap between two.

        Raises `NoEncoder`, `NoCamera` where a folder has none, and `CameraFailed`.
        """

    def clip(self, timeout: float) -> "Clip | None":
        """The next clip that is whole; None if there is none in time. Raises `CameraFailed` and `NoCamera`."""

    def end(self) -> None:
        """It records no more; `clip` gives what is left, the last one shorter. Again is harmless."""

    def close(self) -> None:
        """Gives the camera back for others to open; again is harmless."""


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
        return _folder(Path(rest).expanduser())
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


# They are imported when they are asked for: without them the client is small enough for the smallest Pi.
def _ribbon(size: tuple[int, int]) -> Camera:
    if sys.platform != "linux":
        raise NoCamera("picamera2 is for a Raspberry Pi: name another camera here")
    from pi_uploader.picamera import Picamera

    return Picamera(size)


def _usb(device: str, size: tuple[int, int]) -> Camera:
    from pi_uploader.usb import open_usb

    return open_usb(device, size)


def _folder(path: Path) -> Camera:
    from pi_uploader.folder import FolderCamera

    return FolderCamera(path)
