"""What stands in for the machine behind an instance: a process that runs while EC2 would say that the machine does."""

import os
import signal
import subprocess
import threading
from contextlib import suppress


class Doubles:
    """`command` in `env`, for each instance by its id; empty: nothing runs, and instances are states alone.

    `grace`: seconds from SIGTERM to SIGKILL; `log`: a file that all of them write into.
    """

    def __init__(self) -> None:
        self.command: list[str] = []
        self.env: dict[str, str] = {}
        self.grace = 10.0
        self.log = os.devnull
        self._lock = threading.Lock()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def admit(self, instance) -> None:
        """One that is to be started, the first time or again."""

    def forget(self, id: str) -> None:
        """It is terminated."""

    def reboot(self, id: str) -> None:
        """A process is not rebooted."""

    def start(self, id: str, metadata: str) -> None:
        if not self.command:
            return
        own = {"INSTANCE_ID": id, "AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata}
        with open(self.log, "ab") as log, self._lock:  # noqa: PTH123  # os.devnull is no path to open by
            self._processes[id] = subprocess.Popen(
                self.command,
                env=os.environ | self.env | own,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def drain(self, id: str) -> None:
        """Returns once it has ended: SIGTERM first, as systemd does, and SIGKILL after the grace."""
        process = self._processes.get(id)
        if process is not None and process.poll() is None:
            _signal(process, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(self.grace)
            self.kill(id)

    def kill(self, id: str) -> None:
        with self._lock:
            process = self._processes.pop(id, None)
        if process is not None:
            # All that it started, too: the machine is off.
            _signal(process, signal.SIGKILL)
            process.wait()

    def alive(self, id: str) -> int | None:
        """Its process number; None where it has ended."""
        process = self._processes.get(id)
        return process.pid if process is not None and process.poll() is None else None

    def kill_all(self) -> None:
        for id in list(self._processes):
            self.kill(id)


def _signal(process: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    # Gone meanwhile, and all of its group.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
