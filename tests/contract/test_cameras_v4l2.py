"""The camera on USB as Linux has it: real OpenCV on a V4L2 device that `v4l2.c` plays, in a process of its own."""

import base64
import io
import json
import os
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

pytest.importorskip("cv2")
av = pytest.importorskip("av")
COMPILER = shutil.which("cc")
pytestmark = pytest.mark.skipif(sys.platform != "linux" or COMPILER is None, reason="needs Linux and a C compiler")

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
SIZE = (320, 240)
#: Opens the camera, then does as each argument says, and tells what came of it.
PROGRAM = """
import base64, json, pathlib, sys, time
from pi_uploader.camera import CameraError, open_camera
freeze = pathlib.Path(sys.argv[1])
camera = open_camera("usb:/dev/video7", (320, 240))
for step in sys.argv[2:]:
    if step == "freeze":
        freeze.touch()
    elif step == "thaw":
        freeze.unlink()
    elif step == "still":
        started = time.monotonic()
        try:
            said = base64.b64encode(camera.still()).decode()
        except CameraError as e:
            said = f"{type(e).__name__}: {e}"
        print(json.dumps([said, time.monotonic() - started]))
    elif step == "record":
        camera.record(0.5, "h264")
    elif step == "end":
        camera.end()
    elif step == "clip":
        clip = camera.clip(5.0)
        print(json.dumps([base64.b64encode(clip.data).decode(), clip.began, clip.ended]))
    else:
        time.sleep(float(step))
camera.close()
"""


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Path:
    built = tmp_path_factory.mktemp("v4l2") / "v4l2.so"
    assert COMPILER is not None
    subprocess.run([COMPILER, "-shared", "-fPIC", "-o", built, HERE / "v4l2.c", "-ldl"], check=True, timeout=60)
    return built


def run(device: Path, folder: Path, *steps: str, **camera: str) -> list[tuple[Any, ...]]:
    Image.effect_noise(SIZE, 40).save(folder / "photo.jpg", quality=60)
    env = os.environ | {"V4L2_PHOTO": str(folder / "photo.jpg"), "V4L2_FREEZE": str(folder / "freeze")} | camera
    env |= {"LD_PRELOAD": str(device), "PYTHONPATH": str(ROOT), "OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT": "1"}
    command = [sys.executable, "-c", PROGRAM, str(folder / "freeze"), *steps]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


def jpeg(said: str) -> bytes:
    return base64.b64decode(said)


def number(said: str) -> int:
    return int(jpeg(said)[-10:-2])


def test_the_jpeg_of_the_camera_is_given_as_it_is_without_its_padding(device: Path, tmp_path: Path) -> None:
    [(said, _)] = run(device, tmp_path, "still")
    assert jpeg(said)[:-10] == (tmp_path / "photo.jpg").read_bytes()[:-10]
    assert jpeg(said).endswith(b"\xff\xd9")


def test_a_camera_without_jpeg_gives_one_all_the_same(device: Path, tmp_path: Path) -> None:
    [(said, _)] = run(device, tmp_path, "still", V4L2_FORMAT="YUYV")
    photo = Image.open(io.BytesIO(jpeg(said)))
    photo.load()
    assert (photo.format, photo.size) == ("JPEG", SIZE)


@pytest.mark.parametrize("buffers", ["1", "3"])
def test_a_still_is_of_now_however_long_nobody_pressed(buffers: str, device: Path, tmp_path: Path) -> None:
    (first, _), (second, waited) = run(device, tmp_path, "still", "1", "still", V4L2_LEAST=buffers)
    # 15 frames a second: those that lay in the buffers are of just after the first.
    assert number(second) - number(first) >= 15
    assert waited < 0.75, "opened anew it would take ten frames more"


def test_a_damaged_frame_is_passed_over(device: Path, tmp_path: Path) -> None:
    stills = run(device, tmp_path, *["still"] * 6, V4L2_TEAR="3")
    assert all(jpeg(said).endswith(b"\xff\xd9") for said, _ in stills)


def test_a_camera_with_nothing_but_damaged_frames_failed(device: Path, tmp_path: Path) -> None:
    [(said, _)] = run(device, tmp_path, "still", V4L2_TEAR="1")
    assert said.startswith("CameraFailed: ") and "cable" in said


def test_a_camera_that_stops_answering_is_given_up_and_works_again_when_it_answers(
    device: Path, tmp_path: Path
) -> None:
    failed, again = run(device, tmp_path, "freeze", "still", "thaw", "still")
    assert failed[0].startswith("CameraFailed: ") and "plug" in failed[0]
    assert 0.9 < failed[1] < 3
    assert number(again[0])


def frames_in(clip: str) -> int:
    with av.open(io.BytesIO(base64.b64decode(clip))) as container:
        assert (container.streams.video[0].width, container.streams.video[0].height) == SIZE
        return sum(1 for _ in container.decode(video=0))


@pytest.mark.parametrize("format", ["MJPG", "YUYV"])
def test_a_recording_has_every_frame_that_the_camera_gives(format: str, device: Path, tmp_path: Path) -> None:
    clips = run(device, tmp_path, "record", *["clip"] * 6, V4L2_FORMAT=format)
    frames = sum(frames_in(data) for data, *_ in clips)
    # 15 a second, from the first to the last.
    assert frames == pytest.approx(15 * (clips[-1][2] - clips[0][1]) + 1, abs=2)
    starts = [began for _, began, _ in clips]
    assert [after - before for before, after in pairwise(starts)] == pytest.approx([0.5] * 5, abs=0.3)


def test_a_photo_taken_while_it_records_is_of_now_and_costs_no_frame(device: Path, tmp_path: Path) -> None:
    said = run(device, tmp_path, "record", "clip", "still", "clip", "still", "clip", "end", "clip")
    stills, clips = [one for one in said if len(one) == 2], [one for one in said if len(one) == 3]
    assert 4 <= number(stills[1][0]) - number(stills[0][0]) <= 12, "half a second lies between them"
    frames = sum(frames_in(data) for data, *_ in clips)
    assert frames == pytest.approx(15 * (clips[-1][2] - clips[0][1]) + 1, abs=2)
    assert clips[3][2] - clips[3][1] < 0.5, "the last is what there was when it ended"
