"""What an instance runs on: a machine, and the steps that are taken with it one after another."""

import threading
import traceback
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from bench.nspawn import Machine


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
