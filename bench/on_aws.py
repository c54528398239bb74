"""The service on AWS's emulators: tiers are processes of this machine, and so is the worker of each EC2 instance."""

import itertools
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import requests

from bench import emulators
from bench.emulators import IMAGE, Emulator
from bench.local import PATIENCE, as_ours, awaited, free_port
from facefleet.backends import connect
from facefleet.backends.aws.clients import connect_clients
from facefleet.backends.aws.fleet import Ec2Fleet
from facefleet.backends.aws.instances import FLEET
from facefleet.backends.embedded import WORKER_ENVIRONMENT
from facefleet.model import InstanceState
from facefleet.ports import Backend
from facefleet.settings import Settings
from facefleet.settingtext import PREFIX

TIERS = ("web_tier", "controller")
#: States of EC2.
UP, GOING = ("pending", "running"), ("stopping", "shutting-down")


@dataclass
class OnAws:
    """A service, its tiers started and killed one by one. `env` is that of its processes, and of this one meanwhile."""

    folder: Path
    store: Emulator
    cloud: Emulator
    env: dict[str, str]
    tiers: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        return Settings.from_env(self.env)

    @property
    def url(self) -> str:
        return self.settings.service_url

    @property
    def backend(self) -> Backend:
        return connect(self.settings)

    def run(self, *command: str) -> None:
        """`python -m …`, to its end; raises `RuntimeError` with what it said."""
        done = subprocess.run(  # noqa: S603  # our own command, and no shell
            [sys.executable, "-m", *command], env=self.env, capture_output=True, text=True, timeout=PATIENCE
        )
        if done.returncode:
            raise RuntimeError(f"{command} failed: {done.stderr[-1000:]}")

    def start(self, tier: str) -> None:
        with (self.folder / f"{tier}.log").open("ab") as log:
            self.tiers[tier] = subprocess.Popen(  # noqa: S603  # our own command, and no shell
                [sys.executable, "-m", tier], env=self.env, stdout=log, stderr=log, start_new_session=True
            )

    def kill(self, tier: str) -> None:
        """`kill -9` of all its processes."""
        process = self.tiers.pop(tier)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def stop(self) -> None:
        for process in self.tiers.values():
            process.terminate()
        for process in self.tiers.values():
            process.wait(PATIENCE)

    def get(self, path: str) -> Any:
        return requests.get(self.url + path, timeout=PATIENCE).json()

    def is_ready(self) -> bool:
        try:
            return requests.get(f"{self.url}/readyz", timeout=PATIENCE).ok
        except requests.ConnectionError:
            return False

    def enrol(self, people: Path) -> None:
        """A folder for each person, as `facefleet enrol` takes it."""
        self.run("facefleet.cli", "enrol", str(people))

    def instances(self) -> list[dict[str, Any]]:
        """All that there ever were, foreign ones too."""
        instances: list[dict[str, Any]] = self.cloud.told("/_instances")
        return instances

    def ours(self, *states: str) -> list[str]:
        """Ids of our instances in these states."""
        found = [one for one in self.instances() if one["tags"].get(FLEET) == self.settings.instance_name]
        return [one["id"] for one in found if one["state"] in states]

    def is_at_rest(self) -> bool:
        """Queue empty, no instance up: where it began, and where it must end."""
        return not self.backend.requests.depth().backlog and not self.ours(*UP, *GOING)

    def limit_messages(self, most: int) -> None:
        """Sets what a message may hold, as a grader does it: on the queue itself."""
        sqs, name = connect_clients().sqs, self.settings.request_queue
        url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"MaximumMessageSize": str(most)})

    def calls(self) -> dict[str, int]:
        """How many each operation had so far: `sqs SendMessage`, `ec2 RunInstances`."""
        counts: dict[str, int] = self.store.told("/_counts")
        return counts | {f"ec2 {name}": count for name, count in self.cloud.told("/_counts").items()}


@contextmanager
def service_on_aws(
    folder: Path, settings: Mapping[str, str], *, stopped: int = 0, foreign: int = 0, boot: float = 1.0
) -> Iterator[OnAws]:
    """Web tier and controller, ready, with so many instances in the warm pool; everything ends with the block.

    `settings`: as in the environment, without the prefix. `foreign`: instances of others that run on the same account.
    `boot`: seconds from an instance's start until its worker's process is started.
    """
    with ExitStack() as running:
        store = running.enter_context(emulators.store())
        cloud = running.enter_context(emulators.cloud())
        env = _env(folder, store, cloud, settings)
        running.enter_context(as_ours(env))
        service = OnAws(folder, store, cloud, env)
        service.run("facefleet.cli", "setup", "--yes")
        _fill_pool(service.settings, stopped)
        _bring_others(foreign)
        double = [sys.executable, "-m", "app_tier"]
        log = str(folder / "workers.log")
        cloud.told("/_world", {"boot": boot, "command": double, "env": {**env, **WORKER_ENVIRONMENT}, "log": log})
        running.callback(service.stop)
        for tier in TIERS:
            service.start(tier)
        awaited(service.is_ready, "the service is ready")
        yield service


def _env(folder: Path, store: Emulator, cloud: Emulator, settings: Mapping[str, str]) -> dict[str, str]:
    own = uuid4().hex[:8]
    ours = {
        "BACKEND": "aws",
        "DATA": str(folder / "data"),
        "PORT": str(free_port()),
        "INPUT_BUCKET": f"input-{own}",
        "OUTPUT_BUCKET": f"output-{own}",
        "STATE_BUCKET": f"state-{own}",
    }
    given = {f"{PREFIX}{name}": value for name, value in {**ours, **settings}.items()}
    # A company's proxy does not know our loopback.
    return {**os.environ, **store.env, **cloud.env, **given, "NO_PROXY": "127.0.0.1"}


def _fill_pool(settings: Settings, count: int) -> None:
    """Instances as `facefleet deploy --warm` leaves them: made, and stopped."""
    ec2 = connect_clients().ec2
    image = {"ImageId": IMAGE, "InstanceType": settings.instance_types.partition(",")[0]}
    ec2.create_launch_template(LaunchTemplateName=settings.launch_template, LaunchTemplateData=image)
    fleet = Ec2Fleet(ec2, settings)
    ids = [fleet.launch(secrets.token_hex(16), fleet.offers[0]) for _ in range(count)]

    def rest() -> bool:
        fleet.retire(ids)
        return all(one.state is InstanceState.STOPPED for one in fleet.instances())

    awaited(rest, "the warm pool is full")


def _bring_others(count: int) -> None:
    """Instances without a tag, and of another fleet, in turns."""
    ec2 = connect_clients().ec2
    theirs = itertools.cycle([("Name", "app-tier-instance-x"), (FLEET, "somebody-elses")])
    for key, value in itertools.islice(theirs, count):
        tags = [{"Key": key, "Value": value}]
        specified = [{"ResourceType": "instance", "Tags": tags}]
        ec2.run_instances(ImageId=IMAGE, MinCount=1, MaxCount=1, TagSpecifications=specified)
