"""What systemd hears, over a real datagram socket: the same of the service's tiers and of the Pi's client."""

import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from uuid import uuid4

import pytest

import facefleet.supervision
import pi_uploader.supervision

PATIENCE = 20.0


@pytest.fixture(params=[facefleet.supervision, pi_uploader.supervision], ids=["a tier", "the Pi's client"])
def supervision(request: pytest.FixtureRequest) -> ModuleType:
    module: ModuleType = request.param
    return module


@pytest.fixture(params=["a file", "the kernel alone"])
def told(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Where systemd would listen: containers know names that are in the kernel alone."""
    place = str(tmp_path / "notify") if request.param == "a file" else f"@{uuid4().hex}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(place.replace("@", "\0", 1))
        listener.settimeout(PATIENCE)
        monkeypatch.setenv("NOTIFY_SOCKET", place)
        yield listener


def test_each_word_reaches_systemd(told: socket.socket, supervision: ModuleType) -> None:
    supervision.ready()
    supervision.alive()
    supervision.status("3 captures wait")
    supervision.stopping()
    heard = [told.recv(1000).decode() for _ in range(4)]
    assert heard == ["READY=1", "WATCHDOG=1", "STATUS=3 captures wait", "STOPPING=1"]


def test_a_status_is_one_line_and_says_nothing_else(told: socket.socket) -> None:
    pi_uploader.supervision.status("saw Paul\nREADY=1")
    assert told.recv(1000) == b"STATUS=saw Paul READY=1"


def test_without_systemd_nothing_happens(supervision: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    supervision.ready()
    supervision.alive()


def test_a_systemd_that_is_gone_hinders_nobody(
    supervision: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    supervision.alive()


def test_a_systemd_that_does_not_listen_hinders_nobody(told: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its queue is full: words are lost, and it is gone on."""
    monkeypatch.setattr(pi_uploader.supervision, "PATIENCE", 0.01)
    sent = 0
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as filling, pytest.raises(BlockingIOError):
        filling.setblocking(False)
        while sent < 100_000:
            filling.sendto(b"WATCHDOG=1", told.getsockname())
            sent += 1
    pi_uploader.supervision.alive()
    assert {told.recv(1000) for _ in range(sent)} == {b"WATCHDOG=1"}
    told.setblocking(False)
    with pytest.raises(BlockingIOError):
        told.recv(1000)


def test_a_listener_who_reads_nothing_costs_a_moment_and_no_work(told: socket.socket) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as filler, suppress(BlockingIOError):
        filler.setblocking(False)
        while True:
            filler.sendto(b"X", told.getsockname())
    began, worked = time.monotonic(), time.thread_time()
    pi_uploader.supervision.alive()
    waited = time.monotonic() - began
    assert waited < PATIENCE
    assert time.thread_time() - worked < waited / 2
