"""The camera on the ribbon cable, on a small double of picamera2: those calls and rules of its that we rely on.

Each rule is from its source, version 0.3.38 (picamera2/picamera2.py, picamera2/request.py). The camera itself is for
tests/contract/test_cameras.py, on a Pi.
"""

import io
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import pytest
from PIL import Image

from pi_uploader.camera import Camera, CameraFailed, NoCamera, open_camera


@dataclass
class World:
    """What a camera sees, and who uses it. `now` is the grey that is before it."""

    cameras: list[dict[str, str]] = field(default_factory=lambda: [{"Id": "/base/soc/i2c0mux/i2c@1/imx708@1a"}])
    now: int = 0
    is_frozen: bool = False
    is_taken: bool = False
    is_old: bool = False
    controls: dict[str, tuple[int, int, int]] = field(
        default_factory=lambda: {"AfMode": (0, 2, 0), "AeExposureMode": (0, 3, 0)}
    )
    was_set: dict[str, Any] = field(default_factory=dict)


class Request:
    """A frame; it keeps its buffer until it is released (`CompletedRequest.release`)."""

    def __init__(self, camera: "Double", grey: int) -> None:
        self._camera, self._grey = camera, grey

    def save(self, name: str, file_output: io.BytesIO, format: str | None = None) -> None:
        assert (name, format) == ("main", "jpeg")
        if self._camera.world.is_old:  # before 0.3.27, Helpers.make_image
            raise RuntimeError("Stream format YUV420 not supported for PIL images")
        Image.new("L", self._camera.size, self._grey).save(file_output, format, quality=self._camera.options["quality"])

    def release(self) -> None:
        self._camera.free += 1


class Double:
    world: World

    @classmethod
    def global_camera_info(cls) -> list[dict[str, str]]:
        return cls.world.cameras

    def __init__(self, camera_num: int = 0) -> None:
        if self.world.is_taken:
            raise RuntimeError("Camera __init__ sequence did not complete.")
        self.world.is_taken = True
        self.options: dict[str, Any] = {}
        self.camera_controls = self.world.controls
        self.free, self.size = 0, (0, 0)
        self._jobs: deque[Request | None] = deque()
        self._configuration: dict[str, Any] = {}

    def create_still_configuration(self, main: Any, raw: Any, buffer_count: int, queue: bool, controls: Any) -> Any:
        return {"main": main, "raw": raw, "buffer_count": buffer_count, "queue": queue, "controls": controls}

    def configure(self, configuration: dict[str, Any]) -> None:
        self._configuration = configuration
        self.size, self.free = configuration["main"]["size"], configuration["buffer_count"]

    def set_controls(self, controls: dict[str, Any]) -> None:
        if strange := controls.keys() - self.camera_controls.keys():
            raise RuntimeError(f"Control {strange} is not advertised by libcamera")  # Controls.__setattr__
        self.world.was_set |= controls

    def start(self) -> None:
        self._old = self.world.now

    def capture_request(self, wait: float | None = None, flush: bool | None = None) -> Request:
        """As `dispatch_functions` does it: a job that nobody waits for any more is done all the same, in its turn."""
        assert wait, "this would wait for ever"
        self._jobs.append(None)
        if self.world.is_frozen or self.free < len(self._jobs):
            raise TimeoutError
        self.free -= len(self._jobs)
        self._jobs.clear()
        grey, self._old = (self.world.now if flush else self._old), self.world.now
        return Request(self, grey)

    def cancel_all_and_flush(self) -> None:
        self._jobs.clear()

    def close(self) -> None:
        self.world.is_taken = False


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    module = ModuleType("picamera2")
    Double.world = World()
    module.Picamera2 = Double  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "picamera2", module)
    monkeypatch.setattr(sys, "platform", "linux")
    yield Double.world


def opened() -> Camera:
    return open_camera("picamera2", (320, 240))


def grey(photo: bytes) -> int:
    with Image.open(io.BytesIO(photo)) as image:
        pixel = image.getpixel((0, 0))
    assert isinstance(pixel, int)
    return pixel


def test_a_still_shows_what_is_there_now_and_not_a_frame_from_before(world: World) -> None:
    camera = opened()
    for now in (200, 100):
        world.now = now
        assert grey(camera.still()) == pytest.approx(now, abs=2)


def test_stills_without_end_give_every_buffer_back(world: World) -> None:
    camera = opened()
    assert all(camera.still() for _ in range(20))


def test_a_camera_that_stops_is_one_that_failed_and_goes_on_when_it_does(world: World) -> None:
    camera = opened()
    world.is_frozen = True
    for _ in range(5):
        with pytest.raises(CameraFailed, match="check the cable"):
            camera.still()
    world.is_frozen = False
    assert camera.still()


def test_a_camera_that_gives_nothing_at_the_start_is_known_then_and_left_to_others(world: World) -> None:
    world.is_frozen = True
    with pytest.raises(CameraFailed, match="check"):
        opened()
    assert not world.is_taken


def test_a_picamera2_that_is_too_old_is_known_at_the_start_with_the_command_that_renews_it(world: World) -> None:
    world.is_old = True
    with pytest.raises(CameraFailed, match="apt full-upgrade"):
        opened()
    assert not world.is_taken


def test_a_camera_that_another_program_uses_failed_and_can_be_had_later(world: World) -> None:
    world.is_taken = True
    with pytest.raises(CameraFailed, match="other program"):
        opened()
    world.is_taken = False
    assert opened().still()


def test_a_closed_camera_is_left_to_others_and_gives_no_still(world: World) -> None:
    camera = opened()
    camera.close()
    camera.close()
    assert not world.is_taken
    with pytest.raises(CameraFailed, match="open it again"):
        camera.still()


def test_a_camera_that_can_focus_does_so_all_the_time_and_another_is_not_asked(world: World) -> None:
    opened().close()
    assert world.was_set["AfMode"] == 2
    world.was_set, world.controls = {}, {}
    assert opened().still()
    assert world.was_set == {}


def test_without_a_camera_picamera2_is_none(world: World) -> None:
    world.cameras = []
    with pytest.raises(NoCamera):
        opened()


def test_the_camera_on_the_ribbon_cable_is_the_first_choice(world: World) -> None:
    assert open_camera("auto", (320, 240)).still()
