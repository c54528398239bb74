"""What workers say of themselves, from their blobs: one voice for each instance, however many it runs."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from controller.remedies import SILENT_FOR
from facefleet import keys, wire
from facefleet.errors import BadMessage, NotFound
from facefleet.model import Heartbeat, WorkerState
from facefleet.ports import Blobs

#: A worker silent for this long was ended, or ended itself: what it left behind goes.
FORGOTTEN_AFTER = 2 * SILENT_FOR


def heartbeats(blobs: Blobs) -> tuple[Heartbeat, ...]:
    """The newest of each instance, of those, too, that were killed lately."""
    return by_instance(_of_workers(blobs))


def forget_silent(blobs: Blobs, now: float) -> None:
    """Removes the heartbeats that killed workers left behind."""
    for worker in _of_workers(blobs):
        if now - worker.at > FORGOTTEN_AFTER:
            blobs.delete(keys.heartbeat(worker.id))


def by_instance(workers: Iterable[Heartbeat]) -> tuple[Heartbeat, ...]:
    """Those of one instance put together: `i-1.0` and `i-1.1` are its two workers, one for each core."""
    of: dict[str, list[Heartbeat]] = defaultdict(list)
    for worker in workers:
        instance, dot, number = worker.id.rpartition(".")
        of[instance if dot and number.isdecimal() else worker.id].append(worker)
    return tuple(_together(instance, several) for instance, several in of.items())


def _together(instance: str, workers: list[Heartbeat]) -> Heartbeat:
    """As one that does all their jobs, each in the time in which one comes after the other."""
    if len(workers) == 1:
        return replace(workers[0], id=instance)
    jobs = sum(worker.jobs for worker in workers)
    seconds = sum(worker.jobs * worker.service_seconds for worker in workers)
    return Heartbeat(
        instance,
        _state({worker.state for worker in workers}),
        jobs,
        min(worker.since for worker in workers),
        max(worker.at for worker in workers),
        seconds / jobs / len(workers) if jobs else 0.0,
    )


def _state(states: set[WorkerState]) -> WorkerState:
    """Draining once all of them are; busy as long as one is."""
    if states == {WorkerState.DRAINING}:
        return WorkerState.DRAINING
    return WorkerState.IDLE if states <= {WorkerState.IDLE, WorkerState.DRAINING} else WorkerState.BUSY


def _of_workers(blobs: Blobs) -> list[Heartbeat]:
    found = []
    for blob in blobs.list(keys.WORKERS):
        try:
            found.append(wire.load_heartbeat(blobs.get(blob.key)))
        except (NotFound, BadMessage):
            continue
    return found
