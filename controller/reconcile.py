"""One tick: observe, decide, act. Nothing is remembered that could not be seen again."""

import json
import logging
from dataclasses import dataclass, field, replace
from typing import Any

from controller.policy import Bounds, Memory, Observation, Plan, decide
from facefleet import keys, wire
from facefleet.errors import BadMessage, NotFound
from facefleet.model import Heartbeat, Instance, InstanceState
from facefleet.ports import Blobs, Fleet, Queue

log = logging.getLogger(__name__)

#: The status is written this often even when nothing changed: so one sees that the controller lives.
REPEAT = 5.0
#: A worker's heartbeat is repeated every few seconds; one this old belongs to a worker that is gone.
STALE_HEARTBEAT = 15.0


@dataclass
class Controller:
    requests: Queue
    fleet: Fleet
    blobs: Blobs
    bounds: Bounds
    memory: Memory = field(default_factory=Memory)
    _told: dict[str, Any] = field(default_factory=dict)
    _told_at: float = 0.0

    def tick(self, now: float) -> Plan:
        seen = self.observe(now)
        plan, self.memory = decide(seen, self.memory, self.bounds, now)
        self.act(plan, seen)
        self._tell(plan, seen, now)
        return plan

    def observe(self, now: float) -> Observation:
        instances = self.fleet.instances()
        workers = self._workers({i.id for i in instances}, now)
        ready = {worker.id for worker in workers}
        return Observation(self.requests.depth(), tuple(_as_seen(i, ready) for i in instances), workers)

    def act(self, plan: Plan, seen: Observation) -> None:
        if plan.launch or plan.retire:
            log.info("%s", plan.reason)
        # Those that drain are asked again: the fleet ends one that takes too long.
        draining = [i.id for i in seen.instances if i.state is InstanceState.DRAINING]
        if plan.retire or draining:
            self.fleet.retire([*plan.retire, *draining])
        if plan.launch:
            self.fleet.launch(plan.launch)

    def _workers(self, ids: set[str], now: float) -> tuple[Heartbeat, ...]:
        """Heartbeats; one left behind by a worker that was killed is removed."""
        found = []
        for blob in self.blobs.list(keys.WORKERS):
            try:
                worker = wire.load_heartbeat(self.blobs.get(blob.key))
            except (NotFound, BadMessage):
                continue
            if worker.id in ids or now - worker.at < STALE_HEARTBEAT:
                found.append(worker)
            else:
                self.blobs.delete(blob.key)
        return tuple(found)

    def _tell(self, plan: Plan, seen: Observation, now: float) -> None:
        """What `/v1/fleet` shows. Written when it changed, and often enough to show that we live."""
        status = {
            "instances": {state.value: seen.count(state) for state in InstanceState},
            "desired": plan.desired,
            "max": self.bounds.most,
            "reason": plan.reason,
            "workers": [{"id": w.id, "state": w.state, "jobs": w.jobs, "since": w.since} for w in seen.workers],
        }
        if status != self._told or now - self._told_at >= REPEAT:
            self.blobs.put(keys.FLEET_STATUS, json.dumps(status | {"at": now}).encode())
            self._told, self._told_at = status, now


def _as_seen(instance: Instance, ready: set[str]) -> Instance:
    """A running instance whose worker was never heard of is still on its way up."""
    if instance.state is InstanceState.RUNNING and instance.id not in ready:
        return replace(instance, state=InstanceState.PENDING)
    return instance
