"""A private cloud that stands in for OpenStack, as a process, with a worker's process behind each of its servers."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.request import urlopen

import openstack

from bench.emulators import ROOT
from bench.server_processes import Processes
from bench.servers import watched
from facefleet.backends.embedded import WORKER_ENVIRONMENT

SERVER = str(ROOT / "tests" / "nova_cloud.py")
PATIENCE = 60.0
#: It learns its name from its machine's environment: the metadata service of a server is no part of this.
WORKER = ("sh", "-c", 'exec "$0" -m app_tier --instance "$INSTANCE_ID"', sys.executable)
#: Where nobody answers.
NO_METADATA = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:9"}
#: States of a server that runs, or is on its way up or down.
UP = ("BUILD", "ACTIVE")


class OwnCloud(Protocol):
    """A private cloud of a bench. `env` is what openstacksdk needs to speak to it; `settings`: ours, of what it has.

    `held`: see `Plane.held`.
    """

    @property
    def env(self) -> Mapping[str, str]: ...
    @property
    def settings(self) -> Mapping[str, str]: ...
    @property
    def held(self) -> Path: ...

    def up(self) -> list[str]:
        """Servers that run, or are on their way up or down."""

    def switch_off(self) -> None:
        """Its API hangs from now on. Its servers are as they were."""

    def switch_on(self) -> None: ...


@dataclass(frozen=True)
class StandIn:
    """`tests/nova_cloud.py`, as a process."""

    url: str
    env: Mapping[str, str]
    held: Path
    settings: Mapping[str, str] = field(default_factory=dict)

    def told(self, path: str, body: object = None) -> Any:
        """What it answers to a question about itself, also while nobody else gets an answer."""
        data = None if body is None else json.dumps(body).encode()
        with urlopen(f"{self.url}{path}", data, timeout=PATIENCE) as answer:  # noqa: S310  # our own http address
            return json.load(answer)

    def up(self) -> list[str]:
        return [one["id"] for one in self.told("/_servers") if one["status"] in UP]

    def switch_off(self) -> None:
        self.told("/_faults", {"deaf": True})

    def switch_on(self) -> None:
        self.told("/_faults", {"deaf": False})


@contextmanager
def stand_in(folder: Path) -> Iterator[StandIn]:
    """It answers as long as the block lasts. A server takes a second to boot, and as long to stop as its worker."""
    held = folder / "held"
    held.mkdir(parents=True)
    command = [sys.executable, SERVER, "--port", "0", "--clouds", str(folder), "--build", "1", "--start", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603  # our own script
        try:
            url, _, clouds = (process.stdout.readline() if process.stdout else "").strip().partition(" ")
            cloud = StandIn(url, {"OS_CLIENT_CONFIG_FILE": clouds, "OS_CLOUD": "demo"}, held)
            cloud.told("/_world", {"held": str(held)})
            yield cloud
        finally:
            process.terminate()


@contextmanager
def workers_behind(cloud: OwnCloud, env: Mapping[str, str], log: Path) -> Iterator[Processes]:
    """A worker with these settings runs behind each server that does. This process's environment names the cloud."""
    behind = Processes(WORKER, {**env, **WORKER_ENVIRONMENT, **NO_METADATA}, log=log)
    with openstack.connect(cloud="admin") as admin, watched(admin, behind, held=cloud.held):
        yield behind


def kill(behind: Processes, ids: list[str]) -> None:
    """As where the power goes."""
    for id in ids:
        if (pid := behind.pid(id)) is not None:
            os.killpg(pid, signal.SIGKILL)
