"""Servers on this machine that speak AWS's protocols, for tests and benches: real boto3 over real sockets.

They run in a virtual environment of their own, `.emulators`, which `make .emulators/done` makes.
"""

import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from bench.local import free_port

ROOT = Path(__file__).parent.parent
PYTHON = ROOT / ".emulators" / "bin" / "python"
SERVERS = ROOT / "tests" / "emulators"
#: Seconds until a server answers, on a machine that is busy.
PATIENCE = 60.0
REGION = "us-east-1"
#: What the product's settings for a real account would be; emulators take any key unless they are told to check.
KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
#: One that both of them know.
IMAGE = "ami-12345678"
ON_STORE = ("SQS", "S3", "DYNAMODB", "STS", "IAM")
ON_CLOUD = ("EC2", "AUTO_SCALING", "SERVICE_QUOTAS")
#: In an account, where roles are those that instances have, and stacks have what both servers hold.
ON_ACCOUNT_STORE = (
    "SQS",
    "S3",
    "DYNAMODB",
    "STS",
    "SECRETS_MANAGER",
    "CLOUDWATCH_LOGS",
    "CLOUDWATCH",
    "SNS",
    "CLOUDFORMATION",
    "BUDGETS",
    "LAMBDA",
    "APIGATEWAYV2",
    "ECR",
)
ON_ACCOUNT_CLOUD = (*ON_CLOUD, "IAM", "SSM", "PRICING")
#: The number of the account that the cloud knows; in an account, the store's too.
ACCOUNT = "123456789012"


@dataclass(frozen=True)
class Site:
    """Where servers run: `entry`, a command that goes before theirs, and the host that they answer at there."""

    host: str = "127.0.0.1"
    entry: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)


HERE = Site()


@dataclass(frozen=True)
class Emulator:
    """A server that runs. `env` is what boto3 needs to speak to it."""

    url: str
    env: Mapping[str, str]
    pid: int

    def told(self, path: str, body: object = None) -> Any:
        """What it answers to a question about itself, which no AWS has."""
        data = None if body is None else json.dumps(body).encode()
        with urlopen(f"{self.url}{path}", data, timeout=PATIENCE) as answer:  # noqa: S310  # our own http address
            return json.load(answer)


@contextmanager
def store(*, asks_iam: bool = False, site: Site = HERE) -> Iterator[Emulator]:
    """SQS, S3 and DynamoDB. `asks_iam`: of everybody but the account's root, whose keys are `KEYS`."""
    env = {"AUTH": "true", "TLS_IN_FRONT": "1"} if asks_iam else {}
    # The keys of its root, which presigned URLs are held against even where it asks for nothing else.
    with _serving("store.py", ON_STORE, env | KEYS, site) as emulator:
        yield emulator


@contextmanager
def cloud(**world: object) -> Iterator[Emulator]:
    """EC2 and Auto Scaling, whose instances take their time: `cloud(boot=5.0, command=[…])`.

    What a world may be told, and how it is changed later, `tests/emulators/cloud.py` says.
    """
    with _serving("cloud.py", ON_CLOUD, {"CLOUD_WORLD": json.dumps(world)}) as emulator:
        yield emulator


@dataclass(frozen=True)
class AccountEmulator:
    """Both servers as one account: `env` has boto3 speak to the one that does it better, for each service."""

    store: Emulator
    cloud: Emulator

    @property
    def env(self) -> Mapping[str, str]:
        return {**self.store.env, **self.cloud.env}

    def told(self, path: str, body: object = None) -> Any:
        """Of the instances' world."""
        return self.cloud.told(path, body)


@contextmanager
def account(*, site: Site = HERE, **world: object) -> Iterator[AccountEmulator]:
    """An account to deploy into: queues, blobs and tables, secrets, logs and alarms, stacks of CloudFormation, and
    the instances of a `cloud(**world)`.
    """
    with (
        _serving("cloud.py", ON_ACCOUNT_CLOUD, {"CLOUD_WORLD": json.dumps(world)}, site) as cloud,
        _serving("store.py", ON_ACCOUNT_STORE, _store_env(cloud), site) as store,
    ):
        yield AccountEmulator(store, cloud)


def _store_env(cloud: Emulator) -> Mapping[str, str]:
    return {"CLOUD_ENDPOINT": cloud.url, "MINISTACK_ACCOUNT_ID": ACCOUNT} | KEYS


@contextmanager
def _serving(script: str, services: tuple[str, ...], env: Mapping[str, str], site: Site = HERE) -> Iterator[Emulator]:
    port = free_port()
    url = f"http://{site.host}:{port}"
    env = {**os.environ, **env, **site.env, "EMULATOR_HOST": site.host}
    with ExitStack() as running:
        process = subprocess.Popen(  # noqa: S603  # our own script
            [*site.entry, PYTHON, SERVERS / script, str(port)], env=env, stdin=subprocess.DEVNULL
        )
        running.callback(_stop, process)
        _await_answer(url, process)
        endpoints = {f"AWS_ENDPOINT_URL_{service}": url for service in services}
        yield Emulator(url, KEYS | {"AWS_DEFAULT_REGION": REGION} | endpoints, process.pid)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(PATIENCE)


def _await_answer(url: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            urlopen(f"{url}/_counts", timeout=PATIENCE).close()  # noqa: S310  # our own http address
            return
        except URLError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"no emulator came up at {url}: run `make .emulators/done`") from None
            time.sleep(0.05)
