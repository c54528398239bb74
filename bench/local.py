"""A facefleet on this machine for as long as a measurement takes, started as a user would."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

START_TIMEOUT = 90.0
#: Nothing that is waited for takes so many seconds, unless it hangs.
PATIENCE = 120.0
LOOK = 0.05


@contextmanager
def facefleet_up(folder: Path, samples: Path, **settings: str) -> Iterator[str]:
    """The service's URL, ready, with the samples enrolled; it is stopped and drained at the end."""
    # A company's proxy does not know our loopback.
    os.environ["NO_PROXY"] = "127.0.0.1"
    port = free_port()
    ours = {"DATA": str(folder / "data"), "PORT": str(port), "LOG_LEVEL": "WARNING"} | settings
    env = dict(os.environ) | {f"FACEFLEET_{name}": value for name, value in ours.items()}
    with (folder / "up.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603  # our own command, and no shell
            [sys.executable, "-m", "facefleet.cli", "up", "--samples", str(samples)], env=env, stdout=log, stderr=log
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _await_ready(process, url, folder / "up.log")
        yield url
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)


def awaited(what: Callable[[], Any], say: str, *, seconds: float = PATIENCE, every: float = LOOK) -> Any:
    """The first truth that `what` returns; raises `TimeoutError`."""
    deadline = time.monotonic() + seconds
    while not (value := what()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:.0f} s: {say}")
        time.sleep(every)
    return value


def cpu_meter(folder: Path, *, module: str = "") -> Callable[[], float]:
    """CPU seconds so far of all living processes of the service whose data lie in the folder; or of one tier's."""
    mark, name = f"FACEFLEET_DATA={folder}".encode(), f"\0{module}".encode()

    def seconds() -> float:
        ours = [process for process in Path("/proc").iterdir() if process.name.isdigit() and _is(process, mark, name)]
        return cpu_of(int(process.name) for process in ours)

    return seconds


def cpu_of(pids: Iterable[int]) -> float:
    """CPU seconds so far of these processes."""
    return sum(_ticks(Path("/proc") / str(pid)) for pid in pids) / os.sysconf("SC_CLK_TCK")


@contextmanager
def as_ours(env: Mapping[str, str]) -> Iterator[None]:
    """For boto3 in this process, which reads where to call from its environment."""
    before = dict(os.environ)
    os.environ.update(env)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _is(process: Path, mark: bytes, name: bytes) -> bool:
    try:
        return mark in (process / "environ").read_bytes() and name in (process / "cmdline").read_bytes()
    except OSError:
        return False


def _ticks(process: Path) -> int:
    try:
        fields = (process / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    # proc(5): utime and stime, the 14th and 15th fields.
    return int(fields[11]) + int(fields[12])


def free_port() -> int:
    """One of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await_ready(process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if requests.get(f"{url}/readyz", timeout=5).ok:
                return
        except requests.RequestException:
            pass
        time.sleep(0.1)
    raise SystemExit(f"bench: no service answered at {url}; it said:\n{log.read_text()[-2000:]}")
