"""What systemd hears of a process, over a real datagram socket."""

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app_tier.pulse import LONGEST_TURN, MAX_WORK, Pulse, gets_on, say_alive
from app_tier.worker import Worker
from controller.arrivals import Arrivals
from controller.leading import stand_by
from controller.store import Store
from facefleet import supervision
from facefleet.backends import connect
from facefleet.model import Result
from facefleet.ports import MAX_WAIT
from facefleet.settings import Settings
from web_tier.__main__ import answers

PATIENCE = 20.0


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Where systemd would listen."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(PATIENCE)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield listener


def test_each_word_reaches_systemd(told: socket.socket) -> None:
    supervision.ready()
    supervision.alive()
    supervision.status("leads: 2 wanted")
    supervision.stopping()
    heard = [told.recv(1000).decode() for _ in range(4)]
    assert heard == ["READY=1", "WATCHDOG=1", "STATUS=leads: 2 wanted", "STOPPING=1"]


def test_without_systemd_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    supervision.ready()
    supervision.alive()


def test_a_systemd_that_is_gone_hinders_nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    supervision.alive()


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
    Worker(
        backend.requests,
        backend.replies,
        backend.blobs,
        lambda job, image: Result(job.id),
        pulse,
        idle=stop.set,
        stands=bool,
    ).run(stop)
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


@pytest.fixture
def app() -> Iterator[ThreadingHTTPServer]:
    """Answers `/healthz` with the server's `answer`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(self.server.answer if self.path == "/healthz" else 404)  # type: ignore[attr-defined]
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.answer = 200  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_app_is_alive_if_it_says_so_and_only_then(app: ThreadingHTTPServer) -> None:
    port = app.server_address[1]
    assert answers("127.0.0.1", port)
    assert answers("0.0.0.0", port)  # noqa: S104  # what the web tier is bound to, asked at
    app.answer = 500  # type: ignore[attr-defined]
    assert not answers("127.0.0.1", port)
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        assert not answers(*unheard.getsockname())
