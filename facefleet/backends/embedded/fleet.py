"""A fleet of worker processes on this machine. Their locks and records lie in a folder, so any controller finds them.

A process lives as long as its lock is held: the lock is inherited, and dies with it, however it dies. No process
number is trusted that an old process may have left behind.
"""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from facefleet.backends.embedded import launch
from facefleet.backends.embedded.lock import exclusively, take
from facefleet.model import Instance, InstanceState

#: The workers' log file starts afresh beyond this; the one before is kept.
MAX_LOG_BYTES = 10_000_000
#: From letting go of its files to its end a process takes milliseconds.
EXIT_TIMEOUT = 10.0


@dataclass(frozen=True, slots=True)
class Record:
    """What a process wrote about itself, before it became a worker."""

    pid: int
    launched_at: float


class ProcessFleet:
    """Runs `command` + [instance id]. `grace`: seconds that a draining process may take until it is killed."""

    def __init__(self, folder: Path, command: Sequence[str], *, name: str, env: dict[str, str], grace: float) -> None:
        self._folder = folder
        self._command = list(command)
        self._name = name
        self._env = env
        self._grace = grace
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def instances(self) -> list[Instance]:
        return [self._instance(id) for id in self._living()]

    def launch(self, count: int) -> None:
        for _ in range(count):
            self._launch(f"{self._name}-{secrets.token_hex(4)}")

    def retire(self, ids: list[str]) -> None:
        for id in set(ids) & set(self._living()):
            self._retire(id)

    def _launch(self, id: str) -> None:
        # Alone: a lock that is being made is not held yet, and must not look abandoned.
        with (
            exclusively(self._folder / "making.lock"),
            take(self._path(id, "lock")) as lock,
            self._log().open("ab") as log,
        ):
            process = subprocess.Popen(  # noqa: S603  # our own command, and no shell
                [sys.executable, "-I", "-S", launch.__file__, str(self._path(id, "json")), *self._command, id],
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C in a terminal goes to the tiers, and they drain this one in order.
                start_new_session=True,
                pass_fds=[lock.fileno()],
            )
        self._children[id] = process

    def _retire(self, id: str) -> None:
        record, draining = self._record(id), self._path(id, "draining")
        if record is None:
            # It has not come to life yet; who wants it gone will ask again.
            return
        if not draining.exists():
            draining.touch()
            _send(record, signal.SIGTERM)
        elif time.time() - draining.stat().st_mtime > self._grace:
            _send(record, signal.SIGKILL)

    def _living(self) -> list[str]:
        """Ids of the processes that live; what others left behind is removed."""
        living = []
        with exclusively(self._folder / "making.lock"):
            for lock in sorted(self._folder.glob(f"{self._name}-*.lock")):
                if self._is_held(lock):
                    living.append(lock.stem)
                else:
                    self._remove(lock.stem)
        self._bury(set(self._children) - set(living))
        return living

    def _bury(self, ids: set[str]) -> None:
        """Waits for our children that let go of their locks, so that none stays as a zombie."""
        for id in ids:
            self._children.pop(id).wait(EXIT_TIMEOUT)

    def _is_held(self, lock: Path) -> bool:
        try:
            with take(lock):
                return False
        except BlockingIOError:
            return True

    def _remove(self, id: str) -> None:
        for suffix in ("draining", "json", "lock"):
            self._path(id, suffix).unlink(missing_ok=True)

    def _instance(self, id: str) -> Instance:
        record, draining = self._record(id), self._path(id, "draining")
        if record is None:
            return Instance(id, InstanceState.PENDING, time.time())
        if draining.exists():
            return Instance(id, InstanceState.DRAINING, draining.stat().st_mtime)
        return Instance(id, InstanceState.RUNNING, record.launched_at)

    def _record(self, id: str) -> Record | None:
        try:
            return Record(**json.loads(self._path(id, "json").read_text()))
        except FileNotFoundError:
            return None

    def _path(self, id: str, suffix: str) -> Path:
        return self._folder / f"{id}.{suffix}"

    def _log(self) -> Path:
        log = self._folder / "workers.log"
        if log.exists() and log.stat().st_size > MAX_LOG_BYTES:
            log.replace(log.with_suffix(".log.1"))
        return log


def _send(record: Record, number: signal.Signals) -> None:
    # Gone between our look at its lock and now.
    with suppress(ProcessLookupError):
        os.kill(record.pid, number)
