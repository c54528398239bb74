"""Processes behind the servers of an OpenStack."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from bench.server_states import Server

#: Seconds in which Nova expects a guest to shut down, `shutdown_timeout` of
#: <https://docs.openstack.org/nova/zed/configuration/config.html>
GRACE = 60.0
#: Seconds until what was killed is gone.
PATIENCE = 60.0


class Processes:
    """A `command` in `env` behind each server; it learns its server as `INSTANCE_ID`.

    `grace`: seconds from SIGTERM to SIGKILL; `log`: a file that all of them write into.
    """

    def __init__(
        self, command: Sequence[str], env: Mapping[str, str], *, grace: float = GRACE, log: Path = Path(os.devnull)
    ):
        self._command, self._env, self._grace, self._log = command, env, grace, log
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, server: Server) -> None:
        if self.pid(server.id) is not None:
            return
        with self._log.open("ab") as log:
            self._processes[server.id] = subprocess.Popen(  # noqa: S603  # what a test gives, and no shell
                # It goes with who made it.
                ["setpriv", "--pdeathsig=KILL", "--", *self._command],  # noqa: S607  # Debian's
                env={**os.environ, **self._env, "INSTANCE_ID": server.id},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def stop(self, id: str) -> None:
        process = self._processes.get(id)
        if process is None:
            return
        _signal(process, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(self._grace)
        self.cut(id)

    def cut(self, id: str) -> None:
        process = self._processes.get(id)
        if process is None:
            return
        # All that it started, too: the machine is off.
        _signal(process, signal.SIGKILL)
        process.wait(PATIENCE)

    def discard(self, id: str) -> None:
        self._processes.pop(id, None)

    def tend(self, server: Server) -> bool:
        """A process that ends is no machine that does."""
        return False

    def pid(self, id: str) -> int | None:
        """Its number, while it runs."""
        process = self._processes.get(id)
        return process.pid if process is not None and process.poll() is None else None


def _signal(process: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    # Gone meanwhile, and all of its group.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
