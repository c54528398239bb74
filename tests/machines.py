"""One machine of the cloud in memory: as it really is, and as a list may show it."""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from math import inf

from facefleet.model import Heartbeat, Instance, InstanceState, WorkerState

#: As app_tier's pulse: a heartbeat is repeated this often; one left behind is removed when it is this old.
REPEAT, STALE = 5.0, 15.0


class Flaw(StrEnum):
    """What is wrong with an instance from its launch on."""

    NONE = "none"
    NEVER_WORKS = "never works"
    DIES = "dies at its start"
    NEVER_DRAINS = "never drains"
    #: Until it is ended a second time.
    NEVER_STOPS = "never stops"


@dataclass
class Machine:
    """An instance as it really is. `due`: when it does its next step by itself. `past`: what a list could show."""

    seen: Instance
    flaw: Flaw = Flaw.NONE
    due: float = inf
    ready_since: float | None = None
    job_ends: float = inf
    jobs: int = 0
    silent_since: float = inf
    #: When its worker was told that the machine is taken away: it ends its job, and then itself.
    noticed_at: float = inf
    #: The heartbeat of a worker that was killed.
    left: Heartbeat | None = None
    #: It will not wait in the warm pool.
    ended: bool = False
    gone: bool = False
    #: Of what it was launched from, and for.
    version: int = 1
    offer: str = ""
    past: list[tuple[float, Instance | None]] = field(default_factory=list)

    @property
    def is_busy(self) -> bool:
        return self.job_ends < inf

    @property
    def is_ready(self) -> bool:
        """Whether its worker takes jobs."""
        works = self.seen.state is InstanceState.RUNNING and self.ready_since is not None
        return works and self.noticed_at == inf and not self.gone

    @property
    def is_up(self) -> bool:
        return not self.gone and self.seen.state is not InstanceState.STOPPED

    def as_of(self, time: float) -> Instance | None:
        return next((seen for at, seen in reversed(self.past) if at <= time), None)

    def beat(self, now: float, service: float) -> Heartbeat | None:
        """What its worker said last; None once that is removed."""
        if self.ready_since is None:
            return self.left if self.left is not None and now - self.left.at < STALE else None
        if not self.is_busy and now - self.noticed_at >= REPEAT:
            return None
        at = min(now - (now - self.ready_since) % REPEAT, self.silent_since)
        state = WorkerState.BUSY if self.is_busy else WorkerState.IDLE
        if self.seen.state is InstanceState.DRAINING or self.noticed_at <= now:
            state = WorkerState.DRAINING
        mean = service if self.jobs else 0.0
        return Heartbeat(self.seen.id, state, self.jobs, self.ready_since, at, mean, self.noticed_at <= now)

    def enter(self, state: InstanceState, now: float, due: float = inf) -> None:
        self.seen, self.due = replace(self.seen, state=state, since=now), due
        self.past.append((now, self.seen))

    def vanish(self, now: float) -> None:
        self.ready_since = None
        self.gone, self.due, self.job_ends = True, inf, inf
        self.past.append((now, None))
