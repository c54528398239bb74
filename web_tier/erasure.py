"""Forgetting for good: one person, or everything that waits and was answered."""

import logging
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from math import inf
from uuid import uuid4

from facefleet import answers, keys, wire
from facefleet.errors import ServiceError
from facefleet.model import Job, JobKind
from facefleet.ports import Blobs, People, Queue

log = logging.getLogger(__name__)

Count = dict[str, int]


def erase_person(people: People, blobs: Blobs, requests: Queue, person_id: str) -> Count | None:
    """Erases the person, their photos, and every answer that names them; None if there was nobody.

    The person goes first, so that no worker names them from then on; what workers stored until then goes next.
    """
    person = people.delete(person_id)
    # An erasure that was cut short is asked for again: it left photos, then, and the file with everybody's encodings.
    was_there = person is not None or any(True for _ in blobs.list(keys.photos(person_id), every_version=True))
    _mark_erased(blobs)
    lost = was_there and blobs.delete(keys.SNAPSHOT)
    photos = _delete_all(blobs, keys.photos(person_id))
    named = _erase_answers(blobs, person_id)
    if lost:
        _have_tidied(requests)
    if person is None:
        return None
    return {"people": 1, "photos": photos, "encodings": len(person.photos), "answers": named}


def _mark_erased(blobs: Blobs) -> None:
    """Before any answer goes, so that nobody who asks again, under the same key, waits for it."""
    try:
        answers.mark_erased(blobs, time.time())
    except ServiceError as e:
        # What is to be erased goes all the same.
        log.warning("nobody is told that answers are erased: %s", e)


def purge(requests: Queue, dead: Queue, blobs: Blobs) -> Count:
    """Empties the queues and deletes images and answers; people stay.

    Each of these whatever becomes of the others: then raises what went wrong.
    """
    now = time.time()
    # Before anything goes, so that what comes from now on is neither told that it is gone, nor is.
    answers.mark_purged(blobs, now)
    removed = {"messages": 0, "blobs": 0}

    def remove(what: str, how: Callable[[], int]) -> None:
        removed[what] += how()

    with ExitStack() as last_first:
        for area in keys.FORGOTTEN:
            last_first.callback(remove, "blobs", partial(_delete_all, blobs, area, before=now))
        # After the requests: those received too often already move here when they are received to be purged.
        last_first.callback(remove, "messages", dead.purge)
        last_first.callback(remove, "messages", requests.purge)
    return removed


def erase_everybody(people: People, blobs: Blobs) -> int:
    """Erases every person, their photos, and the snapshot; returns how many people. Their answers are the purge's."""
    count = people.clear()
    blobs.delete(keys.SNAPSHOT)
    _delete_all(blobs, keys.PHOTOS)
    return count


def _have_tidied(requests: Queue) -> None:
    """Has a worker make another snapshot now, so that none has to read everybody while an image waits for it."""
    try:
        requests.send(wire.dump_job(Job(uuid4().hex, JobKind.TIDY, "-", time.time())))
    except ServiceError as e:
        log.warning("nobody is asked for a new snapshot of the gallery: %s", e)


def _delete_all(blobs: Blobs, prefix: str, *, before: float = inf) -> int:
    return sum(
        blobs.delete(info.key) for info in list(blobs.list(prefix, every_version=True)) if info.modified < before
    )


def _erase_answers(blobs: Blobs, person_id: str) -> int:
    """Every answer is read: erasure is rare, and an index of who was seen would itself be what is to be erased."""
    named = 0
    for info in list(blobs.list(keys.RESULTS)):
        job_id = info.key.removeprefix(keys.RESULTS).removesuffix(".json")
        whole = answers.stored_whole(blobs, job_id)
        if whole is not None and person_id in answers.named(whole):
            answers.erase(blobs, whole, answer=person_id)
            named += 1
    return named
