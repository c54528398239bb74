"""The Pi client as the process that it is, against the service that it is for."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from services import Service, running, until

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent.parent


class Pi:
    """The client on a data folder of its own. Whoever stands there presses Enter."""

    def __init__(self, data: Path, *args: str) -> None:
        self.lines: list[str] = []
        env = os.environ | {"HOME": str(data.parent)}
        env.pop("GPIOZERO_PIN_FACTORY", None)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pi_uploader", "--data", str(data), *args],
            cwd=ROOT,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            bufsize=1,
        )
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.lines.extend(line.rstrip() for line in self.process.stdout)

    def press(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")

    def says(self, words: str, times: int = 1) -> None:
        until(lambda: sum(words in line for line in list(self.lines)) >= times, say=f"{words}: {self.lines}")

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.ended()

    def ended(self) -> int:
        code = self.process.wait(20)
        self._reading.join(20)
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()
        return code


@pytest.fixture
def start_pi(tmp_path: Path) -> Iterator[Callable[..., Pi]]:
    """Starts the client, each time on the same data."""
    with ExitStack() as started:

        def start(*args: str) -> Pi:
            pi = Pi(tmp_path / "data", *args)
            started.callback(pi.end, signal.SIGKILL)
            return pi

        yield start


@pytest.fixture
def two(photos: Path, tmp_path: Path) -> str:
    """A camera that sees Biden and Obama in turn."""
    folder = tmp_path / "camera"
    folder.mkdir()
    for name in ("biden.jpg", "obama.jpg"):
        shutil.copy(photos / name, folder)
    return f"folder:{folder}"


def captures(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "data" / "spool").glob("*.jpg"))


def test_each_enter_brings_the_name_of_whoever_is_there(
    service: Service, start_pi: Callable[..., Pi], two: str, tmp_path: Path
) -> None:
    pi = start_pi("--url", service.url, "--camera", two)
    pi.says("Enter is the button")
    pi.press()
    pi.says("photo 1: Biden (similarity ")
    pi.press()
    pi.says("photo 2: Obama (similarity ")
    pi.process.send_signal(signal.SIGUSR1)
    pi.says("photo 3: Biden (similarity ")
    assert all(" ms, round trip " in line for line in pi.lines if line.startswith("photo"))
    assert (pi.end(), captures(tmp_path)) == (0, [])
    assert (tmp_path / "data" / "answers.csv").read_text().count("Biden") == 4


def test_a_photo_taken_while_the_service_is_away_is_answered_once_it_is_there(
    start_pi: Callable[..., Pi], two: str, photos: Path, tmp_path: Path
) -> None:
    (folder := tmp_path / "service").mkdir()
    with running(folder) as service:
        service.enrol("biden", photos / "biden.jpg")
        service.stop()
        pi = start_pi("--url", service.url, "--camera", two)
        pi.says("Enter is the button")
        pi.press()
        pi.says("cannot be reached (Connection refused): is it running, and is the network there?; 1 capture waits")
        assert (pi.end(signal.SIGKILL), len(captures(tmp_path))) == (-signal.SIGKILL, 1)
        pi = start_pi("--url", service.url, "--camera", two)
        pi.says("1 capture waits from before")
        pi.says("cannot be reached")
        service.processes.clear()
        service.start("web_tier")
        service.start("controller")
        pi.says("the service answers again")
        pi.says("photo 1: Biden (similarity ")
        assert (pi.end(), captures(tmp_path)) == (0, [])


def test_a_kill_at_any_moment_loses_no_photo_and_tells_none_twice(
    service: Service, start_pi: Callable[..., Pi], two: str, tmp_path: Path
) -> None:
    told: list[str] = []
    for _ in range(3):
        pi = start_pi("--url", service.url, "--camera", two)
        pi.says("Enter is the button")
        pi.press()
        pi.press()
        pi.says("photo ")
        # One is told; the other anywhere from the camera to the answer.
        pi.end(signal.SIGKILL)
        told += [line for line in pi.lines if line.startswith("photo ")]
    waiting = {name.split("_")[2] for name in captures(tmp_path)}
    pi = start_pi("--url", service.url, "--camera", two)
    pi.press()
    until(lambda: any("photo" in line and "earlier" not in line for line in list(pi.lines)), say="its own")
    assert (pi.end(), captures(tmp_path)) == (0, [])
    answers = (tmp_path / "data" / "answers.csv").read_text().splitlines()[1:]
    keys = [line.split(",")[2] for line in answers]
    assert len(set(keys)) == len(keys) >= len(told) >= 3
    assert waiting <= set(keys)


def test_the_settings_file_says_where_all_is_and_an_option_goes_before_it(
    service: Service, start_pi: Callable[..., Pi], two: str, tmp_path: Path
) -> None:
    (tmp_path / "pi.toml").write_text(f'url = "http://127.0.0.1:9"\ncamera = "{two}"\nbutton_pin = 4\n')
    pi = start_pi("--settings", str(tmp_path / "pi.toml"), "--url", service.url)
    pi.says("Enter is the button")
    pi.press()
    pi.says("photo 1: Biden")
    assert pi.end(signal.SIGINT) == 0


def test_two_clients_do_not_share_their_data(start_pi: Callable[..., Pi], two: str) -> None:
    start_pi("--url", "http://127.0.0.1:9", "--camera", two).says("Enter is the button")
    second = start_pi("--url", "http://127.0.0.1:9", "--camera", two)
    second.says("is in use by another pi_uploader: stop that first, or name a --data")
    assert second.ended() == 1


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("adress = 'http://laptop:8000'", "pi_uploader: {}: there is no setting adress, but api_key, "),
        ("hold = 'long'", "pi_uploader: hold is a number, not 'long'"),
        ("url = ", "pi_uploader: {} is not TOML: "),
        ("camera = 'webcam'", "pi_uploader: there is no camera 'webcam': name auto, "),
    ],
)
def test_settings_that_cannot_be_used_are_told_and_not_tried_again(
    start_pi: Callable[..., Pi], tmp_path: Path, settings: str, words: str
) -> None:
    (tmp_path / "pi.toml").write_text(settings)
    pi = start_pi("--settings", str(tmp_path / "pi.toml"))
    # EX_CONFIG, which the unit of systemd does not start again.
    assert pi.ended() == 78
    pi.says(words.format(tmp_path / "pi.toml"))
    assert not any("Traceback" in line for line in pi.lines)


def test_help_shows_how_to_begin(start_pi: Callable[..., Pi]) -> None:
    pi = start_pi("--help")
    assert pi.ended() == 0
    pi.says("python -m pi_uploader --url http://laptop:8000")
