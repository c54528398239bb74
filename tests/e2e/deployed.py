"""An account to deploy into, whose instances are processes, and the Internet before it."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from services import MODELS, PATIENCE

from bench import emulators
from bench.local import free_port

MACHINE = Path(__file__).parent / "machine.py"
#: Short: nobody waits for a machine that boots.
SETTINGS = {
    "FACEFLEET_TICK": "0.2",
    "FACEFLEET_INPUT_BUCKET": "deployed-input",
    "FACEFLEET_OUTPUT_BUCKET": "deployed-output",
    "FACEFLEET_STATE_BUCKET": "deployed-state",
    "FACEFLEET_BOOT_TIMEOUT": "60",
}
SERVICES = ("ec2", "autoscaling", "iam", "cloudformation", "sqs", "s3", "dynamodb", "secretsmanager", "logs", "sns")


@dataclass
class Deployed:
    """The command line of whoever deploys, and what they would see in the console."""

    folder: Path
    account: Any
    images: dict[str, str]
    internet: "Internet"
    settings: dict[str, str] = field(default_factory=lambda: dict(SETTINGS))

    @property
    def env(self) -> dict[str, str]:
        # Neither settings nor region of whoever runs the tests.
        plain = {name: value for name, value in os.environ.items() if not name.startswith(("FACEFLEET_", "AWS_"))}
        ours = {"FACEFLEET_DATA": str(self.folder / "data"), "FACEFLEET_URL": self.internet.url}
        return plain | dict(self.account.env) | ours | self.settings

    def command(self, *args: str) -> list[str]:
        return [sys.executable, "-m", "facefleet.cli", *args]

    def cli(self, *args: str, stdin: str = "", **env: str) -> "subprocess.CompletedProcess[str]":
        env = self.env | env
        return subprocess.run(
            self.command(*args), env=env, input=stdin, capture_output=True, text=True, timeout=2 * PATIENCE
        )

    def told(self, *args: str) -> dict[str, Any]:
        """What it says with --json; it must go well."""
        run = self.cli(*args, "--json")
        assert run.returncode == 0, run.stderr
        return dict(json.loads(run.stdout))

    def killed(self, *args: str, once: Callable[[], object]) -> None:
        """Runs it, and kills it in the middle: as soon as that is seen."""
        process = subprocess.Popen(
            self.command(*args), env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            until(lambda: once() or process.poll() is not None, seconds=2 * PATIENCE)
        finally:
            process.kill()
        assert process.wait(PATIENCE) == -signal.SIGKILL, "it had ended by itself"

    def client(self, service: str) -> Any:
        name = service.upper().replace("AUTOSCALING", "AUTO_SCALING").replace("LOGS", "CLOUDWATCH_LOGS")
        name = name.replace("SECRETSMANAGER", "SECRETS_MANAGER")
        keys = {name.lower(): key for name, key in emulators.KEYS.items()}
        return boto3.client(
            service, endpoint_url=self.account.env[f"AWS_ENDPOINT_URL_{name}"], region_name=emulators.REGION, **keys
        )

    def image(self) -> str:
        """What the stack says that machines are made from."""
        (stack,) = self.client("cloudformation").describe_stacks(StackName="facefleet-fleet")["Stacks"]
        return next(one["ParameterValue"] for one in stack["Parameters"] if one["ParameterKey"] == "Image")

    def web_tiers(self) -> int:
        groups = self.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=["facefleet-web"])
        return len(groups["AutoScalingGroups"][0]["Instances"])

    def machines(self, *states: str) -> dict[str, str]:
        """Images of our instances in these states, by their ids."""
        found = self.client("ec2").describe_instances()["Reservations"]
        living = [one for each in found for one in each["Instances"]]
        return {one["InstanceId"]: one["ImageId"] for one in living if one["State"]["Name"] in (states or UP)}


UP = ("pending", "running")


class Internet:
    """Whoever calls the public address gets to the machine that has it: a connection in hand stays where it is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ec2: Any = None
        self._listener = socket.create_server(("127.0.0.1", free_port()))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                caller, _ = self._listener.accept()
                threading.Thread(target=self._lead, args=(caller,), daemon=True).start()

    def _lead(self, caller: socket.socket) -> None:
        with caller, suppress(OSError), socket.create_connection(("127.0.0.1", self._port())) as machine:
            back = threading.Thread(target=_pour, args=(machine, caller), daemon=True)
            back.start()
            _pour(caller, machine)
            back.join()

    def _port(self) -> int:
        for address in self.ec2.describe_addresses()["Addresses"]:
            return int((self.folder / f"{address['InstanceId']}.port").read_text())
        raise ConnectionRefusedError


def _pour(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


@contextmanager
def account(folder: Path) -> Iterator[Deployed]:
    with ExitStack() as opened:
        emulated = opened.enter_context(emulators.account(boot=0.05, end=0.05, stop=0.05))
        internet = Internet(folder)
        opened.callback(internet.close)
        deployed = Deployed(folder, emulated, {}, internet)
        ec2 = internet.ec2 = deployed.client("ec2")
        for name in ("first", "second", "broken"):
            image = ec2.register_image(Name=name, Architecture="x86_64", RootDeviceName="/dev/xvda")
            deployed.images[name] = image["ImageId"]
        env = {name: value for name, value in deployed.env.items() if not name.startswith("FACEFLEET_")}
        emulated.told(
            "/_world",
            {
                "command": [sys.executable, str(MACHINE), str(folder), deployed.images["broken"]],
                "env": env | {"FACEFLEET_MODELS": str(MODELS), "PYTHONPATH": str(Path(__file__).parents[2])},
                "log": str(folder / "machines.log"),
            },
        )
        yield deployed


def until(what: Any, *, seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s"
        time.sleep(0.05)
