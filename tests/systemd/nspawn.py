"""A machine booted by systemd in a container (systemd-nspawn), on a disk of its own above a Debian that all share.

Its network is the host's: servers on loopback are reached both ways.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from services import until

ROOT = Path(__file__).parent.parent.parent
DEBIAN = ROOT / ".machines" / "root"
#: Where the project and its libraries are seen inside, instead of being installed from the network each time.
PROJECT, PACKAGES = "/srv/facefleet", "/srv/packages"
#: What nspawn ends with when the machine asks to be booted again.
REBOOT = 133
PATIENCE = 60.0


class Machine:
    """`disk` is what it wrote; it stays over a reboot, as a real one's."""

    def __init__(self, disk: Path) -> None:
        self.disk = disk
        self._console = (disk.parent / "console").open("ab")
        self._nspawn: subprocess.Popen[bytes] | None = None

    @property
    def is_up(self) -> bool:
        return self._nspawn is not None and self._nspawn.poll() is None

    def boot(self) -> None:
        """Returns once systemd has started all that it was told to, or given up on it."""
        packages = ROOT / ".venv/lib/python3.11/site-packages"
        self._nspawn = subprocess.Popen(
            [
                *("systemd-nspawn", "--boot", "--directory", self.disk, "--machine", f"test-{os.getpid()}"),
                *("--register=no", "--keep-unit", "--kill-signal=SIGRTMIN+4", "--console=pipe"),
                *(f"--bind-ro={ROOT}:{PROJECT}", f"--bind-ro={packages}:{PACKAGES}"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=self._console,
            stderr=self._console,
        )
        until(lambda: self.run("systemctl", "is-system-running", check=False) not in ("", "offline", "initializing"))
        self.run("systemctl", "is-system-running", "--wait", check=False)

    @property
    def _init(self) -> str:
        """The number, out here, of the machine's first process."""
        assert self._nspawn is not None
        children = Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children")
        return until(lambda: children.read_text().split(), say="the machine's init")[0]

    def run(self, *command: str, check: bool = True) -> str:
        """What it says inside, by root."""
        done = subprocess.run(
            ["nsenter", "--target", self._init, "--all", "--", *command],  # noqa: S607  # Debian's
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def reboot(self) -> None:
        """As somebody who types it: everything is stopped in order, then started again."""
        self.run("systemctl", "reboot", check=False)
        assert self._ended() == REBOOT
        self.boot()

    def power_off(self) -> None:
        """As EC2 stops an instance: its power button, and systemd stops everything in order."""
        assert self._nspawn is not None
        self._nspawn.send_signal(signal.SIGTERM)
        self._ended()

    def crash(self) -> None:
        """As a power cut."""
        os.kill(int(self._init), signal.SIGKILL)
        self._ended()

    def _ended(self) -> int:
        assert self._nspawn is not None
        # Longer than a unit may take to stop.
        return self._nspawn.wait(200)

    def shows(self, unit: str, name: str) -> str:
        return self.run("systemctl", "show", "--value", f"--property={name}", unit)

    def close(self) -> None:
        if self.is_up:
            self.crash()
        self._console.close()


@contextmanager
def machine(folder: Path) -> Iterator[Machine]:
    """Debian with Python, and ours as installed; not booted yet, gone at the end."""
    assert DEBIAN.is_dir(), "no Debian to boot: run `make .machines/root` once"
    disk = folder / "disk"
    # In memory: the layers of an overlay cannot lie on another overlay, as /tmp may.
    _mount("-t", "tmpfs", "tmpfs", folder)
    for part in ("upper", "work", "disk"):
        (folder / part).mkdir()
    layers = f"lowerdir={DEBIAN},upperdir={folder / 'upper'},workdir={folder / 'work'}"
    _mount("-t", "overlay", "-o", layers, "overlay", disk)
    (disk / "etc/machine-id").write_text(f"{uuid4().hex}\n")
    made = Machine(disk)
    try:
        yield made
    finally:
        made.close()
        for mounted in (disk, folder):
            subprocess.run(["umount", mounted], check=True, timeout=PATIENCE)  # noqa: S607  # Debian's


def _mount(*arguments: str | Path) -> None:
    subprocess.run(["mount", *arguments], check=True, timeout=PATIENCE)  # noqa: S607  # Debian's


def cannot() -> str:
    """Why no machine can be booted here; empty if one can."""
    if shutil.which("systemd-nspawn") is None:
        return "no systemd-nspawn: apt-get install systemd-container"
    return "" if os.geteuid() == 0 else "systemd-nspawn needs root"
