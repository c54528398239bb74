"""A controller's line to the cloud in memory, on which calls fail as the test has drawn."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from clouds import Cloud

from facefleet.errors import NoCapacity, Throttled, Unavailable
from facefleet.model import Depth, Heartbeat, Instance
from facefleet.ports import Fleet, Share

T = TypeVar("T")


class Crash(BaseException):
    """The controller's process is killed just here. No error of ours, so that nothing takes it for one."""


class Fault(StrEnum):
    NONE = "none"
    NOT_DONE = "not done"
    REPLY_LOST = "done, and its reply lost"
    THROTTLED = "throttled"
    NO_CAPACITY = "no capacity"
    CRASH_BEFORE = "crash before"
    CRASH_AFTER = "crash after"


#: What is raised in place of doing it.
INSTEAD: dict[Fault, Callable[[], BaseException]] = {
    Fault.NOT_DONE: lambda: Unavailable("not done"),
    Fault.THROTTLED: lambda: Throttled("not so often"),
    Fault.NO_CAPACITY: lambda: NoCapacity("none left"),
    Fault.CRASH_BEFORE: Crash,
}
#: What is raised once it is done.
AFTERWARDS: dict[Fault, Callable[[], BaseException]] = {
    Fault.REPLY_LOST: lambda: Unavailable("the reply was lost"),
    Fault.CRASH_AFTER: Crash,
}


@dataclass
class Line:
    """A fleet, a depth, heartbeats. `faults`: of the next calls, one each. `waits`: called before every call.

    `dead`: verbs that fail until the test says otherwise.
    """

    cloud: Cloud
    faults: deque[Fault] = field(default_factory=deque)
    dead: frozenset[str] = frozenset()
    waits: Callable[[], object] = lambda: None

    def __post_init__(self) -> None:
        #: Of which instances are asked for; the cloud itself, unless there are several.
        self.fleet: Fleet = self.cloud

    @property
    def offers(self) -> tuple[str, ...]:
        return self.fleet.offers

    @property
    def can_rest(self) -> tuple[str, ...]:
        return self.fleet.can_rest

    @property
    def shares(self) -> tuple[Share, ...]:
        return self.fleet.shares

    @property
    def settles_after(self) -> float:
        return self.fleet.settles_after

    @property
    def at_once(self) -> int:
        return self.fleet.at_once

    def instances(self) -> list[Instance]:
        return self.call("instances", self.fleet.instances)

    def launch(self, token: str, offer: str) -> str:
        return self.call("launch", lambda: self.fleet.launch(token, offer))

    def start(self, ids: list[str]) -> None:
        self.call("start", lambda: self.fleet.start(ids))

    def retire(self, ids: list[str]) -> None:
        for id in ids:
            self.cloud.asked_to_go.setdefault(id, self.cloud.clock.now)
        self.call("retire", lambda: self.fleet.retire(ids))

    def end(self, ids: list[str]) -> None:
        self.call("end", lambda: self.fleet.end(ids))

    def depth(self) -> Depth:
        return self.call("depth", self.cloud.depth)

    def heartbeats(self) -> tuple[Heartbeat, ...]:
        return self.call("heartbeats", self.cloud.heartbeats)

    def call(self, verb: str, work: Callable[[], T]) -> T:
        self.waits()
        fault = self.faults.popleft() if self.faults else Fault.NONE
        if verb in self.dead:
            fault = Fault.NOT_DONE
        if fault in INSTEAD and (fault is not Fault.NO_CAPACITY or verb in ("launch", "start")):
            raise INSTEAD[fault]()
        reply = work()
        if fault in AFTERWARDS:
            raise AFTERWARDS[fault]()
        return reply
