"""What a tick tells: to the page, to the command line, to whoever collects figures."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from facefleet import keys
from facefleet.model import Depth, Heartbeat, InstanceState, Start
from facefleet.ports import Blobs

#: The status is written this often even when nothing changed: so one sees that the controller lives.
REPEAT = 10.0
#: At rest, which may be most of the time, each write costs, and nobody waits for news. Readers are told.
REPEAT_AT_REST = 30.0


@dataclass(frozen=True, slots=True)
class OfCloud:
    """One of several clouds: how many are up there, of how many at most, and whether it answers."""

    up: int
    max: int
    answers: bool


@dataclass(frozen=True, slots=True)
class Status:
    """One tick. `at`: when it looked, or is told. `decision`: what was done, in a word.

    `depth`: None where the queue could not be read.

    Counted from the controller's beginning: `errors`, by class; `decisions`; `calls` that were answered, by verb.
    `boots`: seconds of those that came to work since the last tick; `cost`: in the currency of the price. `stale`: of
    the instances those that are to be replaced by newer ones. `clouds`: by name, where there are several; `homes`: in
    which each instance is.
    """

    at: float
    policy: str
    instances: Mapping[InstanceState, int]
    desired: int
    most: int
    reason: str
    decision: str = "none"
    depth: Depth | None = None
    workers: tuple[Heartbeat, ...] = ()
    boots: tuple[tuple[Start, float], ...] = ()
    errors: Mapping[str, int] = field(default_factory=dict)
    decisions: Mapping[str, int] = field(default_factory=dict)
    instance_seconds: float = 0.0
    cost: float = 0.0
    calls: Mapping[str, int] = field(default_factory=dict)
    stale: int = 0
    clouds: Mapping[str, OfCloud] = field(default_factory=dict)
    homes: Mapping[str, str] = field(default_factory=dict)

    @property
    def repeat(self) -> float:
        """Seconds after which it is written again, if nothing changes: less often while nobody is up or waits."""
        is_up = any(count for state, count in self.instances.items() if state is not InstanceState.STOPPED)
        rests = self.depth is not None and not (self.depth.backlog or is_up or self.workers)
        return REPEAT_AT_REST if rests else REPEAT

    @property
    def oldest(self) -> float | None:
        """Seconds that the oldest message waits; None where none does, or the queue cannot tell."""
        if self.depth is None or self.depth.oldest is None:
            return None
        return max(0.0, self.at - self.depth.oldest)


class Board:
    """The blob that `/v1/fleet` shows. Written when it changed, and often enough to show that we live."""

    def __init__(self, blobs: Blobs, epoch: int, leader: str = "") -> None:
        """`leader`: the host on which the controller that tells this leads."""
        self._blobs, self._leader = blobs, leader
        self._told: dict[str, object] = {}
        self._told_at = float("-inf")
        self._epoch = epoch
        #: The last tick that did something: it is gone before anybody sees it.
        self._deed: dict[str, object] | None = None

    def tell(self, status: Status) -> None:
        if status.decision != "none":
            self._deed = {"decision": status.decision, "reason": status.reason, "at": status.at}
        shown = {
            "instances": {state.value: count for state, count in status.instances.items()},
            "desired": status.desired,
            "max": status.most,
            "reason": status.reason,
            "workers": [_worker(w, status.homes) for w in status.workers],
            "decision": status.decision,
            "last": self._deed,
            "policy": status.policy,
            "epoch": self._epoch,
            "leader": self._leader,
            "stale": status.stale,
            # Whoever reads it knows by this how old it may be.
            "repeat": status.repeat,
        }
        if status.clouds:
            shown["clouds"] = {name: asdict(cloud) for name, cloud in status.clouds.items()}
        if shown != self._told or not 0 <= status.at - self._told_at < status.repeat:
            # These change with the time: they alone are no news.
            moving = {"oldest": status.oldest, "cost": round(status.cost, 6), "at": status.at}
            self._blobs.put(keys.FLEET_STATUS, json.dumps(shown | moving).encode())
            self._told, self._told_at = shown, status.at


def _worker(worker: Heartbeat, homes: Mapping[str, str]) -> dict[str, object]:
    told: dict[str, object] = {"id": worker.id, "state": worker.state, "jobs": worker.jobs, "since": worker.since}
    return told | {"cloud": homes[worker.id]} if worker.id in homes else told
