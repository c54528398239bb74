"""A machine that runs facefleet as `systemd/install.sh` leaves it."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from services import Service, until

from bench.emulators import IMAGE, Emulator, cloud, store
from bench.local import free_port
from facefleet.backends.aws.account.resources import ensure
from facefleet.backends.aws.clients import connect_clients
from facefleet.settings import Settings

from . import nspawn
from .nspawn import PACKAGES, PROJECT, Machine

HOME = "/opt/facefleet"
ENV = "etc/facefleet/facefleet.env"
UNITS = ("facefleet-web.service", "facefleet-controller.service", "facefleet-workers.target")
WORKERS = tuple(f"facefleet-worker@{core}.service" for core in range(len(os.sched_getaffinity(0))))
#: What EC2 would call the machine.
INSTANCE = "i-0123456789abcdef0"


@dataclass(frozen=True)
class Place:
    """Where facefleet keeps what it keeps: what its settings file says. `ec2`: that of the place, if it has one."""

    port: int
    env: dict[str, str]
    ec2: Emulator | None = None


@pytest.fixture(scope="module")
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    port = free_port()
    ours = {"FACEFLEET_BACKEND": request.param, "FACEFLEET_PORT": str(port), "FACEFLEET_MAX_INSTANCES": "1"}
    if request.param == "embedded":
        yield Place(port, ours)
        return
    with store() as kept, cloud() as ec2:
        env = ours | dict(kept.env) | dict(ec2.env)
        set_up(env)
        yield Place(port, env | {"AWS_EC2_METADATA_SERVICE_ENDPOINT": f"{ec2.url}/imds/{INSTANCE}"}, ec2)


def set_up(env: dict[str, str]) -> None:
    """The account as workers of a fleet find it."""
    with pytest.MonkeyPatch.context() as own:
        for name, value in env.items():
            own.setenv(name, value)
        settings, clients = Settings.from_env(env), connect_clients()
        ensure(clients, settings)
        image = {"ImageId": IMAGE, "InstanceType": "t3.medium"}
        clients.ec2.create_launch_template(LaunchTemplateName=settings.launch_template, LaunchTemplateData=image)


@pytest.fixture(scope="module")
def machine(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    if why := nspawn.cannot():
        pytest.skip(why)
    with nspawn.machine(tmp_path_factory.mktemp("machine")) as machine:
        machine.boot()
        yield machine


@pytest.fixture(scope="module")
def service(place: Place, machine: Machine, photos: Path) -> Service:
    """facefleet on that machine, installed and started; obama and biden are enrolled."""
    service = Service(machine.disk, place.port)
    install(machine, place.env)
    service.await_ready()
    for person in ("obama", "biden"):
        assert service.enrol(person, photos / f"{person}.jpg").status_code == 201
    return service


def install(machine: Machine, settings: dict[str, str]) -> None:
    """As an operator does it, but that Python's packages are those of the project, seen through a path."""
    machine.run("python3", "-m", "venv", "--without-pip", HOME)
    paths = machine.disk / HOME[1:] / "lib/python3.11/site-packages/project.pth"
    paths.write_text(f"{PACKAGES}\n{PROJECT}\n")
    env = machine.disk / ENV
    env.parent.mkdir()
    env.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    machine.run(f"{PROJECT}/systemd/install.sh")
    await_active(machine)


def await_active(machine: Machine) -> None:
    for unit in (*WORKERS, *UNITS):
        until(lambda unit=unit: machine.shows(unit, "ActiveState") == "active", say=f"{unit} active")
