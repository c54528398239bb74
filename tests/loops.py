"""Controllers' processes: each on its own line to one cloud, over one saved state, killed and begun anew at will."""

import hashlib
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from clouds import Cloud
from lines import Crash, Line

from controller.policy import Policy, Terms
from controller.reconcile import Controller
from controller.status import Status
from controller.steps import Limits
from controller.store import LostLease, Store
from facefleet.errors import Conflict, NotFound, ServiceError
from facefleet.ports import Fleet

#: A paused tick goes on at once; one that does not has hung.
PATIENCE = 30.0


@dataclass
class Shelf:
    """The blobs that a saved state needs, in memory."""

    blobs: dict[str, bytes] = field(default_factory=dict)

    def tagged(self, key: str) -> tuple[bytes, str]:
        if key not in self.blobs:
            raise NotFound(f"there is no {key}")
        return self.blobs[key], hashlib.sha256(self.blobs[key]).hexdigest()

    def put_if(self, key: str, data: bytes, *, tag: str | None) -> str:
        there = self.tagged(key)[1] if key in self.blobs else None
        if there != tag:
            raise Conflict("somebody else wrote it")
        self.blobs[key] = data
        return self.tagged(key)[1]


@dataclass
class OnLine:
    """The shelf as a controller reaches it: it may crash there, too."""

    shelf: Shelf
    line: Line

    def tagged(self, key: str) -> tuple[bytes, str]:
        return self.line.call("tagged", lambda: self.shelf.tagged(key))

    def put_if(self, key: str, data: bytes, *, tag: str | None) -> str:
        return self.line.call("put_if", lambda: self.shelf.put_if(key, data, tag=tag))


@dataclass
class Process:
    """A controller and its supervisor, who begins it anew when it was killed. Without the lease it stands by."""

    name: str
    cloud: Cloud
    shelf: Shelf
    policy: Policy[Any]
    terms: Terms
    limits: Limits
    told: Status | None = None
    controller: Controller | None = None
    #: Made anew with each process.
    make: Callable[[], Fleet] | None = None

    def __post_init__(self) -> None:
        self.line = Line(self.cloud)
        self._chance = random.Random(self.name).random

    def tick(self) -> None:
        """Returns where it was killed as well; raises what the loop should have survived."""
        try:
            if self.controller is None:
                self._begin()
            if self.controller is not None:
                self.controller.tick(self.cloud.clock.now)
        except (Crash, LostLease):
            self.kill()

    def kill(self) -> None:
        self.controller = None

    def _begin(self) -> None:
        store = Store(OnLine(self.shelf, self.line), self.name, lambda: self.cloud.clock.now)
        try:
            ledger = store.take()
        except ServiceError:
            return
        if ledger is None:
            return
        if self.make is not None:
            self.line.fleet = self.make()
        self.controller = Controller(
            self.line.depth,
            self.line,
            self.line.heartbeats,
            store.save,
            self._tell,
            self.policy,
            self.terms,
            self.limits,
            ledger=ledger,
            chance=self._chance,
            assure=store.assure,
        )

    def _tell(self, status: Status) -> None:
        self.told = status


class Paused:
    """Work in a thread of its own that waits wherever it calls `wait`, until it may go on or is killed."""

    def __init__(self, work: Callable[[], object]) -> None:
        self._work = work
        self._go, self._waits = threading.Semaphore(0), threading.Semaphore(0)
        self._killed = False
        self._error: BaseException | None = None
        self.over = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def go_on(self) -> None:
        """Until it waits again or is over; raises what the work raised."""
        self._go.release()
        assert self._waits.acquire(timeout=PATIENCE)
        if self.over:
            self._thread.join()
            if self._error is not None:
                raise self._error

    def kill(self) -> None:
        self._killed = True
        while not self.over:
            try:
                self.go_on()
            except Crash:
                return

    def wait(self) -> None:
        """Called by the work."""
        if threading.current_thread() is self._thread:
            self._waits.release()
            self._go.acquire()
            if self._killed:
                raise Crash

    def _run(self) -> None:
        self._go.acquire()
        try:
            if not self._killed:
                self._work()
        except BaseException as error:
            self._error = error
        self.over = True
        self._waits.release()
