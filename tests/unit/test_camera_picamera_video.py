"""Clips of the camera on the ribbon cable, on a double of picamera2 and its encoders: the rules that we rely on.

Each rule is from its source, version 0.3.38 (picamera2/picamera2.py, picamera2/encoders, picamera2/outputs).
"""

import io
import sys
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from types import ModuleType, SimpleNamespace
from typing import Any

import av
import numpy
import pytest
from test_camera_picamera import Double, World, grey

from pi_uploader.camera import Camera, CameraFailed, open_camera
from pi_uploader.encoder import Encoder

SIZE = (320, 240)
#: Seconds of a clip, and how many frames that are.
SECONDS, FRAMES = 0.5, 10


class Output:
    """`Encoder.output` takes nothing that is not made of it."""

    def start(self) -> None:
        pass

    def stop(self) -> None:
        pass

    def _add_stream(self, *_: Any, **__: Any) -> None:
        pass


class H264Encoder:
    """Gives its frames from a thread of its own, some time after they were taken (`V4L2Encoder.thread_poll`)."""

    #: With the first frame alone, as where `repeat` is not heeded.
    sets_once = False
    is_missing = False

    def __init__(self, repeat: bool, iperiod: int, framerate: int) -> None:
        assert (repeat, iperiod, framerate) == (True, FRAMES, 20)
        self.period, self.rate = iperiod, framerate
        self._over = threading.Event()
        self._encoder = Encoder(framerate)

    def start(self, output: Output, size: tuple[int, int]) -> None:
        if self.is_missing:
            raise RuntimeError("failed to open /dev/video11")
        assert isinstance(output, Output)
        self._thread = threading.Thread(target=self._run, args=(output, size), daemon=True)
        self._thread.start()

    def _run(self, output: Any, size: tuple[int, int]) -> None:
        number, began = 0, time.monotonic()
        while not self._over.wait(max(0.0, began + number / self.rate - time.monotonic())):
            pixels = numpy.full((size[1], size[0], 3), 4 * (number % 60), "uint8")
            is_key = number % self.period == 0
            frame = self._encoder.encode(pixels, is_key=is_key)
            if self.sets_once and number and is_key:
                frame = frame[frame.index(b"\0\0\1\x65") - 1 :]
            output.outputframe(frame, is_key, number * 1_000_000 // self.rate, None, False)
            number += 1

    def stop(self) -> None:
        self._over.set()
        self._thread.join(5)


class Recording(Double):
    """What a double of the camera does besides, while it records."""

    is_running = False
    _encoder: H264Encoder | None = None

    def create_video_configuration(self, main: Any, raw: Any, buffer_count: int, queue: bool, controls: Any) -> Any:
        assert main["format"] == "YUV420" and controls["FrameDurationLimits"] == (50_000, 50_000)
        return {"main": main, "raw": raw, "buffer_count": buffer_count, "queue": queue, "controls": controls}

    def configure(self, configuration: dict[str, Any]) -> None:
        if self.is_running:
            raise RuntimeError("Camera must be stopped before configuring")
        super().configure(configuration)

    def start(self) -> None:
        self.is_running = True
        super().start()

    def stop(self) -> None:
        self.is_running = False

    def start_encoder(self, encoder: H264Encoder, output: Output, quality: Any) -> None:
        encoder.start(output, self.size)
        self._encoder = encoder

    def stop_encoder(self) -> None:
        assert self._encoder is not None
        self._encoder.stop()

    def close(self) -> None:
        assert self._encoder is None or self._encoder._over.is_set(), "an encoder that goes on reads freed memory"
        super().close()


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    Double.world = World()
    parts = {
        "picamera2": {"Picamera2": Recording},
        "picamera2.encoders": {"H264Encoder": H264Encoder, "Quality": SimpleNamespace(HIGH=3)},
        "picamera2.outputs": {"Output": Output},
    }
    for name, members in parts.items():
        module = ModuleType(name)
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(sys, "platform", "linux")
    yield Double.world


@pytest.fixture
def camera(world: World) -> Iterator[Camera]:
    camera = open_camera("picamera2", SIZE)
    yield camera
    camera.close()


def numbers(clip: bytes) -> list[int]:
    with av.open(io.BytesIO(clip)) as container:
        return [round(float(frame.to_ndarray(format="gray").mean()) / 4) for frame in container.decode(video=0)]


def clips_of(camera: Camera, count: int) -> list[bytes]:
    clips = [clip for _ in range(count) if (clip := camera.clip(5.0))]
    assert [after.began - before.ended for before, after in pairwise(clips)] == pytest.approx([0.05] * (count - 1))
    return [clip.data for clip in clips]


@pytest.mark.parametrize("form", ["h264", "mp4"])
def test_clips_follow_each_other_without_a_gap(camera: Camera, form: str) -> None:
    camera.record(SECONDS, form)
    clips = clips_of(camera, 3)
    assert [numbers(clip) for clip in clips] == [list(range(n, n + FRAMES)) for n in (0, 10, 20)]


def test_each_can_be_played_alone_where_the_encoder_says_only_once_how(
    camera: Camera, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(H264Encoder, "sets_once", True)
    camera.record(SECONDS, "h264")
    assert [numbers(clip)[0] for clip in clips_of(camera, 3)] == [0, 10, 20]


def test_what_is_left_in_the_end_is_the_last_clip(camera: Camera) -> None:
    camera.record(SECONDS, "h264")
    first = camera.clip(5.0)
    time.sleep(0.2)
    camera.end()
    camera.end()
    last = camera.clip(0.0)
    assert first and last and camera.clip(0.0) is None
    assert 0 < len(numbers(last.data)) < FRAMES
    assert last.taken_at - first.taken_at == pytest.approx(SECONDS, abs=0.001)
    assert abs(last.taken_at - time.time()) < 5


def test_photos_are_taken_of_the_same_recording(camera: Camera, world: World) -> None:
    camera.record(SECONDS, "h264")
    for now in (200, 100):
        world.now = now
        assert grey(camera.still()) == pytest.approx(now, abs=2)
    assert camera.clip(5.0)


def test_an_encoder_that_is_not_there_is_a_camera_that_failed_and_it_is_left_to_others(
    camera: Camera, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(H264Encoder, "is_missing", True)
    with pytest.raises(CameraFailed, match=r"does not record \(failed to open /dev/video11\)"):
        camera.record(SECONDS, "h264")
    camera.close()
    assert not world.is_taken


def test_a_camera_that_is_closed_while_it_records_stops_its_encoder_first(camera: Camera, world: World) -> None:
    camera.record(SECONDS, "h264")
    camera.close()
    assert not world.is_taken
    with pytest.raises(CameraFailed, match="open it again"):
        camera.clip(0.0)
    with pytest.raises(CameraFailed, match="open it again"):
        camera.record(SECONDS, "h264")
