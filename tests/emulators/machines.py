"""Behind each instance a machine that systemd boots, with an address and a disk of its own above its image's layers.

It runs inside a region (`bench/region.py`), as root. A crashed machine stays down, and its instance `running`: the
kernel of Debian's image halts where it panics, and EC2 does not look.
"""

import itertools
import os
import shutil
import threading
from pathlib import Path

from hosts import Host

from bench.cage import Cage
from bench.netns import FIRST_MACHINE, LAST_MACHINE, Network, lead, unplug
from bench.nspawn import REBOOT, Machine, mount_disk, run

#: Seconds to copy a disk.
COPYING = 300.0


class Machines:
    """As `Doubles`, whose words it speaks. `env`: what every machine has in its environment; `grace`: seconds to stop.

    `folder`: where images and disks lie, never on an overlay; `debian`: the layers of the image that all begin with;
    `cores`: that each machine has, 0 for all; `memory`: MiB that each may have, 0 for all; `options`: nspawn's own.
    """

    def __init__(
        self, world, *, number: int, folder: str, debian: list[str], cores: int, memory: int, options: list[str]
    ) -> None:
        self.command: list[str] = []
        self.env: dict[str, str] = {}
        self.grace = 120.0
        self.log = os.devnull
        self.network = Network(number)
        self._world, self._folder, self._options = world, Path(folder), options
        self._cores, self._memory = cores, memory
        self._debian = [self._folder / "region", *map(Path, debian)]
        self._hosts: dict[str, Host] = {}
        self._images: dict[str, list[Path]] = {}
        self._lasts = itertools.cycle(range(FIRST_MACHINE, LAST_MACHINE))
        self._turns = itertools.cycle(sorted(os.sched_getaffinity(0)))
        for part in ("region", "images", "machines"):
            (self._folder / part).mkdir()

    def admit(self, instance) -> None:
        """It is given its address, which it keeps to its end."""
        if instance.id in self._hosts:
            return
        taken = {host.last for host in self._hosts.values()}
        last = next(number for number in itertools.islice(self._lasts, LAST_MACHINE) if number not in taken)
        layers = self._images.get(instance.image_id, self._debian)
        self._hosts[instance.id] = Host(last, layers, self._folder / "machines" / instance.id)
        interface = instance.nics[0]
        interface.private_ip_address = self.network.private(last)
        interface.private_ip_addresses = [{"Primary": True, "PrivateIpAddress": self.network.private(last)}]
        interface.check_auto_public_ip()

    def public_address(self, id: str) -> str | None:
        """The one that it has of itself, where it has one."""
        return self.network.auto(self._hosts[id].last) if id in self._hosts else None

    def named(self, address: str) -> str | None:
        """The instance that has this private address."""
        hosts = list(self._hosts.items())
        return next((id for id, host in hosts if self.network.private(host.last) == address), None)

    def start(self, id: str, metadata: str) -> None:
        host = self._hosts[id]
        host.then(self._start, id, host)

    def _start(self, id: str, host: Host) -> None:
        # Before its disk is mounted: what lies below must not change afterwards.
        self._tell_environment()
        if host.machine is None:
            host.machine = self._made(id, host)
        if host.watcher is not None:
            host.watcher.join()
        host.is_told = False
        host.machine.power_on()
        host.watcher = threading.Thread(target=self._watch, args=(id, host, host.machine), daemon=True)
        host.watcher.start()

    def _made(self, id: str, host: Host) -> Machine:
        host.folder.mkdir()
        disk = mount_disk(host.folder, host.layers)
        name = f"ip-{self.network.private(host.last).replace('.', '-')}"
        (disk / "etc/hostname").write_text(f"{name}\n")
        (disk / "etc/hosts").write_text(f"127.0.0.1 localhost\n127.0.1.1 {name}\n")
        self.network.plug_in(id, host.last)
        options = (f"--network-namespace-path=/run/netns/{id}", "--resolv-conf=off", f"--hostname={name}")
        cores = list(itertools.islice(self._turns, self._cores))
        entry = self._cage(id).entry(memory=self._memory, cores=cores)
        return Machine(name, disk, host.folder / "console", options=(*options, *self._options), entry=entry)

    def _cage(self, id: str) -> Cage:
        return Cage(f"{self.network.link}/{id}")

    def _tell_environment(self) -> None:
        """As systemd in every machine reads it: where this region's AWS answers. Their images know nothing of it."""
        told = self._folder / "region" / "etc/systemd/system.conf.d/region.conf"
        told.parent.mkdir(parents=True, exist_ok=True)
        said = " ".join(f'"{name}={value}"' for name, value in self.env.items())
        text = f"[Manager]\nDefaultEnvironment={said}\n"
        if not told.exists() or told.read_text() != text:
            told.write_text(text)

    def _watch(self, id: str, host: Host, machine: Machine) -> None:
        """It may go down, or boot again, by itself."""
        code = machine.ended(None)
        if host.is_told:
            return
        if code == REBOOT:
            host.then(self._start, id, host)
        elif code == 0:
            # Apart, since who holds the world's lock may wait for this machine.
            threading.Thread(target=self._world.powered_off, args=(id,), daemon=True).start()

    def drain(self, id: str) -> None:
        """Returns once it is down: in order, or after the grace."""
        if id in self._hosts:
            self._hosts[id].then(self._hosts[id].off, self.grace).result()

    def kill(self, id: str) -> None:
        host = self._hosts.get(id)
        if host is not None:
            host.cut()
            # It may have been about to start.
            host.then(host.cut).result()

    def reboot(self, id: str) -> None:
        """In order, if it still answers to its button."""
        host = self._hosts[id]
        host.then(host.off, self.grace)
        host.then(self._start, id, host)

    def forget(self, id: str) -> None:
        """Its end: disk and address are free."""
        host = self._hosts.pop(id, None)
        if host is not None:
            host.then(self._discard, id, host)
            host.close()

    def _discard(self, id: str, host: Host) -> None:
        if host.machine is None:
            return
        host.cut()
        unplug(id)
        run("umount", str(host.machine.disk))
        for part in ("upper", "work", "disk"):
            shutil.rmtree(host.folder / part)
        self._cage(id).remove()

    def image(self, id: str, image: str, done) -> None:
        """What is on the instance's disk becomes an image, its machine down meanwhile; then it is `done`."""
        host = self._hosts[id]
        host.then(self._image, host, id, image, done)

    def _image(self, host: Host, id: str, image: str, done) -> None:
        was_up = host.is_up
        if was_up:
            host.off(self.grace)
        layer = self._folder / "images" / image
        run("cp", "--archive", str(host.folder / "upper"), str(layer), seconds=COPYING)
        self._images[image] = [host.layers[0], layer, *host.layers[1:]]
        if was_up:
            self._start(id, host)
        done()

    def copy_image(self, image: str, copied: str) -> None:
        self._images[copied] = self._images.get(image, self._debian)

    def lead(self, addresses: dict[str, str]) -> None:
        """Elastic IPs, by the ids of instances that they lead to."""
        lead({ip: self.network.private(self._hosts[id].last) for ip, id in addresses.items() if id in self._hosts})

    def alive(self, id: str) -> int | None:
        """The number, in the region, of its first process."""
        host = self._hosts.get(id)
        return host.machine.init if host is not None and host.machine is not None else None

    def kill_all(self) -> None:
        """All ends with the region."""
