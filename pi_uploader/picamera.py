"""The camera on a Pi's ribbon cable, through picamera2, which `apt` brings together with libcamera.

It has to be 0.3.27 or newer: by its source time-outs came until 0.3.22, a JPEG from YUV with 0.3.27. Read up to 0.3.38.
Up to the Pi 4 it encodes clips with the Pi's own H.264, on a Pi 5 with x264.
"""

import io
import logging
import time
from typing import Any

from pi_uploader.camera import CameraFailed, NoCamera
from pi_uploader.recording import Clip, Reel

log = logging.getLogger(__name__)

#: Seconds until a camera that gives no frame counts as failed: a frame takes a tenth.
PATIENCE = 5.0
#: Microseconds from frame to frame while nobody presses. Exposure and focus have to follow the light all the time, or
#: the first photo is a bad one; a third of the usual frames does that, at a third of the work for a small Pi.
FRAME_MICROSECONDS = 100_000
#: Of a recording; half a second has ten of them.
FRAMES_PER_SECOND = 20
#: The encoder holds some frames while others are filled, and one is made a photo.
RECORDING_BUFFERS = 6
QUALITY = 92
UPGRADE = "bring the Pi up to date, `sudo apt update && sudo apt full-upgrade`, and restart it"
#: Frames after which exposure and colours are found.
WARM_FRAMES = 8
#: Set where the camera has them: focus all the time, `AfModeContinuous`; and `ExposureShort`, a noisy face being better
#: than a blurred one. Numbers: https://libcamera.org/api-html/namespacelibcamera_1_1controls.html
WISHES = {"AfMode": 2, "AeExposureMode": 1}


class Picamera:
    """The first camera on a ribbon cable: configured once, and running until it is closed.

    A press waits for no warming up: one or two frames, 0.1 to 0.3 s.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        library = _library()
        number = ribbon_camera(library.global_camera_info())
        self._size, self._records = size, False
        self._reel: Reel | None = None
        try:
            self._camera = library(number)
        except (RuntimeError, IndexError) as e:
            raise CameraFailed(f"the camera cannot be opened ({e}): end the other program that uses it") from e
        try:
            self._start(size)
        except CameraFailed:
            self.close()
            raise
        except Exception as e:  # whatever it was, the camera is not to stay taken from others, nor from our next try
            self.close()
            raise CameraFailed(f"the camera does not start ({e}): check its cable, and width and height") from e

    def still(self) -> bytes:
        self._check()
        photo = io.BytesIO()
        request = self._fresh()
        try:
            request.save("main", photo, format="jpeg")
        except Exception as e:  # the libraries' own, of several kinds
            raise CameraFailed(f"no JPEG was made of a frame ({e}): {UPGRADE}") from e
        finally:
            request.release()
        return photo.getvalue()

    def record(self, seconds: float, form: str) -> None:
        self._check()
        self._reel = reel = Reel(seconds, form)
        try:
            self._start_recording(seconds, reel)
        except Exception as e:  # the libraries' own, of several kinds
            raise CameraFailed(
                f"the camera does not record ({e}): have a smaller width and height, or {UPGRADE}"
            ) from e

    def clip(self, timeout: float) -> Clip | None:
        self._check()
        return None if self._reel is None else self._reel.clip(timeout)

    def end(self) -> None:
        if self._reel is None or not self._records:
            return
        self._records = False
        try:
            # Returns once the frames that it has in hand are out.
            self._camera.stop_encoder()
        except Exception as e:  # the libraries' own; what was recorded is there all the same
            log.warning("the encoder could not be stopped: %s", e)
        self._reel.end()

    def close(self) -> None:
        camera = self._camera
        if camera is None:
            return
        self.end()
        self._camera = None
        try:
            camera.close()
        except Exception as e:  # libcamera's own: a camera whose cable came off may refuse to be let go
            log.warning("the camera could not be closed: %s", e)

    def _check(self) -> None:
        if self._camera is None:
            raise CameraFailed("the camera is closed: open it again")

    def _start_recording(self, seconds: float, reel: Reel) -> None:
        from picamera2.encoders import H264Encoder, Quality

        camera, frame = self._camera, round(1_000_000 / FRAMES_PER_SECOND)
        camera.stop()
        camera.configure(
            # One stream for the encoder and for photos.
            camera.create_video_configuration(
                main={"size": self._size, "format": "YUV420"},
                raw=None,
                buffer_count=RECORDING_BUFFERS,
                queue=False,
                controls={"FrameDurationLimits": (frame, frame)},
            )
        )
        camera.start()
        # As many frames as a clip has from one that needs no other to the next, with all that it takes to read them.
        period = max(1, round(seconds * FRAMES_PER_SECOND))
        encoder = H264Encoder(repeat=True, iperiod=period, framerate=FRAMES_PER_SECOND)
        camera.start_encoder(encoder, output_to(reel), quality=Quality.HIGH)
        self._records = True

    def _start(self, size: tuple[int, int]) -> None:
        camera = self._camera
        camera.options["quality"] = QUALITY
        camera.configure(
            # As for stills, whose colours are JPEG's own. YUV takes 1.5 bytes for each pixel where RGB takes 4, and
            # JPEG is made from it directly. No raw frames, two buffers: one is filled while the other is read.
            # `queue=False`: no frame is put by, which would be an old one, and would keep one buffer out of two.
            camera.create_still_configuration(
                main={"size": size, "format": "YUV420"},
                raw=None,
                buffer_count=2,
                queue=False,
                controls={"FrameDurationLimits": (FRAME_MICROSECONDS, FRAME_MICROSECONDS)},
            )
        )
        camera.set_controls({name: value for name, value in WISHES.items() if name in camera.camera_controls})
        camera.start()
        # The first frames are dark; and a camera that gives no photo is to be known now.
        for _ in range(WARM_FRAMES):
            self._fresh().release()
        self.still()

    def _fresh(self) -> Any:
        """A frame whose exposure began after this was called."""
        try:
            return self._camera.capture_request(wait=PATIENCE, flush=True)
        except TimeoutError as e:
            # Or our wish stays: frames that come late would be taken for it, and never given back.
            self._camera.cancel_all_and_flush()
            raise CameraFailed(f"no frame in {PATIENCE:.0f} s: check the cable of the camera, then press again") from e
        except Exception as e:
            raise CameraFailed(f"the camera gave no frame ({e}): press again; if it stays so, {UPGRADE}") from e


def output_to(reel: Reel) -> Any:
    """What an encoder of picamera2 gives its frames to."""
    from picamera2.outputs import Output

    class Reeled(Output):  # type: ignore[misc]  # theirs, which is not here when this is checked
        _ahead: float | None = None

        def outputframe(
            self, frame: Any, keyframe: bool = True, timestamp: int | None = None, *_: Any, **__: Any
        ) -> None:
            """`timestamp`: microseconds since the first frame, by the sensor."""
            at = (timestamp or 0) / 1e6
            if self._ahead is None:
                self._ahead = time.monotonic() - at
            reel.add(bytes(frame), self._ahead + at)

    return Reeled()


def ribbon_camera(cameras: list[dict[str, Any]]) -> int:
    """The number of the first camera on a ribbon cable; or `NoCamera`.

    libcamera lists cameras on USB too, which tell no exposure, by which a fresh frame is known here.
    """
    for number, camera in enumerate(cameras):
        if "/usb" not in camera.get("Id", ""):
            return number
    raise NoCamera(
        "no camera is seen on the ribbon cable: switch the Pi off, seat the cable anew, blue side to the lock"
    )


def _library() -> Any:
    try:
        from picamera2 import Picamera2
    except ImportError as e:
        raise NoCamera(f"picamera2 cannot be used ({e}): `sudo apt install -y python3-picamera2`") from e
    except ValueError as e:
        # A numpy of pip before apt's, for which simplejpeg was compiled: "numpy.dtype size changed".
        raise NoCamera(f"picamera2 cannot be used ({e}): remove numpy from this venv, `pip uninstall numpy`") from e
    return Picamera2
