"""`/v1/people`: who is enrolled, and with which photos."""

from dataclasses import dataclass

from flask import Blueprint, Response, jsonify, request, url_for

from facefleet import answers
from facefleet.errors import Conflict, NotFound
from facefleet.parameters import flag
from facefleet.people import changed, newcomer, update
from facefleet.ports import Blobs, People, Queue
from facefleet.problems import Problem, unless_failed
from facefleet.settings import Settings
from facefleet.wire import Json, person_to_json, photo_to_json
from web_tier.answering import lookup, queued, still_queued
from web_tier.auth import needs
from web_tier.desk import Desk
from web_tier.erasure import erase_person
from web_tier.uploads import json_object, probe_of_request

MAX_PAGE = 1000
#: How long an enrolment waits for a worker before it says 202.
ENROL_WAIT = 30.0


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
        person = newcomer(body.get("id"), body)
        try:
            self.people.put(person)
        except Conflict:
            raise Problem(409, "person_exists", f"there is a person {person.id} already") from None
        return created(person_to_json(person), url_for("people.show_person", person_id=person.id))

    @needs("enrol")
    def show_person(self, person_id: str) -> Response:
        return jsonify(person_to_json(self.people.get(person_id)))

    @needs("enrol")
    def change_person(self, person_id: str) -> Response:
        body = json_object()
        return jsonify(person_to_json(update(self.people, person_id, lambda person: changed(person, body))))

    @needs("admin")
    def erase(self, person_id: str) -> Response:
        erased = erase_person(self.people, self.blobs, self.requests, person_id)
        return jsonify(erased=erased) if erased else Response(status=204)

    @needs("enrol")
    def enrol(self, person_id: str) -> Response:
        with self.desk.seat():
            self.people.get(person_id)
            force = flag(request.args, "force")
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
