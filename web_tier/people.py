"""`/v1/people`: who is enrolled, and with which photos."""

import json
import re
from dataclasses import dataclass, replace
from typing import Any

from flask import Blueprint, Response, jsonify, request, url_for

from facefleet import answers
from facefleet.errors import Conflict, NotFound
from facefleet.model import UNKNOWN, Person
from facefleet.people import update
from facefleet.ports import Blobs, People, Queue
from facefleet.settings import Settings
from facefleet.wire import Json, person_to_json, photo_to_json
from web_tier.auth import needs
from web_tier.desk import Desk
from web_tier.erasure import erase_person
from web_tier.problems import Problem, unless_failed
from web_tier.recognitions import lookup, queued, still_queued
from web_tier.uploads import json_object, probe_of_request

#: An id is the classic answer and a table's key: one word, without the signs that those give a meaning.
PERSON_ID = re.compile(r"\w[\w.@-]{0,63}")
MAX_NAME = 200
#: DynamoDB keeps 400 KB for a person; attributes are to leave room for encodings.
MAX_ATTRIBUTES_BYTES = 16_384
MAX_PAGE = 1000
#: How long an enrolment waits for a worker before it says 202.
ENROL_WAIT = 30.0
TRUTH = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True)
class PeopleViews:
    """The views, given what they need."""

    desk: Desk
    people: People
    blobs: Blobs
    requests: Queue
    settings: Settings

    def blueprint(self) -> Blueprint:
        routes = Blueprint("people", __name__)
        routes.add_url_rule("/v1/people", view_func=self.list_people, methods=["GET"])
        routes.add_url_rule("/v1/people", view_func=self.add_person, methods=["POST"])
        routes.add_url_rule("/v1/people/<person_id>", view_func=self.show_person, methods=["GET"])
        routes.add_url_rule("/v1/people/<person_id>", view_func=self.change_person, methods=["PATCH"])
        routes.add_url_rule("/v1/people/<person_id>", view_func=self.erase, methods=["DELETE"])
        routes.add_url_rule("/v1/people/<person_id>/photos", view_func=self.enrol, methods=["POST"])
        routes.add_url_rule("/v1/people/<person_id>/photos/<photo_id>", view_func=self.show_photo, methods=["GET"])
        return routes

    @needs("enrol")
    def list_people(self) -> Response:
        limit = _limit()
        page = self.people.list(after=request.args.get("cursor", ""), limit=limit + 1)
        more = page[limit - 1].id if len(page) > limit else None
        return jsonify(people=[person_to_json(person) for person in page[:limit]], next=more)

    @needs("enrol")
    def add_person(self) -> Response:
        body = json_object()
        person_id = body.get("id")
        if not isinstance(person_id, str) or not PERSON_ID.fullmatch(person_id) or person_id == UNKNOWN:
            raise Problem(400, "bad_id", "an id is a word of at most 64 letters, digits and . _ @ -, and not 'unknown'")
        person = _changed(Person(person_id, person_id), body)
        try:
            self.people.put(person)
        except Conflict:
            raise Problem(409, "person_exists", f"there is a person {person_id} already") from None
        return created(person_to_json(person), url_for("people.show_person", person_id=person_id))

    @needs("enrol")
    def show_person(self, person_id: str) -> Response:
        return jsonify(person_to_json(self.people.get(person_id)))

    @needs("enrol")
    def change_person(self, person_id: str) -> Response:
        body = json_object()
        return jsonify(person_to_json(update(self.people, person_id, lambda person: _changed(person, body))))

    @needs("admin")
    def erase(self, person_id: str) -> Response:
        erased = erase_person(self.people, self.blobs, self.requests, person_id)
        return jsonify(erased=erased) if erased else Response(status=204)

    @needs("enrol")
    def enrol(self, person_id: str) -> Response:
        with self.desk.seat():
            self.people.get(person_id)
            force = _force()
            probe = probe_of_request(self.settings.max_pixels)
            job = self.desk.enrolment(probe, person_id, force=force)
            where = url_for("people.show_photo", person_id=person_id, photo_id=job.id)
            result = self.desk.ask(job, probe, timeout=ENROL_WAIT)
        if result is None:
            answers.promise(self.blobs, job.id)
            return queued(job, where)
        return created({"photo": unless_failed(result)["photo"]}, where)

    @needs("enrol")
    def show_photo(self, person_id: str, photo_id: str) -> Response:
        for photo in self.people.get(person_id).photos:
            if photo.id == photo_id:
                return jsonify(photo=photo_to_json(photo))
        return _unfinished(self.blobs, photo_id)


def _unfinished(blobs: Blobs, photo_id: str) -> Response:
    """Of an enrolment that is queued, failed, or whose photo is not there any more."""
    whole = lookup(blobs, photo_id)
    if whole is None:
        return still_queued(photo_id)
    unless_failed(whole)
    raise NotFound(f"no photo {photo_id}: it was erased")


def created(body: Json, where: str) -> Response:
    response = jsonify(body)
    response.status_code = 201
    response.headers["Location"] = where
    return response


def _limit() -> int:
    text = request.args.get("limit", "100")
    if not text.isdecimal() or not 1 <= int(text) <= MAX_PAGE:
        raise Problem(400, "bad_limit", f"limit is a number from 1 to {MAX_PAGE}")
    return int(text)


def _force() -> bool:
    text = request.args.get("force", "false").lower()
    if text not in TRUTH:
        raise Problem(400, "bad_force", "force is true or false")
    return TRUTH[text]


def _changed(person: Person, body: dict[str, Any]) -> Person:
    """The person with the body's name and attributes; an attribute of null goes (RFC 7396)."""
    name, given = body.get("name", person.name), body.get("attributes", {})
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME:
        raise Problem(400, "bad_name", f"a name is text of at most {MAX_NAME} characters")
    if not isinstance(given, dict) or any(isinstance(value, dict | list) for value in given.values()):
        raise Problem(400, "bad_attributes", 'attributes are plain values by name, as {"major": "physics"}')
    attributes = {k: v for k, v in {**person.attributes, **given}.items() if v is not None}
    try:
        size = len(json.dumps(attributes, allow_nan=False))
    except ValueError:
        raise Problem(400, "bad_attributes", "NaN and Infinity are not JSON: leave them out") from None
    if size > MAX_ATTRIBUTES_BYTES:
        raise Problem(400, "bad_attributes", f"attributes take more than {MAX_ATTRIBUTES_BYTES} bytes: keep fewer")
    return replace(person, name=name, attributes=attributes)
