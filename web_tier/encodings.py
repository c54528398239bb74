"""Encodings enrolled without their photos, as somebody made them elsewhere with the same network."""

from dataclasses import dataclass

from flask import Blueprint, Response, url_for

from facefleet.encodings import enrolled, packed, photo_of
from facefleet.people import MAX_PHOTOS, update
from facefleet.ports import People
from facefleet.problems import Problem
from facefleet.wire import photo_to_json
from web_tier.auth import needs
from web_tier.people import created
from web_tier.uploads import json_object


@dataclass(frozen=True)
class EncodingViews:
    """The view, given what it needs."""

    people: People

    def blueprint(self) -> Blueprint:
        routes = Blueprint("encodings", __name__)
        routes.add_url_rule("/v1/people/<person_id>/encodings", view_func=self.enrol, methods=["POST"])
        return routes

    @needs("enrol")
    def enrol(self, person_id: str) -> Response:
        encodings = _encodings()
        photos = [photo_of(encoding) for encoding in encodings]
        # Sent again they are there already, and the gallery needs no new version.
        if not {photo.id for photo in photos} <= {photo.id for photo in self.people.get(person_id).photos}:
            update(self.people, person_id, lambda person: enrolled(person, encodings))
        where = url_for("people.show_person", person_id=person_id)
        return created({"photos": [photo_to_json(photo) for photo in photos]}, where)


def _encodings() -> list[bytes]:
    given = json_object().get("encodings")
    if not isinstance(given, list) or not 0 < len(given) <= MAX_PHOTOS:
        raise Problem(400, "bad_encoding", f'send 1 to {MAX_PHOTOS} encodings: {{"encodings": [[128 numbers], …]}}')
    return [packed(values) for values in given]
