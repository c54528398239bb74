"""The JSON that other programs read: messages, replies, results, people. Shapes are binding; fields may be added.

JSON says `id` for a thing's own id, and `person` where code says `person_id`.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from math import isfinite
from typing import Any

import pybase64 as base64

from facefleet.errors import BadMessage
from facefleet.model import (
    Appearance,
    Box,
    Candidate,
    Face,
    Failure,
    Footage,
    Heartbeat,
    Job,
    JobKind,
    Person,
    Photo,
    Rejection,
    Result,
    WorkerState,
)

VERSION = 1
#: What reading something that is not ours may end with: nested too deep, numbers too large, anything.
GARBAGE = (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError)
Json = dict[str, Any]


#: What stands before an image in a message, and behind it.
IMAGE, END = ', "image": "', '"}'


def dump_job(job: Job) -> str:
    fields = json.dumps(
        {
            "v": VERSION,
            "id": job.id,
            "kind": job.kind,
            "filename": job.filename,
            "blob": job.blob,
            "reply_to": job.reply_to,
            "submitted_at": job.submitted_at,
            "person": job.person_id,
            "top_k": job.top_k,
            "force": job.force,
            "again": job.again,
            "everybody": job.everybody,
        }
    )
    # Base64 has nothing to escape: to let `json` look at each character would take longer than encoding the image.
    if job.image is None:
        return f'{fields[:-1]}, "image": null}}'
    return f"{fields[:-1]}{IMAGE}{base64.b64encode_as_string(job.image)}{END}"


def load_job(text: str) -> Job:
    """Raises `BadMessage` for anything that `dump_job` would not have written."""
    try:
        body = _loaded(text)
        if body["v"] != VERSION:
            raise BadMessage(f"message of version {body['v']}, this worker reads {VERSION}: upgrade it")
        return Job(
            id=_text(body["id"]),
            kind=JobKind(body["kind"]),
            filename=_text(body["filename"]),
            submitted_at=_seconds(body["submitted_at"]),
            image=None if body["image"] is None else base64.b64decode(body["image"], validate=True),
            blob=_text_or_none(body["blob"]),
            reply_to=_text_or_none(body["reply_to"]),
            person_id=_text_or_none(body["person"]),
            top_k=int(body.get("top_k", 0)),
            force=body.get("force", False) is True,
            again=body.get("again", False) is True,
            everybody=body.get("everybody", False) is True,
        )
    except GARBAGE as e:
        raise BadMessage(f"not a message of ours: {e}") from e


def _loaded(text: str) -> Json:
    """The message's fields; as in `dump_job`, its image is not looked at as JSON.

    Within a string of JSON the quotes would be escaped: these are the image's.
    """
    at = text.find(IMAGE)
    if at < 0 or not text.endswith(END) or text.find('"', at + len(IMAGE), -len(END)) >= 0:
        return dict(json.loads(text))
    return dict(json.loads(text[:at] + "}"), image=text[at + len(IMAGE) : -len(END)])


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("text expected")
    return value


def dump_reply(job_id: str, result: Json) -> str:
    return json.dumps({"v": VERSION, "id": job_id, "result": result})


def load_reply(text: str) -> Json:
    """The result's JSON out of a reply; raises `BadMessage`."""
    try:
        reply = json.loads(text)
        result: Json = reply["result"]
        if reply["v"] != VERSION or result["id"] != reply["id"]:
            raise BadMessage("a reply of another version, or to another job")
        return result
    except GARBAGE as e:
        raise BadMessage(f"not a reply of ours: {e}") from e


def _seconds(value: object) -> float:
    if not isinstance(value, int | float) or not isfinite(value):
        raise ValueError("seconds expected")
    return float(value)


def _text_or_none(value: object) -> str | None:
    return None if value is None else _text(value)


def result_to_json(result: Result) -> Json:
    body: Json = {
        "id": result.job_id,
        "filename": result.filename,
        "status": "failed" if result.error else "done",
        "answer": result.answer,
        "error": failure_to_json(result.error) if result.error else None,
        "faces": [face_to_json(face) for face in result.faces],
        "gallery_version": result.gallery_version,
        "model": result.model,
        "timings": {name: round(seconds, 4) for name, seconds in asdict(result.timings).items()},
    }
    if result.photo is not None:
        body["photo"] = photo_to_json(result.photo)
    if result.footage is not None:
        body["video"] = footage_to_json(result.footage)
    return body


def failure_to_json(failure: Failure) -> Json:
    return {
        "code": failure.code,
        "detail": failure.detail,
        "forcible": failure.forcible,
        "person": failure.person_id,
    }


def face_to_json(face: Face) -> Json:
    return {
        "box": asdict(face.box),
        "person": face.person_id,
        "name": face.name,
        "distance": face.distance,
        "similarity": face.similarity,
        "threshold": face.threshold,
        "match": face.person_id is not None,
        "attributes": dict(face.attributes),
        "candidates": [candidate_to_json(c) for c in face.candidates],
    }


def footage_to_json(footage: Footage) -> Json:
    return {
        "seconds": footage.seconds,
        "frames": footage.frames,
        "until": footage.until,
        "cut": footage.cut,
        "at": footage.at,
        "appearances": [appearance_to_json(one) for one in footage.appearances],
    }


def appearance_to_json(appearance: Appearance) -> Json:
    face = face_to_json(appearance.best)
    best = {"at": appearance.best_at} | {
        name: face[name] for name in ("box", "distance", "similarity", "threshold", "candidates")
    }
    who = {name: face[name] for name in ("person", "name", "attributes")}
    return who | {"from": appearance.start, "to": appearance.end, "frames": appearance.frames, "best": best}


def candidate_to_json(candidate: Candidate) -> Json:
    return {"person": candidate.person_id, "distance": candidate.distance, "similarity": candidate.similarity}


def photo_to_json(photo: Photo) -> Json:
    return {"id": photo.id, "box": asdict(photo.box), "encodings": 1}


def person_to_json(person: Person) -> Json:
    """What `/v1/people` shows: no encodings, which are biometric and of no use to a client."""
    return {
        "id": person.id,
        "name": person.name,
        "attributes": dict(person.attributes),
        "photos": [photo_to_json(p) for p in person.photos],
        "rejections": [{"id": rejection.id} for rejection in person.rejections],
    }


def dump_person(person: Person) -> str:
    """The whole person, encodings too: for the store, never for a client."""
    return json.dumps(
        {
            "name": person.name,
            "attributes": dict(person.attributes),
            "photos": [
                {"id": p.id, "box": asdict(p.box), "encoding": base64.b64encode_as_string(p.encoding)}
                for p in person.photos
            ],
            "rejections": [{"id": r.id, "encoding": base64.b64encode_as_string(r.encoding)} for r in person.rejections],
        }
    )


def load_person(person_id: str, version: int, text: str) -> Person:
    body: Mapping[str, Any] = json.loads(text)
    photos = tuple(Photo(p["id"], Box(**p["box"]), base64.b64decode(p["encoding"])) for p in body["photos"])
    # People stored before there were rejections have none.
    rejections = tuple(Rejection(r["id"], base64.b64decode(r["encoding"])) for r in body.get("rejections", ()))
    return Person(person_id, body["name"], body["attributes"], photos=photos, version=version, rejections=rejections)


def dump_heartbeat(heartbeat: Heartbeat) -> bytes:
    return json.dumps(asdict(heartbeat)).encode()


def load_heartbeat(data: bytes) -> Heartbeat:
    """Raises `BadMessage`."""
    try:
        body = json.loads(data)
        return Heartbeat(**(body | {"state": WorkerState(body["state"])}))
    except GARBAGE as e:
        raise BadMessage(f"not a heartbeat of ours: {e}") from e
