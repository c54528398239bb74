"""H.264 by PyAV, which is FFmpeg's and x264's own code: for cameras that encode nothing themselves, and for MP4."""

import io
from fractions import Fraction
from typing import Any

from pi_uploader.camera import CameraFailed, NoEncoder
from pi_uploader.segments import Segment

#: Quality of x264, from 0 to 51, the best first: faces stay sharp, and a clip of half a second has some 100 KB.
CRF = "23"
#: The least work for a small machine, and each frame at once: https://trac.ffmpeg.org/wiki/Encode/H.264
OPTIONS = {"preset": "ultrafast", "tune": "zerolatency", "crf": CRF}
#: Of times in MP4.
TICKS = 90_000
HELP = "`pip install -r pi_uploader/requirements-video.txt` (on a Pi `sudo apt install -y python3-av`)"


class Encoder:
    """For one recording and one thread; frames are of one size."""

    def __init__(self, rate: int) -> None:
        """`rate`: frames a second, as the stream is to say. Raises `NoEncoder`."""
        self._av = library()
        self._rate = rate
        self._codec: Any = None
        self._frames = 0

    def encode(self, pixels: Any, *, is_key: bool) -> bytes:
        """A frame, out of rows of blue, green and red; `is_key`: one that needs no other."""
        # Sides of H.264 are even.
        height, width = pixels.shape[0] // 2 * 2, pixels.shape[1] // 2 * 2
        codec = self._codec = self._codec or self._made(width, height)
        frame = self._av.VideoFrame.from_ndarray(pixels[:height, :width], format="bgr24").reformat(format="yuv420p")
        frame.pts, frame.time_base = self._frames, Fraction(1, self._rate)
        self._frames += 1
        if is_key:
            frame.pict_type = self._av.video.frame.PictureType.I
        # Just one: with this tune nothing is held back.
        return b"".join(bytes(packet) for packet in codec.encode(frame))

    def _made(self, width: int, height: int) -> Any:
        codec = self._av.CodecContext.create("libx264", "w")
        codec.width, codec.height, codec.pix_fmt = width, height, "yuv420p"
        codec.time_base, codec.framerate = Fraction(1, self._rate), Fraction(self._rate)
        codec.options = OPTIONS
        return codec


def as_mp4(segment: Segment) -> bytes:
    """The clip as it is, in another file. Raises `NoEncoder`, and `CameraFailed` for one that cannot be read."""
    av = library()
    try:
        return _put_into_mp4(av, segment)
    except av.error.FFmpegError as e:
        raise CameraFailed(f"the recording cannot be put into MP4 ({e}): set clip to h264") from e


def _put_into_mp4(av: Any, segment: Segment) -> bytes:
    file = io.BytesIO()
    with (
        av.open(io.BytesIO(segment.data), format="h264") as source,
        av.open(file, "w", format="mp4") as target,
    ):
        stream = _like(target, source.streams.video[0])
        took = (segment.times[-1] - segment.times[0]) / max(1, len(segment.times) - 1)
        for packet, at in zip(source.demux(video=0), segment.times, strict=False):
            packet.stream, packet.time_base = stream, Fraction(1, TICKS)
            packet.pts = packet.dts = round(TICKS * (at - segment.times[0]))
            packet.duration = round(TICKS * took)
            target.mux(packet)
    return file.getvalue()


def library() -> Any:
    try:
        import av
    except ImportError as e:
        raise NoEncoder(f"PyAV cannot be used ({e}): {HELP}") from e
    return av


def _like(target: Any, stream: Any) -> Any:
    # Before PyAV 14, as Debian 12 has it, it went by another name.
    if hasattr(target, "add_stream_from_template"):
        return target.add_stream_from_template(stream)
    return target.add_stream(template=stream)
