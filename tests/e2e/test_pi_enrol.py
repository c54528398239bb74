"""Enrolling at the Pi, and its check-up, as somebody at its terminal has them: real processes, a real service."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import IO

import pytest
from PIL import Image
from services import PATIENCE, Service, until

pytestmark = pytest.mark.slow

KEY = {"x-api-key": "enrols"}
KEYS = {"API_KEYS": "enrols:recognise+enrol,asks:recognise,adds:enrol"}


def command(service: Service, folder: Path, camera: Path, *words: str) -> list[str]:
    place = ["--url", service.url, "--data", str(folder), "--camera", f"folder:{camera}"]
    return [sys.executable, "-m", "pi_uploader", *place, *words]


def env_of(key: str) -> dict[str, str]:
    return dict(os.environ) | {"FACEFLEET_API_KEY": key, "GPIOZERO_PIN_FACTORY": "mock"}


def ran(words: list[str], key: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, env=env_of(key), capture_output=True, text=True, timeout=2 * PATIENCE, check=False)


def checked(service: Service, tmp_path: Path, camera: Path, key: str = "") -> tuple[int, dict[str, str]]:
    """The exit code, and of each thing that is wrong what is told."""
    done = ran(command(service, tmp_path / "pi", camera, "--check", "--json"), key)
    return done.returncode, {row["check"]: row["detail"] for row in json.loads(done.stdout) if not row["ok"]}


@pytest.fixture
def camera(tmp_path: Path, photos: Path) -> Path:
    """Sees in turn: a wall, Obama, the same photo of him, and two more of him."""
    folder = tmp_path / "camera"
    folder.mkdir()
    wall = BytesIO()
    Image.new("RGB", (320, 240), "grey").save(wall, "JPEG")
    (folder / "1.jpg").write_bytes(wall.getvalue())
    for number, photo in enumerate(("obama", "obama", "obama2", "obama3"), 2):
        (folder / f"{number}.jpg").write_bytes((photos / f"{photo}.jpg").read_bytes())
    return folder


@contextmanager
def pressing(words: list[str], key: str) -> Iterator["subprocess.Popen[str]"]:
    """A client that waits for presses, ended by SIGTERM whatever becomes of the test."""
    with subprocess.Popen(words, env=env_of(key), text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)


def line_with(words: str, lines: IO[str]) -> str:
    """Ends with the process at the latest."""
    return next(line for line in lines if words in line)


def test_whoever_is_enrolled_at_the_camera_is_named_at_the_next_press(
    start_service: Callable[..., Service], tmp_path: Path, camera: Path
) -> None:
    service = start_service(**KEYS)
    done = ran(command(service, tmp_path / "pi", camera, "enrol", "Barack Obama", "-n", "3"), "enrols")
    assert done.returncode == 0, done.stdout + done.stderr
    refused = [line for line in done.stdout.splitlines() if "not this one" in line]
    assert ["0 faces found" in refused[0], "practically the same" in refused[1], len(refused)] == [True, True, 2]
    assert done.stdout.endswith("3/3 enrolled\n3 of 3 photos of Barack Obama enrolled, 5 taken\n")
    person = service.get("/v1/people/Barack_Obama", headers=KEY).json()
    assert (person["name"], len(person["photos"])) == ("Barack Obama", 3)
    assert list((tmp_path / "pi/spool").glob("*.jpg")) == []

    for photo in ("1.jpg", "2.jpg", "3.jpg", "4.jpg"):
        (camera / photo).unlink()
    with pressing(command(service, tmp_path / "pi", camera), "asks") as press:
        assert press.stdin and press.stdout
        press.stdin.write("\n")
        press.stdin.flush()
        assert line_with("photo 1", press.stdout).startswith("photo 1: Barack Obama (similarity ")
    assert press.returncode == 0


def test_a_check_finds_all_well_or_names_what_is_not(
    start_service: Callable[..., Service], tmp_path: Path, camera: Path
) -> None:
    service = start_service(**KEYS)
    assert checked(service, tmp_path, camera, "asks") == (0, {})
    assert checked(service, tmp_path, camera) == (
        1,
        {"key": "a key is needed, and none is set (send a valid key in the header x-api-key)"},
    )
    assert "our key is not taken" in checked(service, tmp_path, camera, "wrong")[1]["key"]
    assert "our key may not recognise" in checked(service, tmp_path, camera, "adds")[1]["key"]
    waiting = ran(command(service, tmp_path / "pi", camera, "enrol", "Mary"), "asks")
    assert waiting.returncode == 1
    assert "given up" in waiting.stdout and "scope enrol" in waiting.stdout
    service.stop()
    code, wrong = checked(service, tmp_path, camera, "asks")
    assert (code, set(wrong)) == (1, {"service", "clock"})


def test_a_service_without_a_controller_is_told_not_to_be_ready(tmp_path: Path, camera: Path) -> None:
    service = Service(tmp_path)
    try:
        service.start("web_tier")
        until(service.answers)
        code, wrong = checked(service, tmp_path, camera)
    finally:
        service.stop()
    assert (code, set(wrong)) == (1, {"ready"})
    assert "controller" in wrong["ready"]
