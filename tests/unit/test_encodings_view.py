"""`POST /v1/people/{id}/encodings`, over a store of its own."""

from pathlib import Path

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from facefleet.backends.embedded.people import SqlitePeople
from facefleet.encodings import PACKED, enrolled, unpacked
from facefleet.model import Person
from facefleet.people import MAX_PHOTOS
from web_tier import auth, problems
from web_tier.encodings import EncodingViews

KEYS = {"enrols": frozenset(("enrol",)), "asks": frozenset(("recognise",))}


def encoding(number: int) -> bytes:
    return PACKED.pack(1.0, number / 1000, *[0.0] * 126)


@pytest.fixture
def people(tmp_path: Path) -> SqlitePeople:
    people = SqlitePeople(tmp_path / "people.db")
    people.put(Person("paul", "Paul"))
    return people


@pytest.fixture
def app(people: SqlitePeople) -> Flask:
    app = Flask(__name__)
    auth.install(app, KEYS)
    problems.install(app)
    app.register_blueprint(EncodingViews(people).blueprint())
    app.add_url_rule("/v1/people/<person_id>", "people.show_person")
    return app


def post(app: Flask, encodings: object, *, person: str = "paul", key: str = "enrols") -> TestResponse:
    path = f"/v1/people/{person}/encodings"
    return app.test_client().post(path, json={"encodings": encodings}, headers={"x-api-key": key})


def test_sent_again_it_is_there_already_and_workers_need_not_read_anything(app: Flask, people: SqlitePeople) -> None:
    first = post(app, [unpacked(encoding(1)), unpacked(encoding(2))])
    version = people.version()
    again = post(app, [unpacked(encoding(2))])
    assert (first.status_code, again.status_code, people.version()) == (201, 201, version)
    assert again.get_json()["photos"] == first.get_json()["photos"][1:]
    assert first.headers["Location"] == "/v1/people/paul"
    assert [photo.encoding for photo in people.get("paul").photos] == [encoding(1), encoding(2)]


def test_only_a_key_that_may_enrol_does(app: Flask, people: SqlitePeople) -> None:
    assert post(app, [unpacked(encoding(1))], key="asks").status_code == 403
    assert post(app, [unpacked(encoding(1))], key="none").status_code == 401
    assert people.get("paul").photos == ()


def test_nobody_is_made_by_it_and_nobody_gets_more_than_are_kept(app: Flask, people: SqlitePeople) -> None:
    assert post(app, [unpacked(encoding(1))], person="mary").status_code == 404
    people.put(enrolled(people.get("paul"), [encoding(number) for number in range(MAX_PHOTOS)]))
    refused = post(app, [unpacked(encoding(MAX_PHOTOS))])
    assert (refused.status_code, refused.get_json()["code"]) == (422, "too_many_photos")
    assert post(app, [unpacked(encoding(3))] * (MAX_PHOTOS + 1)).get_json()["code"] == "bad_encoding"
    assert post(app, [unpacked(encoding(3))] * MAX_PHOTOS).status_code == 201
