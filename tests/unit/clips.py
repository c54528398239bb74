"""Clips for tests, made of pictures: each shown for some seconds, in any container that we read."""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from io import BytesIO
from typing import Any

import av
import numpy as np
from PIL import Image

#: What each kind is encoded with.
CODECS = {"mp4": "libx264", "mov": "libx264", "h264": "libx264", "matroska": "libx264", "webm": "libvpx"}
RATE = 10


def clip_of(
    *shown: tuple[Image.Image, float],
    kind: str = "mp4",
    rate: int = RATE,
    sound: bool = False,
    options: dict[str, str] | None = None,
) -> bytes:
    """A clip that shows these one after the other, each for so many seconds; sides are made even, as H.264 wants."""
    file = BytesIO()
    with av.open(file, "w", format=kind, options=options or {}) as container:
        size = shown[0][0].size
        video = _video(container, kind, rate, size)
        audio = container.add_stream("aac", rate=8000, layout="mono") if sound else None
        if audio is not None:
            container.mux(_sound(audio, sum(seconds for _, seconds in shown)))
        for number, image in enumerate(_frames(shown, rate)):
            frame = av.VideoFrame.from_image(image.resize((video.width, video.height)))
            frame.pts, frame.time_base = number, Fraction(1, rate)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    return file.getvalue()


def sound_alone(seconds: float = 1.0) -> bytes:
    """An MP4 with nothing to see."""
    file = BytesIO()
    with av.open(file, "w", format="mp4") as container:
        container.mux(_sound(container.add_stream("aac", rate=8000, layout="mono"), seconds))
    return file.getvalue()


def _video(container: Any, kind: str, rate: int, size: tuple[int, int]) -> Any:
    video = container.add_stream(CODECS[kind], rate=rate)
    video.width, video.height = (side + side % 2 for side in size)
    video.pix_fmt = "yuv420p"
    if CODECS[kind] == "libx264":
        video.options = {"preset": "ultrafast", "crf": "18"}
    return video


def _frames(shown: Sequence[tuple[Image.Image, float]], rate: int) -> Iterable[Image.Image]:
    for image, seconds in shown:
        yield from [image] * round(seconds * rate)


def _sound(audio: Any, seconds: float) -> list[Any]:
    packets = []
    for start in range(0, round(8000 * seconds), 1024):
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 8000, start, Fraction(1, 8000)
        packets += audio.encode(frame)
    return packets + audio.encode(None)
