"""A small cloud on this machine: an account of emulators whose instances are machines that systemd boots.

Everything is in namespaces of its own: network, processes, mounts. All of it ends with the block, or with who made it.
It needs root, and `make .machines/root .emulators/done`.
"""

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.emulators import ROOT, AccountEmulator, Emulator, Site, account
from bench.local import awaited
from bench.netns import MOST_REGIONS, Network
from bench.nspawn import PATIENCE, cannot, run
from bench.numbers import number_of_own

DEBIAN = ROOT / ".machines" / "root"
WHEELS = ROOT / ".machines" / "wheels"
#: What stands in for cloud-init.
FIRST_BOOT = ROOT / "tests" / "cloud" / "debian"
CGROUPS = Path("/sys/fs/cgroup")
#: The image that Debian publishes, see `tests/emulators/in_region.py`.
SOURCE_IMAGE = "ami-0debian12bookworm"
#: The kernel's limit for all of root's processes, 128 by default: a machine needs about eight.
WATCHES, ENOUGH_WATCHES = Path("/proc/sys/fs/inotify/max_user_instances"), 4096
NAMESPACES = ("--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation=slave")


@dataclass(frozen=True)
class RegionMachine:
    """What an instance runs on, as its owner never sees it."""

    region: "Region"
    id: str

    @property
    def console(self) -> Path:
        """What it wrote on its console since it was launched; also after its end."""
        return self.region.inside / "machines" / self.id / "console"

    @property
    def disk(self) -> Path:
        """What it wrote to its disk, while it has one."""
        return self.region.inside / "machines" / self.id / "upper"

    @property
    def pid(self) -> int | None:
        """Of its first process, as the region counts; None while it is off."""
        found = [one["pid"] for one in self.region.cloud.told("/_instances") if one["id"] == self.id]
        return found[0] if found else None

    @property
    def address(self) -> str:
        """Its private one, which is reached from here."""
        found = [one["ip"] for one in self.region.cloud.told("/_instances") if one["id"] == self.id]
        return str(found[0])

    def run(self, *command: str, seconds: float = PATIENCE) -> str:
        """What it says inside, by root; raises `RuntimeError` where it fails, or the machine is off."""
        pid = self.pid
        if pid is None:
            raise RuntimeError(f"{self.id} is off")
        return self.region.run("nsenter", f"--target={pid}", "--all", "--", *command, seconds=seconds)

    def await_boot(self, *, seconds: float = PATIENCE) -> str:
        """`running`, or `degraded`: systemd has started all that it was told to, or given up on it."""
        early = ("", "offline", "initializing", "starting")
        state: str = awaited(lambda: _unless(self._state(), early), f"{self.id} is up", seconds=seconds)
        return state

    def _state(self) -> str:
        try:
            return self.run("sh", "-c", "systemctl is-system-running || true").strip()
        except (RuntimeError, subprocess.TimeoutExpired):
            return ""


@dataclass(frozen=True)
class Region:
    """`env`: what boto3 needs, here and there. Emulators and machines are reached from here by their addresses."""

    network: Network
    folder: Path
    pid: int
    account: AccountEmulator
    source_image: str = SOURCE_IMAGE

    @property
    def env(self) -> Mapping[str, str]:
        """And that a proxy does not know what is here."""
        return {**self.account.env, "NO_PROXY": ",".join(("127.0.0.1", self.network.router, *self.network.networks))}

    @property
    def store(self) -> Emulator:
        return self.account.store

    @property
    def cloud(self) -> Emulator:
        return self.account.cloud

    @property
    def inside(self) -> Path:
        """The folder of images and disks, as seen from here: it lies in memory, which is mounted there alone."""
        return Path(f"/proc/{self.pid}/root{self.folder}")

    def machine(self, id: str) -> RegionMachine:
        return RegionMachine(self, id)

    def images(self) -> list[str]:
        """Ids of those that were made here."""
        return sorted(path.name for path in (self.inside / "images").iterdir())

    def run(self, *command: str, seconds: float = PATIENCE) -> str:
        """What a command says on the region's router."""
        done = subprocess.run(  # noqa: S603  # no shell
            [*_entry(self.pid), *command], capture_output=True, text=True, timeout=seconds
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)[:500]}: {(done.stdout + done.stderr).strip()[-2000:]}")
        return done.stdout

    def memory(self) -> dict[str, int]:
        """Bytes that each machine has in use, page cache included, by instance."""
        group = CGROUPS / "memory" / f"region{self.network.number}"
        return {path.parent.name: int(path.read_text()) for path in group.glob("*/memory.usage_in_bytes")}


@contextmanager
def region(
    folder: Path,
    *,
    boot: tuple[float, float] = (0.0, 0.0),
    cores: int = 1,
    memory: int = 0,
    binds: Mapping[Path, str] | None = None,
    **world: Any,
) -> Iterator[Region]:
    """An empty account, and machines behind the instances that are launched in it.

    `boot`: seconds from a launch to the power button, at least, and at most so many more. `cores`: of this machine's,
    how many each has, 0 for all; `memory`: MiB that each may use, 0 for no bound; `binds`: paths of this machine, and
    where each machine sees them, read-only; /srv/wheels is there anyway. `world`: see `tests/emulators/cloud.py`.
    """
    if why := cannot():
        raise RuntimeError(why)
    folder.mkdir(parents=True, exist_ok=True)
    allow_watches()
    with ExitStack() as running:
        network = running.enter_context(_network())
        pid = running.enter_context(_namespaces(network, folder))
        machines = {
            "number": network.number,
            "folder": str(folder),
            "debian": [str(folder / "debian"), str(DEBIAN)],
            "cores": cores,
            "memory": memory,
            "options": [f"--bind-ro={path}:{there}" for path, there in _binds(binds or {}).items()],
        }
        site = Site(network.router, _entry(pid), {"CLOUD_MACHINES": json.dumps(machines), "PYTHONPATH": str(ROOT)})
        delay, jitter = boot
        made = running.enter_context(account(site=site, boot=delay, jitter=jitter, **world))
        endpoints = {name: url for name, url in made.env.items() if name.startswith("AWS_ENDPOINT_URL")}
        made.told("/_world", {"env": endpoints})
        yield Region(network, folder, pid, made)


def allow_watches() -> None:
    """For as long as this machine is up: else, of many machines, some would wait for ever, and say nothing."""
    if int(WATCHES.read_text()) < ENOUGH_WATCHES:
        WATCHES.write_text(str(ENOUGH_WATCHES))


def _binds(own: Mapping[Path, str]) -> dict[Path, str]:
    wheels = {WHEELS: "/srv/wheels"} if WHEELS.is_dir() else {}
    return {**wheels, **own}


def _entry(pid: int) -> tuple[str, ...]:
    return ("nsenter", f"--target={pid}", "--net", "--mount", "--pid", "--")


@contextmanager
def _network() -> Iterator[Network]:
    """One that nobody else has now, swept clean of what a killed run left."""
    with number_of_own("region", most=MOST_REGIONS) as own:
        network = Network(own.number)
        _sweep(network)
        try:
            yield network
        finally:
            _sweep(network)


def _sweep(network: Network) -> None:
    """Processes, mounts and networks ended with who made them; control groups stay, and links for a moment."""
    with suppress(RuntimeError):
        run("ip", "link", "delete", network.link)
    for group in CGROUPS.glob(f"*/{network.link}"):
        for folder in sorted(group.rglob("*/"), reverse=True):
            with suppress(OSError):
                folder.rmdir()
        with suppress(OSError):
            group.rmdir()


@contextmanager
def _namespaces(network: Network, folder: Path) -> Iterator[int]:
    """The number of their first process. It ends where its standard input does, and all others with it."""
    disks = f"mount -t tmpfs tmpfs '{folder}'\ncp -r --no-preserve=ownership '{FIRST_BOOT}' '{folder}/debian'\n"
    init = subprocess.Popen(  # noqa: S603  # our own script
        ["unshare", *NAMESPACES, "sh", "-ec", disks + network.init()],  # noqa: S607  # Debian's
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        if init.stdout is None or init.stdout.readline() != "ready\n":
            raise RuntimeError("no region: its network could not be made, see above")
        pid = int(Path(f"/proc/{init.pid}/task/{init.pid}/children").read_text().split()[0])
        network.connect(pid)
        yield pid
    finally:
        # With its input ends the first process, and then all others; after them, this one.
        init.communicate(timeout=PATIENCE)


def _unless(value: str, not_yet: tuple[str, ...]) -> str:
    return "" if value in not_yet else value
