"""What the README of the Pi's client does on a desktop, run as it stands there."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from services import PATIENCE, Service, until

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PYTHON = ".pi/bin/python"


def commands() -> list[str]:
    section = (ROOT / "pi_uploader/README.md").read_text().partition("\n## On a desktop\n")[2].partition("\n## ")[0]
    (block,) = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    return [line for line in block.splitlines() if line.startswith(PYTHON)]


CHECK, PRESS, LIVE, _ENROL = commands()


@pytest.fixture
def home(tmp_path: Path, photos: Path) -> Path:
    """With one photo, which is somebody's who is enrolled."""
    (tmp_path / "PHOTOS").mkdir()
    shutil.copy(photos / "obama2.jpg", tmp_path / "PHOTOS")
    return tmp_path


@contextmanager
def started(
    command: str, service: Service, home: Path, *, keyboard: int = subprocess.PIPE
) -> Iterator["subprocess.Popen[bytes]"]:
    """Its words go to `said` in its home, since who reads a pipe has to wait for it."""
    words = shlex.split(command.replace("http://127.0.0.1:8000", service.url).replace("PHOTOS", str(home / "PHOTOS")))
    env = {name: value for name, value in os.environ.items() if name != "FACEFLEET_API_KEY"} | {"HOME": str(home)}
    with (home / "said").open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, *words[1:]], cwd=ROOT, env=env, stdin=keyboard, stdout=said, stderr=said
        )
    with process:
        try:
            yield process
        finally:
            process.kill()


def said(home: Path) -> str:
    return (home / "said").read_text()


def test_the_check_finds_that_all_is_well(service: Service, home: Path) -> None:
    with started(CHECK, service, home) as process:
        assert process.wait(PATIENCE) == 0, said(home)
    assert said(home).endswith("all is well\n")


def test_enter_is_the_button_and_ctrl_c_ends_it(service: Service, home: Path) -> None:
    with started(PRESS, service, home) as process:
        until(lambda: f"each press takes a photo, which goes to {service.url}\n" in said(home), say="that it is ready")
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
        until(lambda: "photo 1: Obama" in said(home), say="an answer")
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
    assert list((home / ".pi_uploader/spool").glob("*.jpg")) == []


def test_at_a_terminal_ctrl_d_ends_it_too(service: Service, home: Path) -> None:
    person, terminal = os.openpty()
    with started(PRESS, service, home, keyboard=terminal) as process:
        until(lambda: "each press takes a photo" in said(home), say="that it is ready")
        os.write(person, b"\x04")
        assert process.wait(PATIENCE) == 0
    os.close(person)
    os.close(terminal)


def test_live_tells_who_was_seen_when(service: Service, home: Path) -> None:
    with started(LIVE, service, home) as process:
        until(lambda: said(home).count("Obama") >= 2, say="two answers")
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0, said(home)
    seen = (home / ".pi_uploader/seen.csv").read_text().splitlines()
    assert [line.partition(",")[0] for line in seen[1:]] == ["Obama"]


def test_what_it_keeps_is_for_the_eyes_of_its_user_alone(service: Service, home: Path) -> None:
    with started(f"{LIVE} --seconds 0.5", service, home) as process:
        assert process.wait(PATIENCE) == 0, said(home)
    kept = [home / ".pi_uploader", *(home / ".pi_uploader").rglob("*")]
    assert {"answers.csv", "seen.csv", "spool"} <= {path.name for path in kept}
    assert [path for path in kept if path.stat().st_mode & 0o077] == []
