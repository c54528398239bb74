"""A machine that systemd boots in a container (systemd-nspawn), on a disk of its own above layers that others share.

Needs root, and Python alone: the emulators, which have machines behind their instances, run it too.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

#: What nspawn ends with when the machine asks to be booted again.
REBOOT = 133
PATIENCE = 60.0
LOOK = 0.05
#: Seconds that systemd gives what it stops, by default 90, and the rest of its way down.
GOING_DOWN = 200.0


class Machine:
    """`disk` is what it boots, and writes; it stays over a reboot, as a real one's.

    `options`: nspawn's own, besides the usual. `entry`: a command that goes before nspawn's.
    """

    def __init__(self, name: str, disk: Path, console: Path, *, options: Sequence[str] = (), entry: Sequence[str] = ()):
        self.disk, self.console = disk, console
        self._command = (
            *entry,
            *("systemd-nspawn", "--boot", f"--directory={disk}", f"--machine={name}", "--quiet"),
            *("--register=no", "--keep-unit", "--kill-signal=SIGRTMIN+4", "--console=pipe"),
            *options,
        )
        self._nspawn: subprocess.Popen[bytes] | None = None

    @property
    def is_up(self) -> bool:
        return self._nspawn is not None and self._nspawn.poll() is None

    def power_on(self) -> None:
        with self.console.open("ab") as console:
            self._nspawn = subprocess.Popen(  # noqa: S603  # nspawn, and no shell
                self._command, stdin=subprocess.DEVNULL, stdout=console, stderr=console
            )

    def boot(self, *, seconds: float = PATIENCE) -> None:
        """Returns once systemd has started all that it was told to, or given up on it."""
        self.power_on()
        early = ("", "offline", "initializing")
        _until(lambda: self.run("systemctl", "is-system-running", check=False) not in early, "systemd answers")
        self.run("systemctl", "is-system-running", "--wait", check=False, seconds=seconds)

    @property
    def init(self) -> int | None:
        """The number, out here, of the machine's first process; None while there is none."""
        if self._nspawn is None or self._nspawn.poll() is not None:
            return None
        children = Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children")
        try:
            found = children.read_text().split()
        except OSError:
            return None
        return int(found[0]) if found else None

    def run(self, *command: str, check: bool = True, seconds: float = PATIENCE) -> str:
        """What it says inside, by root."""
        init = _until(lambda: self.init, "the machine's first process")
        done = subprocess.run(  # noqa: S603  # no shell
            ["nsenter", f"--target={init}", "--all", "--", *command],  # noqa: S607  # Debian's
            capture_output=True,
            text=True,
            timeout=seconds,
        )
        if check and done.returncode:
            raise RuntimeError(f"{' '.join(command)[:500]}: {done.stdout}{done.stderr}")
        return done.stdout.strip()

    def shows(self, unit: str, name: str) -> str:
        return self.run("systemctl", "show", "--value", f"--property={name}", unit)

    def reboot(self) -> None:
        """As somebody who types it: everything is stopped in order, then started again."""
        self.run("systemctl", "reboot", check=False)
        if self.ended() != REBOOT:
            raise RuntimeError(f"{self.disk} went down and asked for no boot, see {self.console}")
        self.boot()

    def power_off(self, *, seconds: float = GOING_DOWN) -> None:
        """As EC2 stops an instance: the power button, and systemd stops all in order; the plug, after these seconds."""
        if not self.is_up or self._nspawn is None:
            return
        self._nspawn.send_signal(signal.SIGTERM)
        try:
            self.ended(seconds)
        except subprocess.TimeoutExpired:
            self.crash()

    def crash(self) -> None:
        """As a power cut."""
        if not self.is_up or self._nspawn is None:
            return
        init = self.init
        # It may be on its way out just now, or not begun; with nspawn goes what is inside.
        with suppress(ProcessLookupError):
            os.kill(init or self._nspawn.pid, signal.SIGKILL)
        try:
            self.ended(PATIENCE)
        except subprocess.TimeoutExpired:
            self._nspawn.kill()
            self.ended(PATIENCE)

    def ended(self, seconds: float | None = GOING_DOWN) -> int:
        """What nspawn ended with, once it has."""
        if self._nspawn is None:
            raise RuntimeError(f"{self.disk} was never booted")
        return self._nspawn.wait(seconds)


def mount_disk(folder: Path, layers: Sequence[Path]) -> Path:
    """A disk that begins as these layers are, the topmost first; what is written goes to `upper` of the folder.

    The folder may not lie on an overlay itself: see `mount_memory`.
    """
    for part in ("upper", "work", "disk"):
        (folder / part).mkdir(exist_ok=True)
    lower = ":".join(map(str, layers))
    options = f"lowerdir={lower},upperdir={folder / 'upper'},workdir={folder / 'work'}"
    run("mount", "-t", "overlay", "-o", options, "overlay", str(folder / "disk"))
    return folder / "disk"


def mount_memory(folder: Path, *options: str) -> None:
    """What lies in the folder from now on lies in memory, since /tmp may be an overlay."""
    run("mount", "-t", "tmpfs", *options, "tmpfs", str(folder))


def run(*command: str, given: str = "", seconds: float = PATIENCE) -> str:
    """What a command of Debian's says; raises `RuntimeError` with its complaint."""
    done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=seconds)  # noqa: S603
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)[:500]}: {done.stderr.strip()}")
    return done.stdout


def cannot() -> str:
    """Why no machine can be booted here; empty if one can."""
    if shutil.which("systemd-nspawn") is None:
        return "no systemd-nspawn: apt-get install systemd-container"
    return "" if os.geteuid() == 0 else "systemd-nspawn needs root"


def _until(what: Callable[[], Any], say: str) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (value := what()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {PATIENCE:.0f} s: {say}")
        time.sleep(LOOK)
    return value
