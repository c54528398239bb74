"""Clips between the thread of a camera that makes them and whoever keeps them."""

import logging
import threading
import time
from collections import deque
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from pi_uploader.camera import CameraError, CameraFailed
from pi_uploader.encoder import Encoder, as_mp4, library
from pi_uploader.segments import Cutter, Segment

log = logging.getLogger(__name__)

#: Clips that wait to be kept, and their bytes, as long as a disk is slow; then the oldest go. A small Pi has 512 MB.
MAX_CLIPS, MAX_BYTES = 60, 50_000_000
#: Seconds without a frame, beyond those of a clip, after which a recording has failed.
PATIENCE = 5.0


@dataclass(frozen=True, slots=True)
class Clip:
    """`taken_at`: when it begins. `began`, `ended`: its first and its last frame, on the monotonic clock."""

    data: bytes
    taken_at: float
    began: float
    ended: float


class Reel:
    """Takes frames of H.264 from one thread, gives clips to another."""

    def __init__(self, seconds: float, form: str) -> None:
        """`form`: h264 or mp4. Raises `NoEncoder`."""
        if form == "mp4":
            library()
        self._form = form
        self._seconds = seconds
        self._cutter = Cutter(seconds)
        self._cut: deque[Segment] = deque()
        self._failed: CameraError | None = None
        self._changed = threading.Condition()
        self._heard_at = time.monotonic()
        #: By how much the clock that says when it is lies ahead of the one that goes on alone.
        self._ahead = time.time() - time.monotonic()

    def is_due(self, at: float) -> bool:
        """Whether a clip should begin with a frame of this time."""
        return self._cutter.is_due(at)

    def add(self, frame: bytes, at: float) -> None:
        """`at`: when it was taken, on the monotonic clock."""
        done = self._cutter.add(frame, at)
        with self._changed:
            self._heard_at = time.monotonic()
            if done is not None:
                self._put(done)

    def end(self, failed: CameraError | None = None) -> None:
        """No frame comes any more: what there is of a clip is the last one. Again is harmless."""
        with self._changed:
            self._failed = self._failed or failed
            if (last := self._cutter.rest()) is not None:
                self._put(last)
            self._changed.notify()

    def clip(self, timeout: float) -> Clip | None:
        """The next; None if there is none in time. Raises `CameraFailed` once those before a failure are given."""
        with self._changed:
            self._changed.wait_for(lambda: self._cut or self._failed, timeout)
            if not self._cut:
                self._raise_failure()
                return None
            segment = self._cut.popleft()
        data = as_mp4(segment) if self._form == "mp4" else segment.data
        began, ended = segment.times[0], segment.times[-1]
        return Clip(data, self._ahead + began, began, ended)

    def _put(self, segment: Segment) -> None:
        while self._cut and (len(self._cut) >= MAX_CLIPS or self._bytes() + segment.size > MAX_BYTES):
            self._cut.popleft()
            log.warning("a clip went, since the disk does not keep up with the camera: is the card worn out?")
        self._cut.append(segment)
        self._changed.notify()

    def _bytes(self) -> int:
        return sum(segment.size for segment in self._cut)

    def _raise_failure(self) -> None:
        if self._failed is not None:
            raise self._failed
        if time.monotonic() - self._heard_at > self._seconds + PATIENCE:
            raise CameraFailed(f"the recording gave no frame in {PATIENCE:.0f} s: check the plug of the camera")


class Source(Protocol):
    """A camera that encodes nothing itself."""

    def frame(self) -> Any:
        """The next, in whatever form. Raises `CameraFailed`."""

    def photo_of(self, frame: Any) -> bytes:
        """Raises `CameraFailed`."""

    def pixels_of(self, frame: Any) -> Any:
        """Rows of blue, green and red; None of a frame that is damaged."""


class Recorder:
    """Reads every frame in a thread of its own, and encodes it; who wants a photo meanwhile gets the next one."""

    def __init__(self, source: Source, reel: Reel, encoder: Encoder) -> None:
        self.reel = reel
        self._source, self._encoder = source, encoder
        self._wishes: SimpleQueue[SimpleQueue[bytes]] = SimpleQueue()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recording", daemon=True)
        self._thread.start()

    def still(self) -> bytes:
        """Raises `CameraFailed`."""
        answer: SimpleQueue[bytes] = SimpleQueue()
        self._wishes.put(answer)
        try:
            return answer.get(timeout=PATIENCE)
        except Empty:
            raise CameraFailed(f"the recording gave no frame in {PATIENCE:.0f} s: check the plug") from None

    def end(self) -> None:
        self._over.set()
        self._thread.join(2.0 * PATIENCE)
        self.reel.end()

    def _run(self) -> None:
        failed: CameraError | None = None
        try:
            while not self._over.is_set():
                self._next()
        except CameraError as e:
            failed = e
        except Exception as e:  # the libraries' own, of several kinds
            failed = CameraFailed(f"the recording broke off ({type(e).__name__}: {e}): it begins anew")
        self.reel.end(failed)

    def _next(self) -> None:
        # Wishes that come from here on are for a later frame.
        wishes = [self._wishes.get_nowait() for _ in range(self._wishes.qsize())]
        frame, at = self._source.frame(), time.monotonic()
        photo = self._source.photo_of(frame) if wishes else b""
        for wish in wishes:
            wish.put(photo)
        if (pixels := self._source.pixels_of(frame)) is not None:
            self.reel.add(self._encoder.encode(pixels, is_key=self.reel.is_due(at)), at)
