"""When systemd hears that a process gets on, over a real datagram socket."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from gunicorn.config import Config
from gunicorn.workers.workertmp import WorkerTmp
from hypothesis import given
from hypothesis import strategies as st

from app_tier.pulse import LONGEST_TURN, MAX_WORK, Pulse, gets_on, say_alive
from app_tier.worker import Worker
from controller.arrivals import Arrivals
from controller.leading import stand_by
from controller.store import Store
from facefleet.backends import connect
from facefleet.model import Result
from facefleet.ports import MAX_WAIT
from facefleet.recognition.jobs import Jobs
from facefleet.settings import Settings
from web_tier.__main__ import SILENT
from web_tier.__main__ import gets_on as web_gets_on

PATIENCE = 20.0


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Where systemd would listen."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(PATIENCE)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield listener


@given(waited=st.floats(0, MAX_WAIT), worked=st.floats(0, MAX_WORK))
def test_a_worker_that_polls_and_works_as_long_as_it_may_gets_on(waited: float, worked: float) -> None:
    assert gets_on(1000.0 + waited + worked, 1000.0)


@given(st.floats(LONGEST_TURN + 1, 1e9))
def test_a_worker_whose_loop_stands_still_does_not(stood: float) -> None:
    assert not gets_on(1000.0 + stood, 1000.0)


def test_systemd_hears_of_a_worker_only_while_its_loop_comes_round(told: socket.socket) -> None:
    done, still = threading.Event(), time.monotonic() - LONGEST_TURN - 1
    turns = [still, still, time.monotonic(), still]

    def turned_at() -> float:
        if len(turns) == 1:
            done.set()
        return turns.pop(0)

    say_alive(done, turned_at, every=0.001)
    assert told.recv(1000) == b"WATCHDOG=1"
    told.setblocking(False)
    with pytest.raises(BlockingIOError):
        told.recv(1000)


def test_a_worker_comes_round_with_each_poll(tmp_path: Path) -> None:
    backend, stop = connect(Settings(data=tmp_path)), threading.Event()
    pulse = Pulse(backend.requests, backend.blobs, id="w", visibility_timeout=5.0)
    pulse.turned_at = before = time.monotonic() - 1000
    jobs = Jobs(lambda job, image: Result(job.id), backend.blobs, backend.replies, stands=bool)
    Worker(backend.requests, jobs, pulse, idle=stop.set, probe=lambda: None).run(stop)
    assert pulse.turned_at > before


def test_a_controller_that_stands_by_is_ready_and_alive(told: socket.socket, tmp_path: Path) -> None:
    """Another one leads; it is the next."""
    blobs = connect(Settings(data=tmp_path / "data")).blobs
    assert Store(blobs, "another", lambda: 0.0).take() is not None

    class ToldToEnd(Arrivals):
        def __init__(self) -> None:
            pass

        def end_within(self, seconds: float) -> bool:
            return True

    assert stand_by(Store(blobs, "me", lambda: 1.0), ToldToEnd()) is None
    assert [told.recv(1000) for _ in range(2)] == [b"READY=1", b"WATCHDOG=1"]


HANGS = """
import os, signal
from facefleet.entry import entry_point

def hang_here():
    os.kill(os.getpid(), signal.SIGABRT)

entry_point(lambda settings: hang_here())()
"""


def test_a_process_that_its_watchdog_ends_says_where_it_hung() -> None:
    said = subprocess.run([sys.executable, "-c", HANGS], capture_output=True, text=True, timeout=60)
    assert said.returncode == -signal.SIGABRT
    assert "in hang_here" in said.stderr


@dataclass(frozen=True)
class Process:
    """One of gunicorn's."""

    tmp: WorkerTmp


Gunicorn = Callable[[float | None], Process]


@pytest.fixture
def silent() -> Iterator[Gunicorn]:
    """`silent(5.0)`: a process whose loop gave its last sign so many seconds ago; None: that has yet to start."""
    with ExitStack() as opened:

        def silent(seconds: float | None) -> Process:
            tmp = WorkerTmp(Config())
            opened.callback(tmp.close)
            if seconds is not None:
                at = time.monotonic() - seconds
                os.utime(tmp.fileno(), (at, at))
            return Process(tmp)

        yield silent


def test_a_web_tier_gets_on_while_gunicorn_has_processes_and_none_to_end(silent: Gunicorn) -> None:
    assert web_gets_on([silent(0.0)]) and web_gets_on([silent(None), silent(SILENT - 5)])
    assert not web_gets_on([silent(0.0), silent(SILENT + 5)])
    assert not web_gets_on([])


def test_a_process_that_gunicorn_just_ended_is_none_that_hangs(silent: Gunicorn) -> None:
    ended = silent(SILENT + 5)
    ended.tmp.close()
    assert web_gets_on([ended])


BUSY = """
import os
from facefleet.recognition.jobs import Jobs
from facefleet.settings import Settings
from web_tier import __main__ as web
web.SPARE_THREADS, web.LOOK_EVERY = 1, 0.1
web.Server(Settings.from_env(os.environ)).run()
"""
UPLOAD = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\nContent-Length: 1000\r\n\r\nmore to come"


def is_answered(port: int, seconds: float) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=seconds) as client:
            client.settimeout(seconds)
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return bool(client.recv(1))
    except OSError:
        return False


def test_systemd_hears_of_a_web_tier_whose_threads_all_wait_for_slow_clients(
    told: socket.socket, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    env = {"FACEFLEET_PORT": str(port), "FACEFLEET_DATA": str(tmp_path / "data"), "FACEFLEET_MAX_UPLOADS": "1"}
    with ExitStack() as opened:
        web = opened.enter_context(subprocess.Popen([sys.executable, "-c", BUSY], env=os.environ | env))
        opened.callback(web.terminate)
        assert told.recv(1000).startswith(b"READY=1")
        assert any(is_answered(port, 1.0) for _ in range(int(PATIENCE)))
        for _ in range(2):
            opened.enter_context(socket.create_connection(("127.0.0.1", port))).sendall(UPLOAD)
        while is_answered(port, 1.0):
            pass
        told.setblocking(False)
        with suppress(BlockingIOError):
            while told.recv(1000):
                pass
        told.settimeout(PATIENCE)
        assert told.recv(1000) == b"WATCHDOG=1"
