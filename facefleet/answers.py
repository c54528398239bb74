"""How an answer gets out: stored under the job's id, then sent to whoever waits. Twice is harmless."""

import json
import logging
from collections.abc import Callable, Iterable, Mapping

import pybase64 as base64

from facefleet import csvline, keys, wire
from facefleet.errors import NotFound, TooLarge
from facefleet.model import UNKNOWN, Job, JobKind, Result
from facefleet.ports import Blobs, Queue
from facefleet.wire import Json

log = logging.getLogger(__name__)

#: Keeps a job's result, and of its image what is to be kept; returns what clients see.
Store = Callable[[Blobs, Job, Result, bytes | None], Json]

#: Beside what clients see, and stripped before they do: each face's encoding, which a later rejection needs.
ENCODINGS = "_encodings"
#: The same: where the file lies that a client, and not a worker, put into the input bucket.
SOURCE = "_source"
#: The same: where its line lies that a function wrote, under the file's stem and an ending.
LINE = "_line"
HIDDEN = (ENCODINGS, SOURCE, LINE)
#: What is asked who is on it; the image or clip is kept, and the bare answer.
ASKED = (JobKind.RECOGNISE, JobKind.VIDEO)


def store(blobs: Blobs, job: Job, result: Result, image: bytes | None = None) -> Json:
    """Keeps the result by id and, of a recognition, the image as sent and the bare answer; returns what clients see."""
    return store_whole(blobs, job, whole_of(job, result), image)


def whole_of(job: Job, result: Result) -> Json:
    """The result as it is kept, with what clients do not see."""
    whole = wire.result_to_json(result)
    if any(face.encoding for face in result.faces):
        whole[ENCODINGS] = [base64.b64encode_as_string(face.encoding) for face in result.faces]
    if job.blob is not None and not keys.is_claim(job.blob):
        whole[SOURCE] = job.blob
    return whole


def store_whole(blobs: Blobs, job: Job, whole: Json, image: bytes | None) -> Json:
    """As `store`, of a result as it was kept already, encodings and all."""
    kept: dict[str, bytes] = {}
    if job.kind in ASKED and image is not None and SOURCE not in whole:
        # As sent, whatever became of it, so that it can be looked at.
        kept[keys.input_image(job.filename)] = image
    if job.kind in ASKED and whole["error"] is None:
        kept[keys.answer(job.filename)] = whole["answer"].encode()
    # Last: a worker that finds it takes the job as done, and does nothing over again.
    kept[keys.result(job.id)] = json.dumps(whole).encode()
    blobs.put_all(kept)
    return shown(whole)


def stored(blobs: Blobs, job_id: str) -> Json | None:
    """The result by id as clients see it, or None as long as there is none."""
    whole = stored_whole(blobs, job_id)
    return None if whole is None else shown(whole)


def stored_whole(blobs: Blobs, job_id: str) -> Json | None:
    """The result as it is kept: never for a client, whom encodings, which are biometric, do not concern."""
    body = found(blobs, keys.result(job_id))
    return None if body is None else dict(json.loads(body))


def shown(whole: Json) -> Json:
    return {name: value for name, value in whole.items() if name not in HIDDEN}


def encoding_of(whole: Json, face: int) -> bytes:
    """The encoding of the face at this place; empty where none was kept."""
    encodings = whole.get(ENCODINGS, ())
    return base64.b64decode(encodings[face]) if face < len(encodings) else b""


def named(result: Json) -> set[str]:
    """The ids of everybody whom a result names, also as enrolled, as a candidate, or in what went wrong."""
    people = {result["answer"], *(face["person"] for face in result["faces"])}
    people.update(candidate["person"] for face in result["faces"] for candidate in face["candidates"])
    for one in result.get("video", {}).get("appearances", ()):
        people.update((one["person"], *(candidate["person"] for candidate in one["best"]["candidates"])))
    people.add((result["error"] or {}).get("person"))
    return people - {None, UNKNOWN}


def erase(blobs: Blobs, whole: Json, *, answer: str) -> None:
    """Deletes the result, its image, and what lies, or ever lay, under the file's stem where that is this answer."""
    filename = whole["filename"]
    # The image first, which only the result tells of: an erasure that is cut short here is asked for again.
    # Whatever the name stands for by now: an image less is better than a face that stays.
    blobs.delete(whole.get(SOURCE) or keys.input_image(filename))
    blobs.delete(keys.result(whole["id"]))
    blobs.delete(keys.queued(whole["id"]))
    # Both, for the ending is a setting, which may have been another one when the file was first answered.
    for key in {keys.answer(filename), whole.get(LINE, keys.answer(filename))}:
        if (lies_there := found(blobs, key)) is None or _says(lies_there, answer):
            blobs.delete(key)
        else:
            # Another's by now, as files may be called alike; this one's is perhaps among those before it.
            blobs.delete_older(key)


def _says(body: bytes, answer: str) -> bool:
    """Whether this answer lies there, bare as workers write it or at the head of a function's line."""
    try:
        return body == answer.encode() or csvline.values_of(body.decode().rstrip("\n"))[:1] == [answer]
    except ValueError:
        return False


def columns_of(text: str) -> tuple[str, ...]:
    """The attributes that stand in a line of results behind the name; `text`: the setting that names them."""
    return tuple(column.strip() for column in text.split(",") if column.strip())


def row(result: Json, columns: Iterable[str]) -> list[str]:
    """The answer, and these attributes of who answers, as text: `mr_bean`, `lawyer`, `freshmen`; empty: has none."""
    attributes = result["faces"][0]["attributes"] if result["faces"] else {}
    return [result["answer"], *cells(attributes, columns)]


def cells(attributes: Mapping[str, object], columns: Iterable[str]) -> tuple[str, ...]:
    """Of these attributes those of the columns, as text; empty: there is none."""
    values = (attributes.get(column) for column in columns)
    return tuple("" if value is None else str(value) for value in values)


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


def mark_erased(blobs: Blobs, now: float) -> None:
    """From now on, an answer to a job submitted earlier may be missing since it named somebody who was erased."""
    blobs.put(keys.ERASED, repr(now).encode())


def erased_since(blobs: Blobs, submitted_at: float) -> bool:
    return float(found(blobs, keys.ERASED) or 0) > submitted_at


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
