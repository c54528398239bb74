"""What makes the control plane of `bench/openstack_plane.py` ready: network, machine, and what it begins with."""

import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from openstack.connection import Connection

from bench.cage import Cage
from bench.netns import batch
from bench.nspawn import Machine, mount_disk, mount_memory
from bench.numbers import Own

PROJECTS = ("demo", "other")
#: Name, virtual processors, MiB and GiB. The last has a larger disk than the whole hypervisor.
FLAVORS = (("tiny", 1, 512, 1), ("small", 1, 2048, 10), ("huge", 1, 512, 1_000_000))
IMAGE = "debian-12"


@contextmanager
def machine_of(made: Path, folder: Path, own: Own) -> Iterator[tuple[Machine, str]]:
    """Not booted yet, and the address it will have; it ends with the block, or with this process."""
    part, name = folder / "plane", f"plane{own.number}"
    part.mkdir(parents=True)
    cage = Cage(name)
    with cage.guarded(part, own.lock):
        address = _network(name, own.number)
        mount_memory(part)
        disk = mount_disk(part, [made])
        options = (f"--network-namespace-path=/run/netns/{name}", "--resolv-conf=off", "--hostname=controller")
        entry = cage.entry(memory=0, cores=[])
        machine = Machine(name, disk, folder / "plane-console", options=options, entry=entry)
        try:
            yield machine, address
        finally:
            machine.crash()


def _network(name: str, number: int) -> str:
    """The address in it, which is reached from here alone."""
    here, there = f"10.67.{number}.1", f"10.67.{number}.2"
    batch((f"netns add {name}", f"link add {name} type veth peer name host0 netns {name}"))
    batch((f"addr add {here}/30 dev {name}", f"link set {name} up"))
    # Machines behind its servers reach it over this one.
    Path(f"/proc/sys/net/ipv4/conf/{name}/forwarding").write_text("1")
    commands = (
        "link set lo up",
        f"addr add {there}/30 dev host0",
        "link set host0 up",
        f"route add default via {here}",
    )
    batch(commands, namespace=name)
    return there


def write_clouds(path: Path, address: str, password: str) -> None:
    """JSON, which YAML takes as it is; `password`: the administrator's."""
    users = {"admin": password} | {project: secrets.token_urlsafe(12) for project in PROJECTS}
    clouds = {name: _cloud(address, name, secret) for name, secret in users.items()}
    path.touch(mode=0o600)
    path.write_text(json.dumps({"clouds": clouds}, indent=2))


def _cloud(address: str, name: str, password: str) -> dict[str, Any]:
    auth = {"auth_url": f"http://{address}:5000/v3", "username": name, "password": password, "project_name": name}
    domains = {"user_domain_id": "default", "project_domain_id": "default"}
    return {"auth": auth | domains, "region_name": "RegionOne", "identity_api_version": "3"}


def tell_address(machine: Machine, address: str) -> None:
    """To keystone's catalogue, before anybody asks for it."""
    words = f"UPDATE endpoint SET url = REPLACE(url, 'PLANE', '{address}')"  # noqa: S608  # our own number
    machine.run("mariadb", "keystone", "-e", words)


def furnish(admin: Connection, passwords: Mapping[str, str]) -> None:
    """Projects with a user each, who are called as they are; flavors, and an image."""
    for name, password in passwords.items():
        project = admin.create_project(name, domain_id="default")
        user = admin.create_user(name=name, password=password, domain_id="default")
        admin.grant_role("member", user=user.id, project=project.id)
    for name, processors, memory, disk in FLAVORS:
        admin.compute.create_flavor(name=name, vcpus=processors, ram=memory, disk=disk)
    # It is the first of that name; to look for another, openstacksdk uses what it warns of itself.
    kind = {"disk_format": "raw", "container_format": "bare", "visibility": "public"}
    admin.image.create_image(IMAGE, data=b"\0" * 512, allow_duplicates=True, **kind)  # type: ignore[arg-type]
