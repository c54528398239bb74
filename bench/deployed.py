"""The service as `facefleet deploy` leaves it, in a region of this machine whose instances boot; see `bench.region`."""

import json
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import requests

from bench.emulators import Emulator
from bench.image import build_image
from bench.local import as_ours, awaited
from bench.region import Region, region
from facefleet.backends import connect
from facefleet.backends.aws.clients import connect_clients
from facefleet.backends.aws.instances import FLEET
from facefleet.ports import Backend
from facefleet.settings import Settings
from facefleet.settingtext import PREFIX

#: States of EC2.
UP, GOING = ("pending", "running"), ("stopping", "shutting-down")
#: Seconds that a command may take: an upgrade waits for machines that boot, and for others that drain.
PATIENCE = 900.0


@dataclass
class Deployed:
    """What stands in a region. `env`: of the operator, who deploys from here."""

    folder: Path
    region: Region
    image: str
    env: dict[str, str]
    told: dict[str, Any] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        return Settings.from_env(self.env)

    @property
    def backend(self) -> Backend:
        return connect(self.settings)

    @property
    def cloud(self) -> Emulator:
        return self.region.cloud

    @property
    def root(self) -> Path:
        """The certificate to trust."""
        return self.folder / "root.crt"

    @property
    def tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.root))

    @property
    def url(self) -> str:
        return str(self.told["url"])

    @property
    def host(self) -> str:
        return self.url.partition("://")[2].rstrip("/")

    def facefleet(self, *arguments: str) -> str:
        """What the command says; raises `RuntimeError` where it fails."""
        with self.begun(*arguments) as process:
            said, complaint = process.communicate(timeout=PATIENCE)
        if process.returncode:
            raise RuntimeError(f"facefleet {' '.join(arguments)}: {(said + complaint)[-2000:]}")
        return said

    def begun(self, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(  # noqa: S603  # our own command, and no shell
            [sys.executable, "-m", "facefleet.cli", *arguments],
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def deploy(self, *more: str) -> None:
        """And from then on commands here find the service, and may ask it."""
        deployed = self.facefleet(
            "deploy", "--yes", "--json", "--image", self.image, "--save-root", str(self.root), "--show-key", *more
        )
        self.told = json.loads(deployed)
        self.env |= {
            f"{PREFIX}URL": self.url,
            f"{PREFIX}API_KEY": self.told["key"],
            "REQUESTS_CA_BUNDLE": str(self.root),
        }

    def get(self, path: str) -> Any:
        headers = {"x-api-key": self.told["key"]}
        return requests.get(
            self.url.rstrip("/") + path, headers=headers, verify=str(self.root), timeout=PATIENCE
        ).json()

    def instances(self) -> list[dict[str, Any]]:
        """All that there ever were."""
        instances: list[dict[str, Any]] = self.cloud.told("/_instances")
        return instances

    def ours(self, *states: str) -> list[str]:
        """Ids of the fleet's instances in these states."""
        found = [one for one in self.instances() if one["tags"].get(FLEET) == self.settings.instance_name]
        return [one["id"] for one in found if one["state"] in states]

    def named(self, name: str, *states: str) -> list[str]:
        """Ids of instances with that name."""
        return [one["id"] for one in self.instances() if one["tags"].get("Name") == name and one["state"] in states]

    def is_at_rest(self) -> bool:
        return not self.backend.requests.depth().backlog and not self.ours(*UP, *GOING)


@contextmanager
def deployed(folder: Path, settings: Mapping[str, str], *more: str, boot: float = 0.0) -> Iterator[Deployed]:
    """Image built, service deployed and ready; all of it ends with the block. `settings`: without the prefix.

    `more`: options of `facefleet deploy`. `boot`: seconds from an instance's start until its machine is switched on,
    and up to as many again.
    """
    with ExitStack() as running:
        made = running.enter_context(region(folder / "region", boot=(boot, boot)))
        env = {**os.environ, **made.env, **names(), **{f"{PREFIX}{name}": value for name, value in settings.items()}}
        running.enter_context(as_ours(env))
        service = Deployed(folder, made, build_image(made), env)
        service.deploy(*more)
        yield service


def names() -> dict[str, str]:
    """Names that are nobody else's."""
    own = uuid4().hex[:8]
    buckets = {f"{PREFIX}{name.upper()}_BUCKET": f"{name}-{own}" for name in ("input", "output", "state")}
    return {f"{PREFIX}BACKEND": "aws", **buckets}


def another_image(service: Deployed, *, spoilt: str = "") -> str:
    """An image as the one that runs, by another name; or with this path missing in it."""
    ec2 = connect_clients().ec2
    (made,) = ec2.run_instances(ImageId=service.image, MinCount=1, MaxCount=1)["Instances"]
    machine = service.region.machine(made["InstanceId"])
    machine.await_boot()
    if spoilt:
        machine.run("rm", "-r", spoilt)
    image: str = ec2.create_image(InstanceId=machine.id, Name=f"another-{machine.id}")["ImageId"]
    awaited(lambda: _state(ec2, image) == "available", "the image is there")
    ec2.terminate_instances(InstanceIds=[machine.id])
    return image


def _state(ec2: Any, image: str) -> str:
    return str(ec2.describe_images(ImageIds=[image])["Images"][0]["State"])


def standing() -> list[str]:
    """What there is on the account that costs money or holds data."""
    clients = connect_clients()
    reservations = clients.ec2.describe_instances()["Reservations"]
    instances = [one for reservation in reservations for one in reservation["Instances"]]
    groups = clients.autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"]
    return [
        *(one["InstanceId"] for one in instances if one["State"]["Name"] != "terminated"),
        *(one["VpcId"] for one in clients.ec2.describe_vpcs()["Vpcs"] if not one["IsDefault"]),
        *(one["PublicIp"] for one in clients.ec2.describe_addresses()["Addresses"]),
        *(one["LaunchTemplateName"] for one in clients.ec2.describe_launch_templates()["LaunchTemplates"]),
        *(one["AutoScalingGroupName"] for one in groups),
        *clients.sqs.list_queues().get("QueueUrls", ()),
        *(one["Name"] for one in clients.s3.list_buckets()["Buckets"]),
        *clients.dynamodb.list_tables()["TableNames"],
    ]
