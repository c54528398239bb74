"""What workers say of themselves, from their blobs."""

from controller.remedies import SILENT_FOR
from facefleet import keys, wire
from facefleet.errors import BadMessage, NotFound
from facefleet.model import Heartbeat
from facefleet.ports import Blobs

#: A worker silent for this long was ended, or ended itself: what it left behind goes.
FORGOTTEN_AFTER = 2 * SILENT_FOR


def heartbeats(blobs: Blobs) -> tuple[Heartbeat, ...]:
    """The newest of each worker, of those, too, that were killed lately."""
    found = []
    for blob in blobs.list(keys.WORKERS):
        try:
            found.append(wire.load_heartbeat(blobs.get(blob.key)))
        except (NotFound, BadMessage):
            continue
    return tuple(found)


def forget_silent(blobs: Blobs, now: float) -> None:
    """Removes the heartbeats that killed workers left behind."""
    for worker in heartbeats(blobs):
        if now - worker.at > FORGOTTEN_AFTER:
            blobs.delete(keys.heartbeat(worker.id))
