"""An OpenStack control plane on this machine: keystone, placement, glance, neutron and nova as Debian has them.

One machine that systemd boots, in a network namespace of its own, on a disk that is forgotten afterwards. Its servers
are nova's FakeDriver's: states alone, unless something is kept behind them (`bench/servers.py`). It needs root, and
`make openstack`. Several may be up at a time.
"""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from openstack.connection import Connection

from bench.emulators import ROOT
from bench.local import awaited
from bench.nspawn import Machine, cannot
from bench.numbers import number_of_own
from bench.openstack_making import PROJECTS, furnish, machine_of, tell_address, write_clouds
from bench.servers import OUTAGES

MADE = ROOT / ".machines" / "openstack" / "root"
#: Planes of this machine at a time.
MOST_PLANES = 8
#: Seconds: it boots in about 20 where nobody else needs the processors.
BOOT = 240.0
#: What is reached from outside, by the name of its unit.
DOORS = ("nova-api", "keystone")


@dataclass(frozen=True)
class Plane:
    """`clouds_yaml` has the clouds `admin`, `demo` and `other`: a project each, with a user of its own."""

    machine: Machine
    address: str
    clouds_yaml: Path

    @property
    def env(self) -> dict[str, str]:
        """What openstacksdk needs, in this process or another; but for the name of the cloud."""
        return {"OS_CLIENT_CONFIG_FILE": str(self.clouds_yaml), "NO_PROXY": f"127.0.0.1,{self.address}"}

    def cloud(self, name: str = "demo") -> dict[str, Any]:
        """What clouds.yaml says of it."""
        found: dict[str, Any] = json.loads(self.clouds_yaml.read_text())["clouds"][name]
        return found

    def connect(self, name: str = "demo") -> Connection:
        return Connection(**self.cloud(name), app_name="facefleet-bench")

    def set_quota(self, project: str = "demo", **most: int) -> None:
        """Of a project: `instances=2, cores=…, ram=…`; what is not named stays."""
        with self.connect("admin") as admin:
            admin.set_compute_quotas(project, **most)

    @contextmanager
    def no_room(self) -> Iterator[None]:
        """Nova finds no valid host for new servers; those that are there can be stopped and started."""
        with self.connect("admin") as admin:
            (compute,) = admin.compute.services(binary="nova-compute")
            admin.compute.disable_service(compute)
            try:
                yield
            finally:
                admin.compute.enable_service(compute)

    @contextmanager
    def hung(self) -> Iterator[None]:
        """Everything in it stands still: calls are taken, and not answered."""
        with ExitStack() as stopped:
            for pid in _within(self.machine):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGSTOP)
                    stopped.callback(_resume, pid)
            yield

    @contextmanager
    def off(self) -> Iterator[None]:
        """Nobody listens at its doors: calls are refused at once."""
        self.machine.run("systemctl", "stop", *DOORS)
        try:
            yield
        finally:
            self.machine.run("systemctl", "start", *DOORS)
            self.await_answer()

    @contextmanager
    def crashed(self) -> Iterator[None]:
        """Its machine has no power; it boots again with what is on its disk, servers among it."""
        self.machine.crash()
        try:
            yield
        finally:
            self.machine.boot(seconds=BOOT)
            self.await_answer()

    def await_answer(self) -> None:
        """Returns once it answers to an administrator, and has a hypervisor with room."""
        awaited(self._answers, f"OpenStack answers at {self.address}", seconds=BOOT, every=0.5)

    def _answers(self) -> bool:
        try:
            requests.get(f"http://{self.address}:5000/v3", timeout=5).raise_for_status()
            with self.connect("admin") as admin:
                # In this order: neutron makes tables of what it knows while it answers first.
                list(admin.network.networks())
                list(admin.network.routers())
                list(admin.image.images(limit=1))
                up = [one for one in admin.compute.services(binary="nova-compute") if one.state == "up"]
                return bool(up) and bool(list(admin.compute.hypervisors()))
        except OUTAGES:
            return False

    @property
    def held(self) -> Path:
        """A folder with a file for each server that shall not be called SHUTOFF yet."""
        return self.machine.disk / "var/lib/nova/held"


@contextmanager
def plane(folder: Path) -> Iterator[Plane]:
    """It is up, with two projects, an image and flavors, and ends with the block, or with who made it."""
    if why := missing():
        raise RuntimeError(why)
    with ExitStack() as running:
        own = running.enter_context(number_of_own("plane", most=MOST_PLANES))
        machine, address = running.enter_context(machine_of(MADE, folder, own))
        made = Plane(machine, address, folder / "clouds.yaml")
        write_clouds(made.clouds_yaml, address, (machine.disk / "root/password").read_text().strip())
        machine.boot(seconds=BOOT)
        tell_address(machine, address)
        made.await_answer()
        with made.connect("admin") as admin:
            furnish(admin, {name: made.cloud(name)["auth"]["password"] for name in PROJECTS})
        yield made


def missing() -> str:
    """Why there is none here; empty if one can be booted."""
    return cannot() or ("" if MADE.is_dir() else "needs a control plane: `make openstack`")


def _within(machine: Machine) -> list[int]:
    """Numbers, out here, of all its processes, the first one first."""
    init = machine.init
    if init is None:
        return []
    space = Path(f"/proc/{init}/ns/pid").readlink()
    found = [int(one.name) for one in Path("/proc").iterdir() if one.name.isdigit() and _space(one) == space]
    return [init, *(pid for pid in found if pid != init)]


def _space(process: Path) -> Path | None:
    try:
        return (process / "ns/pid").readlink()
    except OSError:
        return None


def _resume(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)
