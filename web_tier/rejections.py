"""A name that a face was given and that is not theirs: taken note of for later, and undone."""

from dataclasses import dataclass, replace
from typing import Any

from flask import Blueprint, Response, url_for

from facefleet import answers
from facefleet.errors import NotFound
from facefleet.model import Person, Rejection
from facefleet.people import PERSON_ID, update
from facefleet.ports import Blobs, People
from facefleet.problems import Problem
from facefleet.wire import Json
from web_tier.answering import lookup
from web_tier.auth import needs
from web_tier.people import created
from web_tier.uploads import json_object

#: DynamoDB keeps 400 KB for a person: at 800 bytes each, rejections leave most of it to photos.
MAX_REJECTIONS = 100


@dataclass(frozen=True)
class RejectionViews:
    """The views, given what they need."""

    people: People
    blobs: Blobs

    def blueprint(self) -> Blueprint:
        routes = Blueprint("rejections", __name__)
        at = "/v1/people/<person_id>/rejections/<rejection_id>"
        routes.add_url_rule("/v1/recognitions/<job_id>/rejections", view_func=self.reject, methods=["POST"])
        routes.add_url_rule(at, view_func=self.undo, methods=["DELETE"])
        return routes

    @needs("enrol")
    def reject(self, job_id: str) -> Response:
        body = json_object(may_be_empty=True)
        whole = _recognition(self.blobs, job_id)
        face = _face(whole, body)
        person_id = _person_id(whole["faces"][face], body)
        rejection = Rejection(f"{job_id}-{face}", _encoding(whole, face))
        person = self.people.get(person_id)
        # Asked for again it is there already, and the gallery needs no new version.
        if rejection.id not in {r.id for r in person.rejections}:
            update(self.people, person_id, lambda person: _with(person, rejection))
        where = url_for("rejections.undo", person_id=person_id, rejection_id=rejection.id)
        return created({"rejection": {"id": rejection.id, "person": person_id}}, where)

    @needs("enrol")
    def undo(self, person_id: str, rejection_id: str) -> Response:
        try:
            if rejection_id in {r.id for r in self.people.get(person_id).rejections}:
                update(self.people, person_id, lambda person: _without(person, rejection_id))
        except NotFound:
            # Erased, and the rejection with them.
            pass
        return Response(status=204)


def _recognition(blobs: Blobs, job_id: str) -> Json:
    """The stored result with its encodings; raises `NotFound`, or the problem 409 while there is none yet."""
    whole = lookup(blobs, job_id)
    if whole is None:
        raise Problem(409, "still_queued", "no worker has answered this yet: reject the answer once there is one")
    return whole


def _face(whole: Json, body: dict[str, Any]) -> int:
    face, count = body.get("face", 0), len(whole["faces"])
    if type(face) is not int or not 0 <= face < count:
        raise Problem(400, "bad_face", f"face is a place in the answer's list of faces, from 0; it has {count}")
    return face


def _person_id(face: Json, body: dict[str, Any]) -> str:
    person_id = body.get("person", face["person"])
    if person_id is None:
        raise Problem(400, "nobody_named", 'this face was given no name: say whose it is not, {"person": "…"}')
    if not isinstance(person_id, str) or not PERSON_ID.fullmatch(person_id):
        raise Problem(400, "bad_id", "person is the id of somebody enrolled")
    return person_id


def _encoding(whole: Json, face: int) -> bytes:
    encoding = answers.encoding_of(whole, face)
    if not encoding:
        raise Problem(409, "no_encoding", "this answer is from before encodings were kept: send the image again")
    return encoding


def _with(person: Person, rejection: Rejection) -> Person:
    others = _without(person, rejection.id).rejections
    if len(others) >= MAX_REJECTIONS:
        detail = f"{person.id} has {MAX_REJECTIONS} rejections, and no more are kept: undo some that matter less"
        raise Problem(409, "too_many_rejections", detail)
    return replace(person, rejections=(*others, rejection))


def _without(person: Person, rejection_id: str) -> Person:
    return replace(person, rejections=tuple(r for r in person.rejections if r.id != rejection_id))
