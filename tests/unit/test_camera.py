"""Cameras without one: a folder of photos, and how a real one is found among what Linux lists."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pi_uploader.camera import CameraError, CameraFailed, NoCamera
from pi_uploader.folder import FolderCamera
from pi_uploader.picamera import ribbon_camera
from pi_uploader.usb import usb_devices, whole_jpeg

ROOT = Path(__file__).parent.parent.parent
JPEG = b"\xff\xd8picture\xff\xd9"


def photos(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).write_bytes(name.encode())
    return folder


def test_the_photos_of_a_folder_come_by_name_over_and_over(tmp_path: Path) -> None:
    camera = FolderCamera(photos(tmp_path, "b.PNG", "a.jpg", "c.jpeg", "notes.txt", "._a.jpg"))
    assert [camera.still() for _ in range(4)] == [b"a.jpg", b"b.PNG", b"c.jpeg", b"a.jpg"]


def test_a_photo_that_went_in_between_is_skipped(tmp_path: Path) -> None:
    camera = FolderCamera(photos(tmp_path, "a.jpg", "b.jpg", "c.jpg"))
    camera.still()
    (tmp_path / "b.jpg").unlink()
    assert [camera.still(), camera.still()] == [b"c.jpg", b"a.jpg"]


def test_a_photo_that_came_in_between_is_seen_in_the_next_round(tmp_path: Path) -> None:
    camera = FolderCamera(photos(tmp_path, "b.jpg"))
    camera.still()
    photos(tmp_path, "a.jpg")
    assert camera.still() == b"a.jpg"


def test_a_folder_whose_photos_all_went_works_again_when_there_are_some(tmp_path: Path) -> None:
    camera = FolderCamera(photos(tmp_path, "a.jpg"))
    (tmp_path / "a.jpg").unlink()
    with pytest.raises(NoCamera, match="put a"):
        camera.still()
    photos(tmp_path, "b.jpg")
    assert camera.still() == b"b.jpg"


def test_what_is_no_photo_but_named_like_one_is_told_and_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "b.jpg").mkdir()
    (tmp_path / "c.jpg").touch()
    camera = FolderCamera(photos(tmp_path, "a.jpg", "d.jpg"))
    assert [camera.still() for _ in range(3)] == [b"a.jpg", b"d.jpg", b"a.jpg"]
    assert "b.jpg cannot be read" in caplog.messages[0]
    assert "c.jpg is empty" in caplog.messages[1]


def test_a_folder_of_which_nothing_can_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").mkdir()
    (tmp_path / "b.jpg").touch()
    camera = FolderCamera(tmp_path)
    with pytest.raises(CameraFailed, match="put one there that can"):
        camera.still()


def test_a_clip_that_is_none_is_told_and_keeps_none_behind_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clips = {"a.h264": b"\0\0\0\1a", "b.mp4": b"<html>", "c.mp4": b"\0\0\0\x18ftypc"}
    for name, data in clips.items():
        (tmp_path / name).write_bytes(data)
    camera = FolderCamera(tmp_path)
    camera.record(0.01, "h264")
    taken = [camera.clip(1.0) for _ in range(3)]
    assert [clip and clip.data for clip in taken] == [clips["a.h264"], clips["c.mp4"], clips["a.h264"]]
    assert "b.mp4 is not what its name says: move it away" in caplog.messages[0]


def test_the_errors_of_cameras_are_the_builtins_that_they_resemble() -> None:
    assert issubclass(NoCamera, (CameraError, LookupError))
    with pytest.raises(OSError, match="press again"):
        raise CameraFailed("press again")


def test_without_a_camera_that_needs_them_no_camera_library_is_loaded(tmp_path: Path) -> None:
    photos(tmp_path, "a.jpg")
    program = (
        "import json, sys; from pi_uploader.camera import open_camera;"
        f"open_camera({f'folder:{tmp_path}'!r}, (320, 240)).still();"
        "print(json.dumps(sorted({'cv2', 'numpy', 'picamera2', 'PIL'} & sys.modules.keys())))"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(done.stdout) == []


@pytest.mark.parametrize(
    ("frame", "photo"),
    [
        (JPEG, JPEG),
        (JPEG + bytes(100), JPEG),
        (JPEG[:-1], None),
        (JPEG[1:], None),
        (b"", None),
    ],
)
def test_a_frame_is_a_photo_if_it_has_a_start_and_an_end(frame: bytes, photo: bytes | None) -> None:
    assert whole_jpeg(frame) == photo


def node(sysfs: Path, name: str, bus: str, index: int) -> None:
    """As the kernel lists it: https://docs.kernel.org/admin-guide/sysfs-rules.html"""
    device = sysfs / "devices" / bus
    device.mkdir(parents=True, exist_ok=True)
    (sysfs / "class" / name).mkdir(parents=True)
    (sysfs / "class" / name / "index").write_text(f"{index}\n")
    (sysfs / "class" / name / "device").symlink_to(device)


def test_of_the_video_devices_those_on_usb_that_give_frames_are_cameras(tmp_path: Path) -> None:
    node(tmp_path, "video0", "platform/soc/3f801000.csi", 0)
    node(tmp_path, "video10", "platform/soc/3f980000.usb/usb1/1-1/1-1:1.0", 0)
    node(tmp_path, "video2", "platform/soc/3f980000.usb/usb1/1-2/1-2:1.0", 0)
    node(tmp_path, "video3", "platform/soc/3f980000.usb/usb1/1-2/1-2:1.0", 1)
    node(tmp_path, "video13", "platform/bcm2835-codec", 0)
    assert usb_devices(tmp_path / "class") == ["/dev/video2", "/dev/video10"]


def test_a_machine_that_knows_of_no_video_has_no_cameras(tmp_path: Path) -> None:
    assert usb_devices(tmp_path / "none") == []


RIBBON = {"Model": "imx708", "Id": "/base/soc/i2c0mux/i2c@1/imx708@1a"}
USB = {"Model": "C920", "Id": "/base/soc/usb@7e980000/usb-port@1-1:1.0-046d:082d"}


def test_the_camera_on_the_ribbon_cable_is_found_beside_one_on_usb() -> None:
    assert ribbon_camera([USB, RIBBON]) == 1


@pytest.mark.parametrize("cameras", [[], [USB]])
def test_no_camera_on_the_ribbon_cable_is_told_with_the_next_step(cameras: list[dict[str, str]]) -> None:
    with pytest.raises(NoCamera, match="seat the cable"):
        ribbon_camera(cameras)
