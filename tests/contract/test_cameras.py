"""One suite over all cameras: a folder of photos, OpenCV on a video in place of a device, picamera2 where it is.

On a Pi, at the top of the tree:

    sudo apt install -y python3-picamera2 python3-opencv
    python3 -m venv --system-site-packages .venv-pi
    .venv-pi/bin/pip install pytest pytest-timeout pillow
    .venv-pi/bin/pytest --noconftest -k picamera2 tests/contract/test_cameras.py
"""

import importlib.util
import io
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from pi_uploader.camera import BadCamera, Camera, CameraFailed, NoCamera, open_camera

SIZE = (320, 240)
HAS_PICAMERA = importlib.util.find_spec("picamera2") is not None
KINDS = ["folder", "usb", pytest.param("picamera2", marks=pytest.mark.skipif(not HAS_PICAMERA, reason="a Pi has it"))]


def folder_of_photos(place: Path) -> str:
    place.mkdir()
    for number in range(3):
        Image.new("RGB", SIZE, (40 * number, 100, 100)).save(place / f"{number}.jpg")
    return f"folder:{place}"


def video(place: Path) -> str:
    cv2 = pytest.importorskip("cv2")
    numpy = pytest.importorskip("numpy")
    writer = cv2.VideoWriter(str(place), cv2.VideoWriter.fourcc(*"MJPG"), 15, SIZE)
    for number in range(60):
        writer.write(numpy.full((SIZE[1], SIZE[0], 3), 4 * number, "uint8"))
    writer.release()
    return f"usb:{place}"


@pytest.fixture(params=KINDS)
def spec(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "folder":
        return folder_of_photos(tmp_path / "photos")
    return video(tmp_path / "camera.avi") if request.param == "usb" else "picamera2"


@pytest.fixture
def opened(spec: str) -> Iterator[Callable[[], Camera]]:
    cameras: list[Camera] = []

    def open_one() -> Camera:
        cameras.append(open_camera(spec, SIZE))
        return cameras[-1]

    yield open_one
    for camera in cameras:
        camera.close()


def test_a_still_is_a_photo_of_the_size(opened: Callable[[], Camera]) -> None:
    photo = Image.open(io.BytesIO(opened().still()))
    photo.load()
    assert photo.size == SIZE


def test_the_next_still_is_another(opened: Callable[[], Camera]) -> None:
    camera = opened()
    assert camera.still() != camera.still()


def test_closing_twice_is_harmless(opened: Callable[[], Camera]) -> None:
    camera = opened()
    camera.close()
    camera.close()


def test_a_closed_camera_gives_no_still_and_says_to_open_it_again(opened: Callable[[], Camera]) -> None:
    camera = opened()
    camera.close()
    with pytest.raises(CameraFailed, match="open it again"):
        camera.still()


def test_a_closed_camera_can_be_opened_again(opened: Callable[[], Camera]) -> None:
    opened().close()
    assert opened().still()


@pytest.mark.parametrize("spec", ["folder:{}/none", "folder:{}", "usb:{}/none", "usb:/dev/video99", "usb:99"])
def test_a_camera_that_is_not_there_is_told_as_such_with_the_next_step(spec: str, tmp_path: Path) -> None:
    with pytest.raises(NoCamera, match=r"name another|put a \.jpg"):
        open_camera(spec.format(tmp_path), SIZE)


@pytest.mark.skipif(HAS_PICAMERA, reason="picamera2 is here")
def test_a_missing_picamera2_is_told_with_the_command_that_brings_it() -> None:
    with pytest.raises(NoCamera, match=r"apt install -y python3-picamera2|for a Raspberry Pi"):
        open_camera("picamera2", SIZE)


@pytest.mark.skipif(HAS_PICAMERA or Path("/dev/video0").exists(), reason="a camera is here")
def test_where_there_is_no_camera_all_three_ways_to_one_are_told() -> None:
    with pytest.raises(NoCamera, match=r"apt install.*pip install.*requirements-usb\.txt.*--camera folder:PATH"):
        open_camera("auto", SIZE)


@pytest.mark.parametrize("spec", ["", "webcam", "folder", "folder:", "usb:", "auto:1", "picamera2:1", "USB"])
def test_a_camera_of_no_known_kind_is_refused_with_those_that_there_are(spec: str) -> None:
    with pytest.raises(BadCamera, match=r"auto, picamera2, usb, usb:1 .* folder:PATH"):
        open_camera(spec, SIZE)


def test_a_video_that_is_over_is_a_camera_that_failed(tmp_path: Path) -> None:
    camera = open_camera(video(tmp_path / "camera.avi"), SIZE)
    with pytest.raises(CameraFailed, match="gave no frame"):
        for _ in range(60):
            camera.still()
    camera.close()
