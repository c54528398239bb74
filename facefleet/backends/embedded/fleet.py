"""A fleet of worker processes on this machine. Their records lie in a folder, so any controller finds them."""

import json
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import psutil

from facefleet.model import Instance, InstanceState

#: The workers' log file starts afresh beyond this; the one before is kept.
MAX_LOG_BYTES = 10_000_000


@dataclass(frozen=True, slots=True)
class Record:
    """What is remembered of a process. Number and start time together name it, however numbers are reused."""

    pid: int
    started: float
    launched_at: float
    draining_since: float | None = None


class ProcessFleet:
    """Runs `command` + [instance id]. `grace`: seconds that a draining process may take until it is killed."""

    def __init__(self, folder: Path, command: Sequence[str], *, name: str, env: dict[str, str], grace: float) -> None:
        self._folder = folder
        self._command = list(command)
        self._name = name
        self._env = env
        self._grace = grace
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._adopted = False
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def instances(self) -> list[Instance]:
        self._adopt()
        return [_instance(id, record) for id, record in self._living().items()]

    def launch(self, count: int) -> None:
        for _ in range(count):
            self._launch(f"{self._name}-{secrets.token_hex(4)}")

    def retire(self, ids: list[str]) -> None:
        living = self._living()
        for id in ids:
            if id in living:
                self._retire(id, living[id])

    def _launch(self, id: str) -> None:
        with self._log().open("ab") as log:
            # Its own session: Ctrl-C in a terminal goes to the tiers, and they drain it in order.
            process = subprocess.Popen(  # noqa: S603  # our own command, and no shell
                [*self._command, id],
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._children[id] = process
        with suppress(psutil.NoSuchProcess):
            self._save(id, Record(process.pid, psutil.Process(process.pid).create_time(), time.time()))

    def _retire(self, id: str, record: Record) -> None:
        now = time.time()
        if record.draining_since is None:
            self._save(id, replace(record, draining_since=now))
            _send(record, signal.SIGTERM)
        elif now - record.draining_since > self._grace:
            _send(record, signal.SIGKILL)

    def _living(self) -> dict[str, Record]:
        """Records by instance id; those of processes that are gone are removed."""
        for id, child in list(self._children.items()):
            # Asked, so that a dead child does not stay as a zombie.
            if child.poll() is not None:
                del self._children[id]
        living = {}
        for path in sorted(self._folder.glob("*.json")):
            record = _load(path)
            if record is not None and _process(record) is not None:
                living[path.stem] = record
            else:
                path.unlink(missing_ok=True)
        return living

    def _adopt(self) -> None:
        """Once: finds processes that a controller launched and did not live to record."""
        if self._adopted:
            return
        self._adopted = True
        known = self._living()
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                id = self._stray(process)
                if id is not None and id not in known:
                    self._save(id, Record(process.pid, process.create_time(), process.create_time()))

    def _stray(self, process: psutil.Process) -> str | None:
        """The instance id of a process that runs our command on our data folder."""
        *command, id = process.cmdline() or [""]
        if command != self._command or not id.startswith(f"{self._name}-"):
            return None
        return id if process.environ().get("FACEFLEET_DATA") == self._env.get("FACEFLEET_DATA") else None

    def _save(self, id: str, record: Record) -> None:
        path = self._folder / f"{id}.json"
        making = path.with_suffix(".new")
        making.write_text(json.dumps(asdict(record)))
        making.replace(path)

    def _log(self) -> Path:
        log = self._folder / "workers.log"
        if log.exists() and log.stat().st_size > MAX_LOG_BYTES:
            log.replace(log.with_suffix(".log.1"))
        return log


def _instance(id: str, record: Record) -> Instance:
    if record.draining_since is not None:
        return Instance(id, InstanceState.DRAINING, record.draining_since)
    return Instance(id, InstanceState.RUNNING, record.launched_at)


def _load(path: Path) -> Record | None:
    try:
        return Record(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _process(record: Record) -> psutil.Process | None:
    """The process of that record, unless it is gone, a zombie, or another one under the same number."""
    try:
        process = psutil.Process(record.pid)
        alive = abs(process.create_time() - record.started) < 0.02 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return None
    return process if alive else None


def _send(record: Record, number: signal.Signals) -> None:
    if _process(record) is not None:
        with suppress(ProcessLookupError):
            os.kill(record.pid, number)
