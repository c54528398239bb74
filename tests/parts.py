"""The cloud in memory as several: each part has machines of its own, and answers, or does not, for itself."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from clouds import Clock, Cloud
from lines import AFTERWARDS, INSTEAD, Fault
from loops import Process, Shelf
from machines import Machine
from storms import HOLD, LIMITS

from controller.policy import Policy, Terms
from facefleet.backends.fleets import Fleets
from facefleet.errors import Unavailable
from facefleet.model import Instance, InstanceState
from facefleet.ports import Share

T = TypeVar("T")
OWN, BURST = "openstack", "ec2"
KINDS = ("large", "small")
CHANGES = ("launch", "start")


@dataclass
class Part:
    """Machines of the cloud that were launched here. `faults`: of the next calls that change something, one each."""

    cloud: Cloud
    name: str
    most: int
    is_down: bool = False
    faults: deque[Fault] = field(default_factory=deque)
    offers: tuple[str, ...] = KINDS
    shares: tuple[Share, ...] = ()
    #: What it was asked for, and when.
    asked: list[tuple[float, str]] = field(default_factory=list)

    @property
    def can_rest(self) -> tuple[str, ...]:
        return self.offers if self.cloud.pool else ()

    @property
    def settles_after(self) -> float:
        return self.cloud.settles_after

    @property
    def at_once(self) -> int:
        return 2

    def instances(self) -> list[Instance]:
        self.asked.append((self.cloud.clock.now, "instances"))
        if self.is_down:
            raise Unavailable(f"{self.name} does not answer")
        return [one for one in self.cloud.instances() if self._is_ours(self.cloud.machines[one.id])]

    def launch(self, token: str, offer: str) -> str:
        return self._call("launch", lambda: self.cloud.launch(token, f"{self.name}-{offer}"))

    def start(self, ids: list[str]) -> None:
        self._call("start", lambda: self.cloud.start(self._known(ids)))

    def retire(self, ids: list[str]) -> None:
        self._call("retire", lambda: self.cloud.retire(self._known(ids)))

    def end(self, ids: list[str]) -> None:
        self._call("end", lambda: self.cloud.end(self._known(ids)))

    def machines(self) -> list[Machine]:
        return [m for m in self.cloud.living() if self._is_ours(m)]

    def up(self) -> list[Machine]:
        return [m for m in self.machines() if m.is_up]

    def resting(self) -> list[Machine]:
        return [m for m in self.machines() if m.seen.state is InstanceState.STOPPED]

    def _is_ours(self, machine: Machine) -> bool:
        return machine.offer.startswith(f"{self.name}-")

    def _known(self, ids: list[str]) -> list[str]:
        known = [id for id in ids if id in self.cloud.machines]
        self.cloud.wrongs += [
            f"{id} is not of {self.name}" for id in known if not self._is_ours(self.cloud.machines[id])
        ]
        return known

    def _call(self, verb: str, work: Callable[[], T]) -> T:
        self.asked.append((self.cloud.clock.now, verb))
        fault = self.faults.popleft() if self.faults else Fault.NONE
        if self.is_down:
            raise Unavailable(f"{self.name} does not answer")
        if fault in INSTEAD and (fault is not Fault.NO_CAPACITY or verb in CHANGES):
            raise INSTEAD[fault]()
        reply = work()
        if len(self.up()) > self.most:
            self.cloud.wrongs.append(f"{len(self.up())} of {self.name} at once, {self.most} at most")
        if fault in AFTERWARDS:
            raise AFTERWARDS[fault]()
        return reply


@dataclass
class Sky:
    """Two clouds over one queue."""

    cloud: Cloud
    own: Part
    burst: Part

    @property
    def parts(self) -> tuple[Part, Part]:
        return self.own, self.burst

    def fleets(self) -> Fleets:
        return Fleets(
            {part.name: lambda part=part: part for part in self.parts},
            {part.name: part.most for part in self.parts},
            clock=lambda: self.cloud.clock.now,
            chance=lambda: 0.5,
        )


def a_sky(own: int, burst: int, **cloud: object) -> Sky:
    offers = tuple(f"{name}-{kind}" for name in (OWN, BURST) for kind in KINDS)
    together = Cloud(Clock(), own + burst, offers=offers, **cloud)
    return Sky(together, Part(together, OWN, own), Part(together, BURST, burst))


def a_process(sky: Sky, policy: Policy[Any], *, least: int = 0, most: int | None = None) -> Process:
    terms = Terms(least, sky.cloud.most if most is None else most, HOLD)
    return Process("one", sky.cloud, Shelf(), policy, terms, LIMITS, make=sky.fleets)


def run(sky: Sky, process: Process, seconds: int, *, each: Callable[[], object] = lambda: None) -> None:
    """A tick a second."""
    for _ in range(seconds):
        sky.cloud.advance(1.0)
        each()
        process.tick()
