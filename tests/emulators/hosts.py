"""What an instance runs on: a machine, its control groups, and the steps that are taken with it one after another."""

import os
import threading
import traceback
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from bench.nspawn import Machine

CGROUPS = Path("/sys/fs/cgroup")
#: What systemd inside needs for itself, and what is measured or limited here.
HIERARCHIES = ("systemd", "unified", "memory", "cpuacct")
MIB = 2**20


@dataclass
class Host:
    """`last`: the end of its address; `layers`: of its image; `folder`: where its disk lies."""

    last: int
    layers: list[Path]
    folder: Path
    machine: Machine | None = None
    watcher: threading.Thread | None = None
    #: Whether what is happening to it is somebody's wish.
    is_told: bool = False
    _steps: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(max_workers=1))

    @property
    def is_up(self) -> bool:
        return self.machine is not None and self.machine.is_up

    def then(self, step, *arguments) -> Future:
        """After all steps that were wished before."""
        done = self._steps.submit(step, *arguments)
        done.add_done_callback(_complain)
        return done

    def close(self) -> None:
        """No more steps, after those that were wished."""
        self._steps.shutdown(wait=False)

    def off(self, seconds: float) -> None:
        self.is_told = True
        if self.machine is not None:
            self.machine.power_off(seconds=seconds)

    def cut(self) -> None:
        self.is_told = True
        if self.machine is not None:
            self.machine.crash()


def _complain(done: Future) -> None:
    if (error := done.exception()) is not None:
        traceback.print_exception(error)


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
