"""A camera on USB, through OpenCV: V4L2 on Linux, the system's own way elsewhere."""

import os
import re
import sys
from pathlib import Path
from typing import Any

from pi_uploader.camera import CameraError, CameraFailed, NoCamera
from pi_uploader.encoder import Encoder
from pi_uploader.recording import Clip, Recorder, Reel

#: Where Linux lists cameras.
SYSFS = Path("/sys/class/video4linux")
#: Numbers that are tried where the system lists no cameras.
NUMBERS = range(4)
#: Seconds until a camera that gives no frame counts as failed.
PATIENCE = 5
#: Half the usual: halves what the USB moves for frames that nobody wants. A press waits for two frames, 0.13 s.
FRAMES_PER_SECOND = 15
#: Frames after which a camera has found its exposure.
WARM_FRAMES = 10
#: Frames that may come damaged, one after another.
TRIES = 3
QUALITY = 92
#: So many frames may wait while one is encoded, or the machine does something else. OpenCV takes ten at most.
RECORDING_BUFFERS = 8
#: Frames a second, of a camera that says more.
MAX_RATE = 120
JPEG_START, JPEG_END = b"\xff\xd8", b"\xff\xd9"


class UsbCamera:
    """One device, kept open and streaming until it is closed.

    While nobody reads, streaming costs this process nothing: the camera itself looks after its exposure, and the kernel
    drops frames that find no empty buffer. Opening at each press would cost a second in the dark instead.
    """

    def __init__(self, device: int | str, size: tuple[int, int]) -> None:
        self._device = device
        self._recorder: Recorder | None = None
        self._cv2 = _library()
        self._capture: Any = self._cv2.VideoCapture(device, self._way(device))
        if not self._capture.isOpened():
            self.close()
            raise _not_opened(device)
        try:
            self._set_up(size)
            self._drop(WARM_FRAMES)
        except CameraFailed:
            self.close()
            raise

    def still(self) -> bytes:
        if self._capture is None:
            raise self._closed()
        if self._recorder is not None:
            return self._recorder.still()
        self._drop(self._buffers)
        return self.photo_of(self.frame())

    def record(self, seconds: float, form: str) -> None:
        if self._capture is None:
            raise self._closed()
        # With one, a frame that comes while the last one is read is lost: every other one.
        self._capture.set(self._cv2.CAP_PROP_BUFFERSIZE, RECORDING_BUFFERS)
        # A driver that does not know its rate says 0, or a rate that none has.
        rate = min(max(round(self._capture.get(self._cv2.CAP_PROP_FPS)), 1), MAX_RATE)
        self._recorder = Recorder(self, Reel(seconds, form), Encoder(rate))

    def clip(self, timeout: float) -> Clip | None:
        return None if self._recorder is None else self._recorder.reel.clip(timeout)

    def end(self) -> None:
        if self._recorder is not None:
            self._recorder.end()

    def frame(self) -> Any:
        """The next that is whole, as the camera gives it: its JPEG, or pixels; an array. Raises `CameraFailed`."""
        for _ in range(TRIES):
            self._grab()
            done, frame = self._capture.retrieve()
            if done and (not self._is_jpeg or whole_jpeg(frame.tobytes())):
                return frame
        raise CameraFailed(f"camera {self._device} gives damaged frames: try another cable, or a port without a hub")

    def photo_of(self, frame: Any) -> bytes:
        if self._is_jpeg and (photo := whole_jpeg(frame.tobytes())):
            return photo
        done, jpeg = self._cv2.imencode(".jpg", frame, [self._cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        if not done:
            raise CameraFailed(f"camera {self._device} gives frames of which no JPEG can be made: try another one")
        return bytes(jpeg.tobytes())

    def pixels_of(self, frame: Any) -> Any:
        """Rows of blue, green and red; None of a JPEG that is damaged within."""
        return self._cv2.imdecode(frame, self._cv2.IMREAD_COLOR) if self._is_jpeg else frame

    def close(self) -> None:
        self.end()
        capture, self._capture = self._capture, None
        if capture is not None:
            capture.release()

    def _way(self, device: int | str) -> int:
        is_device = isinstance(device, int) or device.startswith("/dev/")
        return int(self._cv2.CAP_V4L2 if sys.platform == "linux" and is_device else self._cv2.CAP_ANY)

    def _set_up(self, size: tuple[int, int]) -> None:
        cv2, capture = self._cv2, self._capture
        mjpg = cv2.VideoWriter.fourcc(*"MJPG")
        # The format first: most cameras have their large sizes in MJPG only.
        for name, value in (
            (cv2.CAP_PROP_FOURCC, mjpg),
            (cv2.CAP_PROP_FRAME_WIDTH, size[0]),
            (cv2.CAP_PROP_FRAME_HEIGHT, size[1]),
            (cv2.CAP_PROP_FPS, FRAMES_PER_SECOND),
            # Fewer frames lie there from before a press, and less memory is taken.
            (cv2.CAP_PROP_BUFFERSIZE, 1),
        ):
            capture.set(name, value)  # a wish: what the camera made of it shows in its frames
        # Then the camera's own JPEG is taken as it is, and is neither decoded nor made anew.
        self._is_jpeg = capture.getBackendName() == "V4L2" and capture.get(cv2.CAP_PROP_FOURCC) == mjpg
        if self._is_jpeg:
            capture.set(cv2.CAP_PROP_CONVERT_RGB, 0)
        # OpenCV gives a buffer back when its frame is read, so as many frames may lie there from before a press.
        # A driver may want more buffers than one. Systems that cannot tell keep one frame or none.
        self._buffers = max(1, int(capture.get(cv2.CAP_PROP_BUFFERSIZE)))

    def _drop(self, frames: int) -> None:
        for _ in range(frames):
            self._grab()

    def _grab(self) -> None:
        if not self._capture.grab():
            raise CameraFailed(f"camera {self._device} gave no frame: check its plug, then press again")

    def _closed(self) -> CameraFailed:
        return CameraFailed(f"camera {self._device} is closed: open it again")


def whole_jpeg(frame: bytes) -> bytes | None:
    """The JPEG without what a camera pads it with; None if its start or end is missing, as after a fault on the USB."""
    end = frame.rfind(JPEG_END)
    if end < 0 or not frame.startswith(JPEG_START):
        return None
    return frame[: end + len(JPEG_END)]


def open_usb(name: str, size: tuple[int, int]) -> UsbCamera:
    """The camera of this number or path; without a name the first that opens."""
    if name:
        return UsbCamera(int(name) if name.isdecimal() else name, size)
    _library()
    failed: CameraError = NoCamera("no camera was found on USB: plug one in")
    for device in usb_devices(SYSFS) if sys.platform == "linux" else NUMBERS:
        try:
            return UsbCamera(device, size)
        except CameraFailed as e:
            failed = e
        except NoCamera:
            continue
    raise failed


def usb_devices(sysfs: Path) -> list[str]:
    """The devices of Linux that are cameras on USB, in order.

    A Pi has a dozen video devices more, its codecs among them, which open as cameras do and then give nothing. Of a
    camera's own devices the first gives frames, the others tell about them.
    """
    nodes = [node for node in sysfs.glob("video*") if _is_usb_camera(node)]
    return [f"/dev/{node.name}" for node in sorted(nodes, key=lambda node: int(re.sub(r"\D", "", node.name)))]


def _is_usb_camera(node: Path) -> bool:
    try:
        is_first = (node / "index").read_text().strip() == "0"
    except OSError:
        return False
    return is_first and any(part.startswith("usb") for part in (node / "device").resolve().parts)


def _not_opened(device: int | str) -> NoCamera | CameraFailed:
    path = Path(f"/dev/video{device}") if isinstance(device, int) else Path(device)
    if sys.platform == "linux" and path.exists():
        return CameraFailed(
            f"{path} is there and cannot be opened as a camera: end the other program that uses it,"
            " and let this user use it, `sudo usermod -aG video $USER`"
        )
    return NoCamera(f"there is no camera {device}: plug it in, or name another, `--camera usb:NUMBER`")


def _library() -> Any:
    # Read once, at the first wait for a frame (modules/videoio/src/cap_v4l.cpp, tryIoctl); nothing else sets it.
    os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", str(PATIENCE))
    try:
        import cv2
    except ImportError as e:
        raise NoCamera(f"OpenCV cannot be used ({e}): `pip install -r pi_uploader/requirements-usb.txt`") from e
    return cv2
