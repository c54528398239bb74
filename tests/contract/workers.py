"""Workers of a few lines, which write what happens to them into a pipe: a test waits for that, and for nothing else."""

import json
import os
import secrets
import select
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

from facefleet.model import InstanceState
from facefleet.ports import Fleet

PATIENCE = 30.0
NAME = "app-tier-instance"

WORKER = """
import json, os, signal, sys
diary = os.open(os.environ["DIARY"], os.O_WRONLY)
stop_on_sigterm, id = {stops}, sys.argv[1]
def tell(what):
    os.write(diary, (json.dumps([what, id, os.getpid()]) + chr(10)).encode())
def drain(*_):
    tell("drains")
    if stop_on_sigterm:
        sys.exit(0)
signal.signal(signal.SIGTERM, drain)
signal.signal(signal.SIGUSR1, lambda *_: tell("lives"))
tell("works")
while True:
    signal.pause()
"""


class Diary:
    """A pipe that workers write lines into: what, instance id, process number."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self._fd = os.open(path, os.O_RDWR)
        self._rest = b""
        self.processes: dict[str, int] = {}

    def expect(self, what: str, count: int = 1) -> set[str]:
        """Waits until so many workers wrote so; returns their ids."""
        ids = set()
        for _ in range(count):
            said, id, pid = json.loads(self._line())
            assert said == what
            self.processes[id] = pid
            ids.add(id)
        return ids

    def _line(self) -> bytes:
        while b"\n" not in self._rest:
            assert select.select([self._fd], [], [], PATIENCE)[0], "no worker wrote anything"
            self._rest += os.read(self._fd, 65_536)
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def zombies(self) -> set[int]:
        """Of those that wrote, children of this process that are dead and that nobody has buried."""
        return {pid for pid in self.processes.values() if _is_dead(pid)}

    def close(self) -> None:
        """Ends whatever this test left running, whoever started it."""
        for pid in self.processes.values():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            await_end(pid)
        os.close(self._fd)


def _is_dead(pid: int) -> bool:
    """Looks without burying it; one that was buried already is no child any more."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None
    except ChildProcessError:
        return False


def await_end(pid: int) -> None:
    """Waits until a child has ended, and leaves its body to whoever has to bury it."""
    with suppress(ChildProcessError):
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


def await_none(fleet: Fleet) -> None:
    deadline = time.monotonic() + PATIENCE
    while fleet.instances():
        assert time.monotonic() < deadline, "an instance stays"


def command(*, stops: bool = True) -> list[str]:
    return [sys.executable, "-c", WORKER.format(stops=stops)]


def launch(fleet: Fleet, count: int = 1) -> set[str]:
    """So many more, each for a token of its own; their ids."""
    return {fleet.launch(secrets.token_hex(16), fleet.offers[0]) for _ in range(count)}


def states(fleet: Fleet) -> dict[str, InstanceState]:
    return {instance.id: instance.state for instance in fleet.instances()}
