"""What workers say of themselves, from their blobs; and what an instance is by that, however many it runs."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace

from controller.remedies import SILENT_FOR
from facefleet import keys, wire
from facefleet.errors import BadMessage, NotFound
from facefleet.model import Heartbeat, WorkerState
from facefleet.ports import Blobs

#: A worker silent for this long was ended, or ended itself: what it left behind goes.
FORGOTTEN_AFTER = 2 * SILENT_FOR


def heartbeats(blobs: Blobs) -> tuple[Heartbeat, ...]:
    """The newest of each worker, of those, too, that were killed lately."""
    return tuple(_of_workers(blobs))


def forget_silent(blobs: Blobs, now: float) -> None:
    """Removes the heartbeats that killed workers left behind."""
    for worker in _of_workers(blobs):
        if now - worker.at > FORGOTTEN_AFTER:
            blobs.delete(keys.heartbeat(worker.id))


def by_instance(workers: Iterable[Heartbeat]) -> tuple[Heartbeat, ...]:
    """Those of one instance put together, one worker for each core. What they did is counted worker by worker."""
    of: dict[str, list[Heartbeat]] = defaultdict(list)
    for worker in workers:
        of[instance_of(worker.id)].append(worker)
    return tuple(_together(instance, several) for instance, several in of.items())


def instance_of(worker: str) -> str:
    """`i-1.0` and `i-1.1` run on `i-1`; any other is its instance."""
    instance, dot, number = worker.rpartition(".")
    return instance if dot and number.isdecimal() else worker


def crews(workers: Iterable[Heartbeat], before: Mapping[str, int]) -> dict[str, int]:
    """How many workers each instance has; one that ended stays counted as long as others of its instance speak."""
    counts = Counter(instance_of(worker.id) for worker in workers)
    return {instance: max(count, before.get(instance, 0)) for instance, count in counts.items()}


def _together(instance: str, workers: list[Heartbeat]) -> Heartbeat:
    """As one that does all their jobs, each in the time in which one comes after the other."""
    if len(workers) == 1:
        return workers[0] if workers[0].id == instance else replace(workers[0], id=instance)
    jobs = sum(worker.jobs for worker in workers)
    seconds = sum(worker.jobs * worker.service_seconds for worker in workers)
    return Heartbeat(
        instance,
        _state({worker.state for worker in workers}),
        jobs,
        min(worker.since for worker in workers),
        max(worker.at for worker in workers),
        seconds / jobs / len(workers) if jobs else 0.0,
        any(worker.leaves for worker in workers),
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
