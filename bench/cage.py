"""Control groups of a machine that systemd boots here, beside others."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bench.local import awaited

CGROUPS = Path("/sys/fs/cgroup")
#: What systemd inside needs for itself, and what is measured or limited here.
HIERARCHIES = ("systemd", "unified", "memory", "cpuacct")
MIB = 2**20
#: Seconds until all that was killed is gone.
PATIENCE = 60.0
#: Waits for the end of its input.
GUARD = """
cat >/dev/null
folder=$1
shift
while pids=$(find "$@" -name cgroup.procs -exec cat {} + 2>/dev/null | sort -u) && [ -n "$pids" ]; do
  kill -KILL $pids 2>/dev/null
  sleep 0.1
done
if grep -q " $folder " /proc/self/mounts; then umount --recursive --lazy "$folder"; fi
"""


@dataclass(frozen=True)
class Cage:
    """A control group in each hierarchy: else systemd inside would take the processes of others for its own."""

    name: str

    @property
    def groups(self) -> list[Path]:
        found = [CGROUPS / one for one in HIERARCHIES if (CGROUPS / one).is_dir()] or [CGROUPS]
        return [one / self.name for one in found]

    def entry(self, *, memory: int, cores: list[int]) -> tuple[str, ...]:
        """It is made; a command that goes before one which shall run in it."""
        for group in self.groups:
            group.mkdir(parents=True)
        if memory:
            (CGROUPS / "memory" / self.name / "memory.limit_in_bytes").write_text(str(memory * MIB))
        enter = "".join(f"echo $$ > {group}/cgroup.procs\n" for group in self.groups)
        pin = f"taskset --cpu-list {','.join(map(str, cores))} " if cores else ""
        return "sh", "-ec", f'{enter}exec {pin}"$@"', "machine"

    def remove(self) -> None:
        """And the groups that systemd made inside, which are empty now."""
        for group in self.groups:
            for folder, _, _ in os.walk(group, topdown=False):
                with suppress(OSError):
                    Path(folder).rmdir()

    def _is_gone(self) -> bool:
        self.remove()
        return not any(group.exists() for group in self.groups)

    @contextmanager
    def guarded(self, folder: Path) -> Iterator[None]:
        """What runs in it ends with the block, or with this process, however that ends: a killed nspawn does not take
        its machine along. So does what is mounted at the folder and below.
        """
        awaited(self._is_gone, f"what a killed run left in {self.name} is gone", seconds=PATIENCE)
        guard = subprocess.Popen(  # noqa: S603  # our own script
            ["sh", "-c", GUARD, "guard", str(folder), *map(str, self.groups)],  # noqa: S607  # Debian's
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            yield
        finally:
            guard.communicate(timeout=PATIENCE)
            self.remove()
