"""From a clip to the frames that are looked at, in the order in which they were taken; never more work than allowed."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from math import floor
from pathlib import Path
from typing import BinaryIO

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from PIL import Image

from facefleet.clipfile import HEAD, Bounds, kind_of
from facefleet.errors import BadImage
from facefleet.recognition import memory
from facefleet.recognition.images import Picture

#: Raw H.264 tells no times. A camera's has about as many frames a second.
USUAL_RATE = 25.0
#: What is read to find out about a clip's streams, in bytes and microseconds; FFmpeg's own are 5 MB and 5 s.
PROBED = {"probesize": "2000000", "analyzeduration": "2000000"}
#: By FFmpeg's names. What cameras, phones and browsers make: it reads many more, and each is more to attack.
CODECS = ("h264", "hevc", "mpeg4", "mjpeg", "h263", "vp8", "vp9", "libdav1d", "av1", "prores")
#: Of the largest frame: an 8K clip is to be called too large, which is seen by decoding some of it, and not damaged.
PROBED_PIXELS = 4
#: Bytes that one step may take. A kilobyte of header may speak of many million frames, and FFmpeg makes room for each.
MEMORY = 500_000_000
#: Of the largest frame, too: codecs count in whole blocks of up to 64 pixels, beyond the frame's edge.
BLOCKS = 1.1
#: What FFmpeg ends with on nonsense.
UNREADABLE = (av.FFmpegError, MemoryError)
#: Of an interval: times are rounded, and a frame that is due must not be missed by a hair.
SLACK = 0.01
#: Seconds. No two frames are nearer to each other.
LEAST = 0.001
#: A phone stores a clip as its sensor lies, and says by how many degrees it is to be turned.
TURNS = {90: Image.Transpose.ROTATE_90, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_270}


@dataclass(frozen=True, slots=True)
class Frame:
    """One that is looked at, upright; `at`: its second of the clip."""

    at: float
    picture: Picture


class Clip:
    """The frames of one clip. `cut`: whether a bound, or damage behind the first frame, ended it before its end."""

    def __init__(self, container: InputContainer, stream: VideoStream, bounds: Bounds) -> None:
        self._container = container
        self._stream = stream
        self._bounds = bounds
        self._deadline = time.monotonic() + bounds.effort
        self.seconds = _seconds(container, stream)
        self.cut = False
        #: How far it was decoded.
        self.until = 0.0

    def frames(self) -> Iterator[Frame]:
        """Those to be looked at, an interval apart; raises `BadImage` where not one can be decoded."""
        due, usable = 0.0, False
        try:
            for at, frame in self._timed():
                if at > self._bounds.max_seconds or self._is_late():
                    self.cut = True
                    break
                self.until = at
                if at >= due:
                    picture = self._picture(frame)
                    usable = True
                    yield Frame(at, picture)
                    due = _next_due(at, self._bounds.interval)
        except UNREADABLE:
            self.cut = True
        if not usable and not self._is_late():
            raise _damaged()

    def _is_late(self) -> bool:
        return time.monotonic() > self._deadline

    def _timed(self) -> Iterator[tuple[float, VideoFrame]]:
        """Each frame that is whole, and its second of the clip."""
        begun = None
        rate = float(self._stream.average_rate or USUAL_RATE)
        for number, frame in enumerate(self._decoded()):
            _check_size(frame.width, frame.height, self._bounds.max_pixels)
            told = number / rate if frame.time is None else float(frame.time)
            begun = told if begun is None else begun
            if frame.is_corrupt:
                self.cut = True
                continue
            yield max(0.0, round(told - begun, 4)), frame

    def _decoded(self) -> Iterator[VideoFrame]:
        # Packet by packet, of sound, too: there may be millions without a single frame.
        packets = self._container.demux()
        while True:
            if self._is_late():
                self.cut = True
                return
            with memory.at_most(MEMORY):
                if (packet := next(packets, None)) is None:
                    return
                frames = self._stream.decode(packet) if packet.stream is self._stream else []
            yield from frames

    def _picture(self, frame: VideoFrame) -> Picture:
        with memory.at_most(MEMORY):
            return Picture.of(_upright(frame))


@contextmanager
def opened(clip: bytes | Path, bounds: Bounds) -> Iterator[Clip]:
    """The clip, its header read; raises `BadImage` for what is none, has no pictures, or too large ones."""
    with _file(clip) as file:
        kind = kind_of(file.read(HEAD))
        file.seek(0)
        with _container(file, kind, bounds) as container:
            stream = _stream(container)
            _check_size(stream.width, stream.height, bounds.max_pixels)
            # A worker is one process on one core.
            stream.codec_context.thread_count = 1
            # What grows in the middle is refused before there is memory for it.
            stream.codec_context.options = {"max_pixels": f"{BLOCKS * bounds.max_pixels:.0f}"}
            yield Clip(container, stream, bounds)


def _stream(container: InputContainer) -> VideoStream:
    stream = container.streams.best("video")
    # The picture on a record's sleeve is no video.
    if not isinstance(stream, VideoStream) or Disposition.attached_pic in stream.disposition:
        raise BadImage("there is sound in it and no picture: send a clip with video", code="no_video_stream")
    if stream.codec_context is None or stream.codec_context.codec.name not in CODECS:
        raise BadImage("its pictures are of a kind that we do not read: send H.264", code="not_a_video")
    return stream


def _file(clip: bytes | Path) -> BinaryIO:
    return clip.open("rb") if isinstance(clip, Path) else BytesIO(clip)


@contextmanager
def _container(file: BinaryIO, kind: str, bounds: Bounds) -> Iterator[InputContainer]:
    probed = {"max_pixels": f"{PROBED_PIXELS * bounds.max_pixels}", "codec_whitelist": ",".join(CODECS), "threads": "1"}
    try:
        # Told the kind, and given a file that is open: other formats of FFmpeg go on to read files, or addresses,
        # that a clip names. Titles, which nobody reads, may be in any encoding.
        with memory.at_most(MEMORY):
            container = av.open(file, "r", format=kind, options=PROBED | probed, metadata_errors="ignore")
    except (*UNREADABLE, ValueError) as e:
        raise _damaged() from e
    try:
        yield container
    finally:
        with suppress(av.FFmpegError):
            container.close()


def _next_due(at: float, interval: float) -> float:
    """On a grid, so that a clip whose frames do not fall on it is looked at as often as others."""
    return at if interval < LEAST else (floor(at / interval + SLACK) + 1 - SLACK) * interval


def _seconds(container: InputContainer, stream: VideoStream) -> float | None:
    if stream.duration is not None and stream.time_base is not None:
        return round(float(stream.duration * stream.time_base), 3)
    # In microseconds.
    return None if container.duration is None else round(container.duration / av.time_base, 3)


def _check_size(width: int, height: int, limit: int) -> None:
    if width * height > limit:
        raise BadImage(
            f"the clip's frames have {width}×{height} pixels, the limit is {limit / 1e6:g} megapixels: "
            "send a smaller one",
            code="too_many_pixels",
        )


def _damaged() -> BadImage:
    return BadImage("the clip is damaged or was cut short, and shows nothing: send it again", code="damaged_video")


def _upright(frame: VideoFrame) -> Image.Image:
    image = Image.fromarray(frame.to_ndarray(format="rgb24"))
    turn = TURNS.get(round(frame.rotation) % 360)
    return image if turn is None else image.transpose(turn)
