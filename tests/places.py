"""A place where a controller works on a cloud in memory: what it saved and told is there to be seen."""

from dataclasses import dataclass, field
from typing import Any

from clouds import Clock, Cloud
from lines import Line

from controller.classic import CLASSIC
from controller.ledger import Ledger, dump_ledger, load_ledger
from controller.policy import Plan, Terms
from controller.reconcile import Controller
from controller.status import Status
from controller.steps import Limits
from facefleet.errors import Unavailable
from facefleet.model import InstanceState

LIMITS = Limits(pool="p", pending=300.0, draining=60.0, boot=45.0, price=3.6)
TERMS = Terms(0, 4, hold=10.0, least_bill=60.0)


@dataclass
class Place:
    """A cloud, and one controller after the other of it."""

    cloud: Cloud
    limits: Limits = LIMITS
    terms: Terms = TERMS
    saved: list[Ledger] = field(default_factory=list)
    told: list[Status] = field(default_factory=list)
    unsafe: bool = False

    def __post_init__(self) -> None:
        self.line = Line(self.cloud)
        self.begin_anew()

    def begin_anew(self) -> None:
        ledger = load_ledger(dump_ledger(self.saved[-1])) if self.saved else None
        self.controller = Controller(
            self.line.depth,
            self.line,
            self.line.heartbeats,
            self.save,
            self.told.append,
            CLASSIC,
            self.terms,
            self.limits,
            ledger=ledger,
            chance=lambda: 1.0,
        )

    def save(self, ledger: Ledger) -> None:
        if self.unsafe:
            raise Unavailable("the disk is full")
        self.saved.append(ledger)

    def tick(self, seconds: float = 0.0) -> Plan:
        self.cloud.advance(seconds)
        return self.controller.tick(self.cloud.clock.now)

    def run(self, seconds: float, every: float = 1.0) -> None:
        for _ in range(int(seconds / every)):
            self.tick(every)

    def states(self) -> list[InstanceState]:
        return sorted(machine.seen.state for machine in self.cloud.living())

    @property
    def status(self) -> Status:
        return self.told[-1]


def at(**cloud: Any) -> Place:
    return Place(Cloud(Clock(), most=TERMS.most, **cloud))
