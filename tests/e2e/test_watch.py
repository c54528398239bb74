"""`facefleet status --watch`: the fleet as it moves, in a terminal, in a pipe, and for scripts."""

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from services import PATIENCE, Service, until

pytestmark = pytest.mark.slow

COMMAND = [sys.executable, "-m", "facefleet.cli", "status", "--watch", "--every", "0.1"]


@contextmanager
def watching(service: Service, *options: str, out: Path) -> Iterator["subprocess.Popen[bytes]"]:
    with out.open("wb") as file:
        process = subprocess.Popen([*COMMAND, *options], env=service.env, stdout=file, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def ends_well(process: "subprocess.Popen[bytes]") -> bool:
    process.send_signal(signal.SIGINT)
    return process.wait(PATIENCE) == 0


def test_in_a_pipe_it_is_a_line_each_time_until_ctrl_c(service: Service, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with watching(service, out=out) as process:
        until(lambda: out.read_text().count("\n") >= 3)
        assert ends_well(process)
    for line in out.read_text().splitlines():
        assert " visible, " in line and " running, " in line and "desired " in line and "\x1b" not in line


def test_for_scripts_it_is_the_answer_of_the_api_each_time(service: Service, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with watching(service, "--json", out=out) as process:
        until(lambda: out.read_text().count("\n") >= 3)
        assert ends_well(process)
    looks = [json.loads(line) for line in out.read_text().splitlines()]
    assert all(look.keys() == service.fleet().keys() for look in looks)


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["words", "json"])
def test_a_service_that_is_away_is_told_and_waited_for(options: list[str], tmp_path: Path) -> None:
    service, out = Service(tmp_path), tmp_path / "out"
    try:
        with watching(service, *options, out=out) as process:
            until(lambda: "no service answers" in out.read_text(), say="it says so")
            service.start("web_tier")
            until(lambda: "visible" in out.read_text(), say="it goes on")
            assert ends_well(process)
    finally:
        service.stop()


def test_a_key_that_is_refused_ends_it(start_service: Callable[..., Service]) -> None:
    service = start_service(API_KEYS="right:admin")
    run = service.cli("status", "--watch")
    assert run.returncode == 1 and "x-api-key" in run.stderr


def test_in_a_terminal_it_draws_the_fleet_and_its_curves_until_ctrl_c(service: Service) -> None:
    terminal, ours = pty.openpty()
    process = subprocess.Popen(
        COMMAND, env=service.env | {"TERM": "xterm", "COLUMNS": "120"}, stdin=ours, stdout=ours, stderr=ours
    )
    os.close(ours)
    drawn = b""

    def curves() -> bool:
        nonlocal drawn
        drawn += os.read(terminal, 65536)
        return drawn.decode(errors="ignore").count("backlog") >= 3

    try:
        until(curves, say="three pictures")
        assert ends_well(process)
    finally:
        process.kill()
        process.wait()
        os.close(terminal)
    words = drawn.decode(errors="ignore")
    assert all(name in words for name in ("queue", "fleet", "decision", "policy", "desired", "▁"))


def test_a_recording_ends_by_itself_and_is_a_picture(service: Service, tmp_path: Path) -> None:
    picture = tmp_path / "fleet.png"
    done = service.cli("status", "--record", str(picture), "--seconds", "0.5", "--every", "0.1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(" visible, ") >= 3
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_recording_is_drawn_when_ctrl_c_ends_it(service: Service, tmp_path: Path) -> None:
    out, picture = tmp_path / "out", tmp_path / "fleet.svg"
    with watching(service, "--record", str(picture), out=out) as process:
        until(lambda: out.read_text().count("\n") >= 3)
        assert ends_well(process)
    assert "<svg" in picture.read_text()


@pytest.mark.parametrize(("name", "why"), [("fleet.txt", ".png"), ("no/such/fleet.png", "make it first")])
def test_a_picture_that_cannot_be_written_is_refused_before_anybody_waits(
    service: Service, tmp_path: Path, name: str, why: str
) -> None:
    done = service.cli("status", "--record", str(tmp_path / name))
    assert (done.returncode, done.stdout) == (78, "")
    assert why in done.stderr
