"""The bell: whoever listens hears every ring, from any process, and nobody waits for the dead."""

import gc
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from facefleet.backends.embedded.bell import MAX_IDLE, Bell, Ear

#: Longer than anything takes; a wait this long is cut short by a ring.
PATIENCE = 30.0
SOON = 5.0

RING = """
import sys
from pathlib import Path
from facefleet.backends.embedded.bell import Bell
Bell(Path(sys.argv[1])).ring()
"""
LISTEN_FOREVER = """
import signal, sys
from pathlib import Path
from facefleet.backends.embedded.bell import Bell
with Bell(Path(sys.argv[1])).listen():
    print("listens", flush=True)
    signal.pause()
"""


@pytest.fixture
def bell(tmp_path: Path) -> Bell:
    return Bell(tmp_path / "bell")


def timed_wait(ear: Ear, seconds: float, stop: threading.Event | None = None) -> float:
    started = time.monotonic()
    ear.wait(seconds, stop)
    return time.monotonic() - started


def test_a_ring_that_came_before_the_waiting_is_not_missed(bell: Bell) -> None:
    with bell.listen() as ear:
        bell.ring()
        assert timed_wait(ear, PATIENCE) < SOON


def test_rings_heard_once_are_over(bell: Bell) -> None:
    with bell.listen() as ear:
        for _ in range(3):
            bell.ring()
        ear.wait(PATIENCE, None)
        assert timed_wait(ear, 0.1) >= 0.1


def test_without_a_ring_the_time_is_waited_out(bell: Bell) -> None:
    with bell.listen() as ear:
        assert 0.1 <= timed_wait(ear, 0.1) < SOON
        assert 0.1 <= timed_wait(ear, 0.1, threading.Event()) < SOON


def test_a_ring_from_another_process_is_heard(bell: Bell, tmp_path: Path) -> None:
    with bell.listen() as ear, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(timed_wait, ear, PATIENCE)
        subprocess.run([sys.executable, "-c", RING, tmp_path / "bell"], check=True)
        assert waiting.result() < PATIENCE / 2


def test_everybody_who_listens_hears_it(bell: Bell) -> None:
    with bell.listen() as one, bell.listen() as two:
        bell.ring()
        assert timed_wait(one, PATIENCE) < SOON
        assert timed_wait(two, PATIENCE) < SOON


def test_to_ring_where_nobody_listens_is_harmless(bell: Bell) -> None:
    bell.ring()
    with bell.listen() as ear:
        assert timed_wait(ear, 0.05) >= 0.05


def test_who_listens_again_hears_nothing_of_before(bell: Bell) -> None:
    with bell.listen() as ear:
        pass
    bell.ring()
    with bell.listen() as again:
        assert again is ear
        assert timed_wait(ear, 0.1) >= 0.1
        bell.ring()
        assert timed_wait(ear, PATIENCE) < SOON


def test_a_few_pipes_are_kept_and_go_with_the_bell(tmp_path: Path) -> None:
    bell = Bell(tmp_path / "bell")
    with ExitStack() as ears:
        for _ in range(MAX_IDLE + 3):
            ears.enter_context(bell.listen())
        assert len(list((tmp_path / "bell").iterdir())) == MAX_IDLE + 3
    gc.collect()
    assert len(list((tmp_path / "bell").iterdir())) == MAX_IDLE
    del bell
    gc.collect()
    assert list((tmp_path / "bell").iterdir()) == []


def test_a_process_that_ends_leaves_no_pipe(tmp_path: Path) -> None:
    listen = LISTEN_FOREVER.replace("signal.pause()", "pass")
    subprocess.run([sys.executable, "-c", listen, tmp_path / "bell"], check=True, stdout=subprocess.DEVNULL)
    assert list((tmp_path / "bell").iterdir()) == []


def test_what_a_killed_listener_left_is_removed_by_the_next_ring(bell: Bell, tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", LISTEN_FOREVER, tmp_path / "bell"], stdout=subprocess.PIPE
    ) as listener:
        assert listener.stdout is not None
        listener.stdout.readline()
        listener.kill()
    assert len(list((tmp_path / "bell").iterdir())) == 1
    bell.ring()
    assert list((tmp_path / "bell").iterdir()) == []


def test_many_rings_to_one_who_does_not_hear_block_nobody(bell: Bell) -> None:
    """A pipe takes 64 KiB; who rings must not wait for room in it."""
    with bell.listen() as ear:
        for _ in range(70_000):
            bell.ring()
        assert timed_wait(ear, PATIENCE) < SOON


def test_a_flag_that_is_set_ends_the_waiting(bell: Bell) -> None:
    stop = threading.Event()
    with bell.listen() as ear, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(timed_wait, ear, PATIENCE, stop)
        stop.set()
        assert waiting.result() < SOON
        assert timed_wait(ear, PATIENCE, stop) < SOON


@pytest.fixture
def many_files() -> Iterator[list[int]]:
    """More open files than `select` can count."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    yield opened
    for fd in opened:
        os.close(fd)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_it_rings_in_a_process_with_thousands_of_connections(bell: Bell, many_files: list[int]) -> None:
    assert max(many_files) > 1024
    with bell.listen() as ear:
        bell.ring()
        assert timed_wait(ear, PATIENCE) < SOON


def test_a_folder_with_a_long_path_is_no_hindrance(tmp_path: Path) -> None:
    """Where a socket would not fit: 108 bytes is its limit."""
    folder = tmp_path / ("x" * 120) / ("y" * 120)
    bell = Bell(folder)
    with bell.listen() as ear:
        bell.ring()
        assert timed_wait(ear, PATIENCE) < SOON
