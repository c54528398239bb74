"""Every backend behind the ports, empty and of the test's own. A further backend adds its line to `BACKENDS`."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from threading import Event, Lock
from typing import Any
from uuid import uuid4

import botocore.session
import pytest

from bench import emulators
from facefleet.backends import connect
from facefleet.backends.aws.account.resources import ensure
from facefleet.backends.aws.blobs import S3Blobs
from facefleet.backends.aws.clients import Clients, connect_clients
from facefleet.backends.embedded.fleet import ProcessFleet
from facefleet.ports import Backend, Blobs, Fleet, People, Queue
from facefleet.settings import Settings, env_name

from .bare import make_bare
from .iam import Place, place_at
from .workers import NAME, Diary, command

OpenBackend = Callable[..., Backend]
Elsewhere = Callable[..., "subprocess.Popen[str]"]
MakeFleet = Callable[..., Fleet]


def embedded(folder: Path) -> Settings:
    return Settings(data=folder / "data")


def aws(folder: Path) -> Settings:
    own = uuid4().hex[:12]
    return Settings(
        backend="aws",
        data=folder / "data",
        request_queue=f"requests-{own}",
        response_queue=f"responses-{own}",
        input_bucket=f"input-{own}",
        output_bucket=f"output-{own}",
        state_bucket=f"state-{own}",
        people_table=f"people-{own}",
    )


#: By name, what makes settings for a place that no other test shares.
BACKENDS: dict[str, Callable[[Path], Settings]] = {"embedded": embedded, "aws": aws}

#: What a script in another process finds: our backend, as that process opens it.
PREAMBLE = """
import os, sys
from dataclasses import replace
from bench import emulators
from facefleet.backends import connect
from facefleet.backends.aws.clients import connect_clients
from facefleet.backends.aws.account.resources import ensure
from facefleet.backends.embedded.fleet import ProcessFleet
from facefleet.settings import Settings
settings = Settings.from_env(os.environ)
backend = connect(settings)
"""


@pytest.fixture(scope="session")
def store() -> Iterator[emulators.Emulator]:
    """SQS, S3 and DynamoDB, one server for all tests: each has names of its own."""
    with emulators.store() as emulator:
        yield emulator


@pytest.fixture(scope="session")
def cloud() -> Iterator[emulators.Emulator]:
    """EC2 and Auto Scaling, one server for all tests: each has a fleet of its own name."""
    with emulators.cloud() as emulator:
        yield emulator


@pytest.fixture(scope="session")
def one_account() -> Iterator[emulators.AccountEmulator]:
    """Both servers as the account that one deploys into: each test has stacks of its own names."""
    with emulators.account() as account:
        yield account


@pytest.fixture(scope="session")
def iam() -> Iterator[str]:
    """The address of a server that asks IAM: each test has users of its own."""
    with emulators.store(asks_iam=True) as emulator:
        yield emulator.url


@pytest.fixture
def guarded(iam: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """An account that asks IAM, set up by the operator under the operator's policy; so boto3's settings are, too."""
    place = place_at(iam, aws(tmp_path))
    for name, value in place.env("operator").items():
        monkeypatch.setenv(name, value)
    ensure(connect_clients(), place.settings)
    return place


@pytest.fixture(params=list(BACKENDS))
def settings(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    if request.param == "aws":
        # EC2, too, which is tidied with the rest: no test may call a real account.
        for emulator in ("store", "cloud"):
            for name, value in request.getfixturevalue(emulator).env.items():
                monkeypatch.setenv(name, value)
    return BACKENDS[request.param](tmp_path)


@pytest.fixture(scope="session", autouse=True)
def models_read_once() -> Iterator[None]:
    """Of each service's model boto3 reads megabytes for each session: that is most of what a test here would take."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.session, "create_loader", cache(botocore.session.create_loader))
        yield


@pytest.fixture
def open_backend(settings: Settings) -> OpenBackend:
    """`open_backend(visibility_timeout=0.2)`: the test's place; opened again, it is the same one for a newcomer."""

    made: set[Settings] = set()
    making = Lock()

    def open_it(**changes: Any) -> Backend:
        changed = replace(settings, **changes)
        with making:
            if changed.backend == "aws" and changed not in made:
                make_bare(connect_clients(), changed)
                made.add(changed)
        return connect(changed)

    return open_it


@pytest.fixture
def clients(settings: Settings) -> Clients:
    """boto3's, of the test's own: it may meddle in their calls."""
    return connect_clients()


@pytest.fixture
def s3(clients: Clients, settings: Settings) -> Any:
    """One of these, where buckets are there."""
    ensure(clients, settings)
    return clients.s3


@pytest.fixture
def s3_blobs(s3: Any, settings: Settings) -> S3Blobs:
    """By way of `s3`."""
    return S3Blobs.of(settings, s3)


@pytest.fixture
def queue(open_backend: OpenBackend) -> Queue:
    """Leases outlast the test: they end only where it ends them."""
    return open_backend(visibility_timeout=600.0).requests


@pytest.fixture
def blobs(open_backend: OpenBackend) -> Blobs:
    return open_backend().blobs


@pytest.fixture
def people(open_backend: OpenBackend) -> People:
    return open_backend().people


@pytest.fixture
def elsewhere(settings: Settings) -> Iterator[Elsewhere]:
    """Runs a script in another process, where `backend` is ours, or ours with changes; killed at the end if need be."""
    started: list[subprocess.Popen[str]] = []

    def run(script: str, **changes: Any) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-c", PREAMBLE + script],
            env=environment(replace(settings, **changes)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def environment(settings: Settings) -> dict[str, str]:
    """What makes another process read these settings."""
    given = {env_name(f): str(value) for f in fields(settings) if (value := getattr(settings, f.name)) != f.default}
    return {name: value for name, value in os.environ.items() if not name.startswith("FACEFLEET_")} | given


@pytest.fixture
def diary(tmp_path: Path) -> Diary:
    """What the workers of `make_fleet` write into; closed by it."""
    return Diary(tmp_path / "diary")


@pytest.fixture(params=["embedded"])
def make_fleet(tmp_path: Path, diary: Diary) -> Iterator[MakeFleet]:
    """`make_fleet()`; made again, it is what a controller has that has just been started, of the same fleet."""
    env = dict(os.environ) | {"DIARY": str(tmp_path / "diary"), "FACEFLEET_DATA": str(tmp_path)}
    made: list[ProcessFleet] = []

    def make(*, run: list[str] | None = None) -> Fleet:
        made.append(ProcessFleet(tmp_path / "fleet", run or command(), name=NAME, env=env))
        return made[-1]

    yield make
    diary.close()
    for fleet in made:
        # It notes that its processes have ended.
        fleet.instances()


class Watched(Event):
    """A stop flag that tells when a sleeper has looked at it so often that it must be asleep in between."""

    def __init__(self) -> None:
        super().__init__()
        self.looks = 0
        self.slept_over = Event()

    def is_set(self) -> bool:
        self.looks += 1
        if self.looks == 3:
            self.slept_over.set()
        return super().is_set()
