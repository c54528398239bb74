"""The Pi client as a process: signals at any moment, streams that are closed, and pins that others have."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import gpiozero
import pytest
from hardware import own_pins, until
from standin import raw

from pi_uploader import supervision
from pi_uploader.__main__ import on_signals
from pi_uploader.button import watched
from pi_uploader.lights import Lights
from pi_uploader.pins import NoPins
from pi_uploader.settings import Settings

ROOT = Path(__file__).parent.parent.parent
#: Ctrl-C again and again, just when a session waits for its next frame.
INTERRUPTED = """
import signal
from pi_uploader.live import Ending

signal.signal(signal.SIGALRM, lambda *_: ending.ask())
for _ in range(2000):
    ending = Ending()
    signal.setitimer(signal.ITIMER_REAL, 0.0003)
    while not ending.stop.wait(0.0):
        pass
"""


@contextmanager
def client(data: Path, *args: str, shell: str = "", **env: str) -> Iterator[subprocess.Popen[bytes]]:
    """In a process of its own, on a keyboard that stays open; `shell` does something to its streams."""
    command = [sys.executable, "-m", "pi_uploader", "--data", str(data), *args]
    with subprocess.Popen(
        ["/bin/sh", "-c", f'exec "$@" {shell}', "sh", *command],
        cwd=ROOT,
        env=os.environ | {"HOME": str(data.parent), "GPIOZERO_PIN_FACTORY": "mock"} | env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def nowhere(photos: Path) -> tuple[str, ...]:
    return ("--url", "http://127.0.0.1:9", "--camera", f"folder:{photos}")


def ended(process: subprocess.Popen[bytes]) -> tuple[int, str]:
    """Its exit code, and all that it said."""
    assert process.stdout is not None
    code = process.wait(20)
    return code, process.stdout.read().decode()


def test_a_signal_in_the_midst_of_a_wait_stops_a_live_session() -> None:
    subprocess.run([sys.executable, "-c", INTERRUPTED], cwd=ROOT, check=True, timeout=60)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-"])
def test_the_client_works_and_ends_without_streams(closed: str, nowhere: tuple[str, ...], tmp_path: Path) -> None:
    with client(tmp_path / "data", *nowhere, shell=closed) as process:
        until((tmp_path / "data" / "spool" / ".lock").exists)
        process.send_signal(signal.SIGUSR1)
        until(lambda: list((tmp_path / "data" / "spool").glob("*_photo.*")))
        process.terminate()
        code, said = ended(process)
    assert (code, "Traceback" in said) == (0, False)


def test_enter_is_a_press_whatever_else_is_typed_and_a_keyboard_that_waits_lets_the_client_end(
    nowhere: tuple[str, ...], tmp_path: Path
) -> None:
    with client(tmp_path / "data", *nowhere, PYTHONIOENCODING="utf-8:strict") as process:
        assert process.stdin is not None
        process.stdin.write(b"\xff\xfe\n")
        process.stdin.flush()
        until(lambda: list((tmp_path / "data" / "spool").glob("*_photo.*")))
        process.terminate()
        assert ended(process)[0] == 0


def test_a_second_ctrl_c_ends_an_enrolment_that_a_silent_service_keeps_waiting(photos: Path, tmp_path: Path) -> None:
    asked = threading.Event()

    def be_silent(connection: socket.socket) -> None:
        while connection.recv(65_536):
            asked.set()

    with ExitStack() as all, raw(be_silent) as url:
        args = ("--url", url, "--camera", f"folder:{photos}", "enrol", "Mary")
        process = all.enter_context(client(tmp_path / "data", *args))
        until(asked.is_set)

        def interrupted() -> bool:
            process.send_signal(signal.SIGINT)
            return process.poll() is not None

        until(interrupted)
        # One more, in the very end, is Python's own to answer.
        assert ended(process)[0] in (128 + signal.SIGINT, -signal.SIGINT)


def test_ctrl_c_asks_as_often_as_it_may_and_then_interrupts() -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    asked: list[str] = []
    try:
        on_signals(stop=lambda: asked.append("stop"), asks=2)
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert asked == ["stop", "stop"]
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_pins_that_another_has_are_told_with_what_to_do() -> None:
    with own_pins(), gpiozero.LED(22), gpiozero.LED(17):
        with pytest.raises(NoPins, match=r"^GPIO 22 cannot be used \(.+\): end the other program that uses the pin"):
            Lights(Settings())
        with (
            pytest.raises(NoPins, match=r"^GPIO 17 cannot be used"),
            watched(Settings(), pressed=lambda: None, held=lambda: None),
        ):
            pass


def test_half_a_character_does_not_keep_systemd_from_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.settimeout(5)
        systemd.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        supervision.status("photo 1: Ma\ud83dry")
        assert systemd.recv(100) == b"STATUS=photo 1: Ma?ry"
