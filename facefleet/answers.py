"""How an answer gets out: stored under the job's id, then sent to whoever waits. Twice is harmless."""

import json
import logging
from collections.abc import Callable

from facefleet import keys, wire
from facefleet.errors import NotFound, TooLarge
from facefleet.model import Job, JobKind, Result
from facefleet.ports import Blobs, Queue
from facefleet.wire import Json

log = logging.getLogger(__name__)


def store(blobs: Blobs, job: Job, result: Result) -> Json:
    """Keeps the result by id and, for a recognition, the bare answer by the file's stem; returns what was kept."""
    body = wire.result_to_json(result)
    if job.kind is JobKind.RECOGNISE and result.error is None:
        blobs.put(keys.answer(job.filename), result.answer.encode())
    # Last: a worker that finds it takes the job as done, and does nothing over again.
    blobs.put(keys.result(job.id), json.dumps(body).encode())
    return body


def stored(blobs: Blobs, job_id: str) -> Json | None:
    """The result by id, or None as long as there is none."""
    body = found(blobs, keys.result(job_id))
    return None if body is None else dict(json.loads(body))


def promise(blobs: Blobs, job_id: str) -> None:
    """Remembers that this id was given to a client, before it is: asking early then says queued, not 404."""
    blobs.put(keys.queued(job_id), b"")


def promised(blobs: Blobs, job_id: str) -> bool:
    return found(blobs, keys.queued(job_id)) is not None


def mark_purged(blobs: Blobs, now: float) -> None:
    """From now on, whoever waits for a job submitted earlier can be told that it is gone."""
    blobs.put(keys.PURGED, repr(now).encode())


def purged_since(blobs: Blobs, submitted_at: float) -> bool:
    return float(found(blobs, keys.PURGED) or 0) > submitted_at


def found(blobs: Blobs, key: str) -> bytes | None:
    """The blob, or None where there is none."""
    try:
        return blobs.get(key)
    except NotFound:
        return None


def reply(replies: Callable[[str], Queue], job: Job, result: Json) -> None:
    """Tells the process that waits; if it is gone, the stored result is what its client will find."""
    if job.reply_to is None:
        return
    try:
        replies(job.reply_to).send(wire.dump_reply(job.id, result))
    except NotFound:
        log.info("job %s: nobody waits at %s any more", job.id, job.reply_to)
    except TooLarge:
        log.warning("job %s: its result fits no reply, and is found where it is stored", job.id)
