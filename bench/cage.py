"""Control groups of a machine that systemd boots here, beside others."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bench.nspawn import PATIENCE, run

CGROUPS = Path("/sys/fs/cgroup")
#: What systemd inside needs for itself, and what is measured or limited here.
HIERARCHIES = ("systemd", "unified", "memory", "cpuacct")
MIB = 2**20
#: Waits for the end of its input.
GUARD = """
cat >/dev/null
folder=$1
name=$2
shift 2
while pids=$(find "$@" -name cgroup.procs -exec cat {} + 2>/dev/null | sort -u) && [ -n "$pids" ]; do
  kill -KILL $pids 2>/dev/null
  sleep 0.1
done
if grep -q " $folder " /proc/self/mounts; then umount --recursive --lazy "$folder"; fi
for space in "/run/netns/$name" "/run/netns/$name"-*; do
  if [ -e "$space" ]; then ip netns delete "${space##*/}"; fi
done
if [ -e "/sys/class/net/$name" ]; then ip link delete "$name"; fi
find "$@" -depth -type d -exec rmdir {} + 2>/dev/null
true
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

    @contextmanager
    def guarded(self, folder: Path, lock: int) -> Iterator[None]:
        """What runs in it ends with the block, or with this process, however that ends: a killed nspawn does not take
        its machine along. So does what is mounted at the folder and below, and networks that are called as it is, alone
        or with more behind a dash. `lock`: of a file that stays locked until then, so that nobody makes them anew.
        """
        command = ("sh", "-c", GUARD, "guard", str(folder), self.name, *map(str, self.groups))
        # What is left where a guard was killed, too.
        run(*command)
        guard = subprocess.Popen(  # noqa: S603  # our own script
            command, stdin=subprocess.PIPE, start_new_session=True, pass_fds=(lock,)
        )
        try:
            yield
        finally:
            guard.communicate(timeout=PATIENCE)
