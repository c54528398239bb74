"""A fleet of worker processes on this machine. Their locks and records lie in a folder, so any controller finds them.

A process lives as long as its lock is held: the lock is inherited, and dies with it, however it dies. No process
number is trusted that an old process may have left behind.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from facefleet.backends.embedded import launch
from facefleet.lock import exclusively, take
from facefleet.model import Instance, InstanceState

#: The workers' log file starts afresh beyond this; the one before is kept.
MAX_LOG_BYTES = 10_000_000
#: From letting go of its files to its end a process takes milliseconds.
EXIT_TIMEOUT = 10.0
#: Digits of the token that name its instance: two of a million tokens would share a name once in a thousand years.
ID_DIGITS = 8


@dataclass(frozen=True, slots=True)
class Record:
    """What a process wrote about itself, before it became a worker."""

    pid: int
    launched_at: float


class ProcessFleet:
    """Runs `command` + [instance id]."""

    #: There is only one kind: a process of this machine.
    offers = ("process",)
    #: A process that has ended is gone.
    can_rest = ()
    shares = ()
    #: What was done is seen by the next look.
    settles_after = 0.0
    at_once = 1

    def __init__(self, folder: Path, command: Sequence[str], *, name: str, env: dict[str, str]) -> None:
        self._folder = folder
        self._command = list(command)
        self._name = name
        self._env = env
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def instances(self) -> list[Instance]:
        return [instance for id in self._living() if (instance := self._instance(id)) is not None]

    def launch(self, token: str, offer: str) -> str:
        """A token is used up only while its process lives: nothing stays of one that is gone, not even its token."""
        id = f"{self._name}-{token[:ID_DIGITS]}"
        # Alone: a lock that is being made is not held yet, and must not look abandoned.
        with exclusively(self._folder / "making.lock"), suppress(BlockingIOError):
            self._launch(id, token)
        return id

    def start(self, ids: list[str]) -> None:
        """Nothing: a process that has ended is gone, so none waits to be started."""

    def retire(self, ids: list[str]) -> None:
        for id in set(ids) & set(self._living()):
            self._retire(id)

    def end(self, ids: list[str]) -> None:
        for id in set(ids) & set(self._living()):
            if record := self._record(id):
                _send(record, signal.SIGKILL)
            elif child := self._children.get(id):
                # It was cut off before it could write its record.
                child.kill()

    def _launch(self, id: str, token: str) -> None:
        with take(self._path(id, "lock")) as lock, self._log().open("ab") as log:
            # What an earlier process of this token left behind.
            self._bury({id} & self._children.keys())
            self._remove(id, "json", "draining")
            # When it was launched, and for what: the time of the file, and its words.
            lock.truncate(0)
            lock.write(token)
            lock.flush()
            self._children[id] = subprocess.Popen(  # noqa: S603  # our own command, and no shell
                [sys.executable, "-I", "-S", launch.__file__, str(self._path(id, "json")), *self._command, id],
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C in a terminal goes to the tiers, and they drain this one in order.
                start_new_session=True,
                pass_fds=[lock.fileno()],
            )

    def _retire(self, id: str) -> None:
        record, draining = self._record(id), self._path(id, "draining")
        if record is None:
            # It has not come to life yet; who wants it gone will ask again.
            return
        if not draining.exists():
            draining.touch()
            _send(record, signal.SIGTERM)

    def _living(self) -> list[str]:
        """Ids of the processes that live; what others left behind is removed."""
        living = []
        with exclusively(self._folder / "making.lock"):
            for lock in sorted(self._folder.glob(f"{self._name}-*.lock")):
                if self._is_held(lock):
                    living.append(lock.stem)
                else:
                    self._remove(lock.stem, "draining", "json", "lock")
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

    def _remove(self, id: str, *suffixes: str) -> None:
        for suffix in suffixes:
            self._path(id, suffix).unlink(missing_ok=True)

    def _instance(self, id: str) -> Instance | None:
        """As its files tell; None if another process found it gone meanwhile, and removed them."""
        record, lock, draining = self._record(id), self._path(id, "lock"), self._path(id, "draining")
        try:
            launched_at, token = lock.stat().st_mtime, lock.read_text()
            if record is None:
                return Instance(id, InstanceState.PENDING, launched_at, launched_at, token=token)
            if draining.exists():
                return Instance(id, InstanceState.DRAINING, draining.stat().st_mtime, launched_at, token=token)
        except FileNotFoundError:
            return None
        return Instance(id, InstanceState.RUNNING, record.launched_at, launched_at, token=token)

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
