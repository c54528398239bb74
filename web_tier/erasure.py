"""Forgetting for good: one person, or everything that waits and was answered."""

import time
from math import inf

from facefleet import answers, keys
from facefleet.ports import Blobs, People, Queue
from facefleet.wire import Json

Count = dict[str, int]


def erase_person(people: People, blobs: Blobs, person_id: str) -> Count | None:
    """Erases the person, their photos, and every answer that names them; None if there was nobody.

    The person goes first, so that no worker names them from then on; what workers stored until then goes next.
    """
    person = people.delete(person_id)
    # It has everybody's encodings; whoever needs it makes another.
    blobs.delete(keys.SNAPSHOT)
    photos = _delete_all(blobs, keys.photos(person_id))
    named = _erase_answers(blobs, person_id)
    if person is None:
        return None
    return {"people": 1, "photos": photos, "encodings": len(person.photos), "answers": named}


def purge(requests: Queue, dead: Queue, blobs: Blobs) -> Count:
    """Empties the queues and deletes images and answers; people stay."""
    now = time.time()
    # Before anything goes, so that what comes from now on is neither told that it is gone, nor is.
    answers.mark_purged(blobs, now)
    messages = requests.purge() + dead.purge()
    return {"messages": messages, "blobs": sum(_delete_all(blobs, area, before=now) for area in keys.FORGOTTEN)}


def erase_everybody(people: People, blobs: Blobs) -> int:
    """Erases every person, their photos, and the snapshot; returns how many people. Their answers are the purge's."""
    count = people.clear()
    blobs.delete(keys.SNAPSHOT)
    _delete_all(blobs, keys.PHOTOS)
    return count


def _delete_all(blobs: Blobs, prefix: str, *, before: float = inf) -> int:
    return sum(blobs.delete(info.key) for info in list(blobs.list(prefix)) if info.modified < before)


def _erase_answers(blobs: Blobs, person_id: str) -> int:
    """Every answer is read: erasure is rare, and an index of who was seen would itself be what is to be erased."""
    named = 0
    for info in list(blobs.list(keys.RESULTS)):
        job_id = info.key.removeprefix(keys.RESULTS).removesuffix(".json")
        result = answers.stored(blobs, job_id)
        if result is not None and _names(result, person_id):
            answers.erase(blobs, result, answer=person_id)
            named += 1
    return named


def _names(result: Json, person_id: str) -> bool:
    people = {result["answer"], *(face["person"] for face in result["faces"])}
    people.update(candidate["person"] for face in result["faces"] for candidate in face["candidates"])
    return person_id in people
