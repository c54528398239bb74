"""Machines that systemd boots, behind the servers of an OpenStack: each with a disk, an address and its metadata.

Needs root, and `make .machines/root`. They hang on a bridge of this machine, and reach what listens at its address.
"""

import itertools
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from bench.cage import Cage
from bench.emulators import ROOT
from bench.netns import FIRST_MACHINE, LAST_MACHINE, METADATA, batch, unplug
from bench.nspawn import REBOOT, Machine, cannot, mount_disk, mount_memory, run
from bench.numbers import number_of_own
from bench.region import DEBIAN, WHEELS, allow_watches
from bench.server_metadata import Answer, MetadataService, answer
from bench.server_processes import GRACE
from bench.server_states import Server

#: What stands in for cloud-init.
FIRST_BOOT = ROOT / "tests" / "openstack" / "debian"
#: Bridges of this machine at a time.
MOST_NETWORKS = 4


@dataclass
class Host:
    """What a server runs on, as its owner never sees it. `last`: the end of its address."""

    server: Server
    last: int
    folder: Path
    machine: Machine
    metadata: MetadataService
    #: Whether what is happening to it is somebody's wish.
    is_told: bool = True


@dataclass
class Machines:
    """`layers` of the image that all boot, the topmost first; `images`: of others, by their ids.

    `env`: what every machine has in its environment; `binds`: paths of here, and where each sees them, read-only;
    `cores`: of this machine's, how many each has, 0 for all; `grace`: seconds to stop.
    """

    number: int
    folder: Path
    layers: Sequence[Path]
    images: Mapping[str, Sequence[Path]]
    env: Mapping[str, str]
    binds: Mapping[Path, str]
    cores: int
    grace: float
    _hosts: dict[str, Host] = field(default_factory=dict)
    _given: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _lasts: Iterator[int] = field(default_factory=lambda: itertools.cycle(range(FIRST_MACHINE, LAST_MACHINE)))
    _turns: Iterator[int] = field(default_factory=lambda: itertools.cycle(sorted(os.sched_getaffinity(0))))

    @property
    def router(self) -> str:
        """Where machines reach this one."""
        return self.address_of(1)

    def address_of(self, last: int) -> str:
        return f"10.68.{self.number}.{last}"

    def address(self, id: str) -> str:
        """Of the machine behind this server; it is reached from here."""
        return self.address_of(self._hosts[id].last)

    def machine(self, id: str) -> Machine | None:
        """None before it was first started, and once it is gone."""
        host = self._hosts.get(id)
        return None if host is None else host.machine

    def start(self, server: Server) -> None:
        host = self._hosts.get(server.id)
        if host is None:
            host = self._hosts[server.id] = self._made(server)
        if host.machine.is_up:
            return
        host.machine.power_on()
        host.is_told = False

    def stop(self, id: str) -> None:
        host = self._hosts.get(id)
        if host is not None:
            host.is_told = True
            host.machine.power_off(seconds=self.grace)

    def cut(self, id: str) -> None:
        host = self._hosts.get(id)
        if host is not None:
            host.is_told = True
            host.machine.crash()

    def discard(self, id: str) -> None:
        host = self._hosts.get(id)
        if host is None:
            return
        host.metadata.close()
        unplug(self._name(host.last))
        run("umount", str(host.machine.disk))
        shutil.rmtree(host.folder)
        self._cage(host.last).remove()
        # Last: who has its address next, and who asks whether it is gone, find nothing of it.
        del self._hosts[id]

    def tend(self, server: Server) -> bool:
        """What its metadata service says is what the API does; who asks for another boot has one."""
        host = self._hosts[server.id]
        host.server = server
        if host.is_told or host.machine.is_up:
            return False
        code = host.machine.ended()
        if code == REBOOT:
            host.machine.power_on()
        # A crashed one stays down, and its server ACTIVE: who looks from outside sees no difference.
        return code == 0

    def _made(self, server: Server) -> Host:
        last = self._free_last()
        name, folder = self._name(last), self.folder / server.id
        folder.mkdir()
        disk = mount_disk(folder, self.images.get(server.image, self.layers))
        hostname = re.sub(r"[^a-z0-9-]+", "-", server.name.lower()).strip("-") or "server"
        self._write(disk, hostname)
        self._plug_in(name, last)
        number = next(self._given)

        def ask(path: str) -> Answer:
            host = self._hosts.get(server.id)
            return answer(path, host.server if host else server, address=self.address_of(last), number=number)

        machine = Machine(
            name, disk, folder / "console", options=self._options(name, hostname), entry=self._entry(last)
        )
        return Host(server, last, folder, machine, MetadataService(name, ask))

    def _free_last(self) -> int:
        # A copy, which nobody else changes meanwhile: several servers come at a time.
        taken = {host.last for host in list(self._hosts.values())}
        return next(last for last in itertools.islice(self._lasts, LAST_MACHINE) if last not in taken)

    def _write(self, disk: Path, hostname: str) -> None:
        """What an image does not know: who it is, and where services answer, as systemd in it reads that."""
        (disk / "etc/hostname").write_text(f"{hostname}\n")
        (disk / "etc/hosts").write_text(f"127.0.0.1 localhost\n127.0.1.1 {hostname}\n")
        (disk / "etc/machine-id").write_text(f"{uuid4().hex}\n")
        told = disk / "etc/systemd/system.conf.d/cloud.conf"
        told.parent.mkdir(parents=True, exist_ok=True)
        said = " ".join(f'"{name}={value}"' for name, value in self.env.items())
        told.write_text(f"[Manager]\nDefaultEnvironment={said}\n")

    def _options(self, name: str, hostname: str) -> list[str]:
        binds = [f"--bind-ro={path}:{there}" for path, there in self.binds.items()]
        return [f"--network-namespace-path=/run/netns/{name}", "--resolv-conf=off", f"--hostname={hostname}", *binds]

    def _entry(self, last: int) -> tuple[str, ...]:
        cores = list(itertools.islice(self._turns, self.cores))
        return self._cage(last).entry(memory=0, cores=cores)

    def _cage(self, last: int) -> Cage:
        return Cage(f"{bridge(self.number)}/{last}")

    def _name(self, last: int) -> str:
        return f"servers{self.number}-{last}"

    def _plug_in(self, name: str, last: int) -> None:
        link = f"srv{self.number}-{last}"
        batch((f"netns add {name}", f"link add {link} type veth peer name host0 netns {name}"))
        batch((f"link set {link} up master {bridge(self.number)}",))
        commands = (
            "link set lo up",
            f"addr add {METADATA}/32 dev lo",
            "link set host0 up",
            f"addr add {self.address_of(last)}/24 dev host0",
            f"route add default via {self.router}",
        )
        batch(commands, namespace=name)


def bridge(number: int) -> str:
    """Its name, and that of the control group of all machines there; their networks' begin alike."""
    return f"servers{number}"


@contextmanager
def machines(
    folder: Path,
    *,
    layers: Sequence[Path] = (),
    images: Mapping[str, Sequence[Path]] | None = None,
    env: Mapping[str, str] | None = None,
    binds: Mapping[Path, str] | None = None,
    cores: int = 1,
    grace: float = GRACE,
) -> Iterator[Machines]:
    """None yet. `layers` lie above Debian; all else is said at `Machines`. For `bench.servers.watched`, and to be left
    after it.
    """
    if why := cannot():
        raise RuntimeError(why)
    allow_watches()
    part = folder / "servers"
    part.mkdir(parents=True)
    with number_of_own("servers", most=MOST_NETWORKS) as own, Cage(bridge(own.number)).guarded(part, own.lock):
        _plug(own.number)
        mount_memory(part)
        # Root's, whoever has the project.
        run("cp", "--recursive", "--no-preserve=ownership", str(FIRST_BOOT), str(part / "debian"))
        below = (*layers, part / "debian", DEBIAN)
        wheels = {WHEELS: "/srv/wheels"} if WHEELS.is_dir() else {}
        yield Machines(own.number, part, below, images or {}, env or {}, {**wheels, **(binds or {})}, cores, grace)


def _plug(number: int) -> None:
    """The bridge that all hang on."""
    name = bridge(number)
    # With an address of its own: else it has one of its machines', and another one once that machine is gone.
    hardware = f"address 02:00:00:00:44:{number:02x}"
    batch(
        (f"link add {name} {hardware} type bridge", f"addr add 10.68.{number}.1/24 dev {name}", f"link set {name} up")
    )
    Path(f"/proc/sys/net/ipv4/conf/{name}/forwarding").write_text("1")
