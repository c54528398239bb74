"""What somebody has to do now and again: answer for dead letters, forget what is old."""

import logging
import time
from collections.abc import Callable
from math import inf

from facefleet import answers, keys, wire
from facefleet.errors import BadMessage
from facefleet.model import Failure, Job, JobKind, Message, Result, Timings
from facefleet.ports import Blobs, Queue

log = logging.getLogger(__name__)
#: SQS's longest lease. A letter that was settled comes again only then, so that looking is cheap.
#: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
SETTLED = 12 * 3600.0


def answer_dead_letters(dead: Queue, blobs: Blobs, replies: Callable[[str], Queue]) -> int:
    """Tells each dead letter's client that its job failed, and keeps the letter to be looked at; returns how many."""
    answered = 0
    while messages := dead.receive():
        answered += _answer(messages[0], blobs, replies)
        # Not before: one whose client could not be told comes again soon.
        dead.extend(messages[0], seconds=SETTLED)
    return answered


def _answer(message: Message, blobs: Blobs, replies: Callable[[str], Queue]) -> bool:
    try:
        job = wire.load_job(message.body)
    except BadMessage as e:
        log.warning("a dead letter is no job, so nobody can be told: %s", e)
        return False
    if job.kind is JobKind.TIDY:
        # Nobody asked, so nobody is told.
        return False
    result = answers.stored(blobs, job.id)
    if result is None:
        log.error("job %s: dead letter, it ended every worker that took it", job.id)
        result = answers.store(blobs, job, _given_up(job), job.image)
    answers.reply(replies, job, result)
    return True


def _given_up(job: Job) -> Result:
    detail = "no worker could finish this image, and each was tried more than once: send another image"
    waited = max(0.0, time.time() - job.submitted_at)
    return Result(job.id, job.filename, error=Failure("gave_up", detail), timings=Timings(waited, 0.0, waited))


def forget(blobs: Blobs, before: float, *, sent_before: float = -inf) -> int:
    """Deletes images, answers and marks last written before that time, every version of them; returns how many.

    `sent_before`: the same for what was sent under an `Idempotency-Key`, where that is later.
    """
    limits = dict.fromkeys(keys.FORGOTTEN, before) | {keys.IDEMPOTENCY: max(before, sent_before)}
    found = ((info, limit) for area, limit in limits.items() for info in blobs.list(area, every_version=True))
    old = [info.key for info, limit in found if info.modified < limit]
    forgotten = sum(blobs.delete(key) for key in old)
    if forgotten:
        log.info("forgot %d images and answers", forgotten)
    return forgotten
