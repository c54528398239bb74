"""Not this person: a wrong name is taken note of, heeded from then on, and undone."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from described import Ask, asking, send
from services import Service

from facefleet import answers
from facefleet.model import Rejection

pytestmark = pytest.mark.slow

ENCODING = bytes(512)


@pytest.fixture(scope="module")
def ask(service: Service) -> Ask:
    return asking(service)


@pytest.fixture(autouse=True)
def nothing_left(service: Service, ask: Ask) -> Iterator[None]:
    """The shared service's obama ends each test without rejections."""
    yield
    for rejection in ask("GET", "/v1/people/obama").json()["rejections"]:
        ask("DELETE", f"/v1/people/obama/rejections/{rejection['id']}")


@pytest.fixture
def full(service: Service, ask: Ask) -> Iterator[str]:
    """Somebody with as many rejections as are kept."""
    ask("POST", "/v1/people", json={"id": "full"})
    people = service.backend.people
    rejections = tuple(Rejection(f"{uuid4().hex}-0", ENCODING) for _ in range(100))
    people.put(replace(people.get("full"), rejections=rejections))
    yield "full"
    ask("DELETE", "/v1/people/full")


def reject(ask: Ask, id: str, **body: Any) -> Any:
    return ask("POST", f"/v1/recognitions/{id}/rejections", json=body)


def test_a_rejected_face_is_that_person_no_more_until_it_is_undone(ask: Ask, photos: Path) -> None:
    named = send(ask, photos / "obama2.jpg").json()
    assert named["answer"] == "obama"
    rejected = reject(ask, named["id"])
    assert rejected.status_code == 201
    assert rejected.json() == {"rejection": {"id": f"{named['id']}-0", "person": "obama"}}
    assert rejected.headers["Location"] == f"/v1/people/obama/rejections/{named['id']}-0"
    assert send(ask, photos / "obama2.jpg").json()["answer"] != "obama"
    assert send(ask, photos / "obama.jpg").json()["answer"] == "obama", "his other photos are his still"
    assert ask("GET", "/v1/people/obama").json()["rejections"] == [{"id": f"{named['id']}-0"}]
    assert ask("DELETE", rejected.headers["Location"]).status_code == 204
    assert ask("GET", "/v1/people/obama").json()["rejections"] == []
    assert send(ask, photos / "obama2.jpg").json()["answer"] == "obama"


def test_the_same_rejection_twice_is_one_and_undoing_it_twice_is_no_error(
    ask: Ask, service: Service, photos: Path
) -> None:
    id = send(ask, photos / "obama2.jpg").json()["id"]
    first = reject(ask, id)
    version = service.backend.people.version()
    again = ask("POST", f"/v1/recognitions/{id}/rejections")  # no body: the largest face, the person named
    assert (again.status_code, again.json()) == (201, first.json())
    assert reject(ask, id, face=0, person="obama").json() == first.json()
    assert service.backend.people.version() == version
    assert [ask("DELETE", first.headers["Location"]).status_code for _ in range(2)] == [204, 204]
    assert ask("DELETE", f"/v1/people/nobody/rejections/{id}-0").status_code == 204


def test_an_answer_from_the_cache_is_rejected_as_any_other(ask: Ask, photos: Path) -> None:
    send(ask, photos / "obama2.jpg")
    again = send(ask, photos / "obama2.jpg")
    assert again.headers["Cache-Status"] == "facefleet; hit"
    assert reject(ask, again.json()["id"]).status_code == 201


def test_somebody_who_was_not_named_may_be_ruled_out_too(ask: Ask, photos: Path, stranger: Path) -> None:
    id = send(ask, stranger).json()["id"]
    assert reject(ask, id).json()["code"] == "nobody_named"
    assert reject(ask, id, person="obama").status_code == 201


@pytest.mark.parametrize("face", [1, -1, True, "0", None, 0.0, 10**30])
def test_a_face_that_is_not_in_the_answer_is_a_problem_400(face: object, ask: Ask, photos: Path) -> None:
    id = send(ask, photos / "obama2.jpg").json()["id"]
    problem = reject(ask, id, face=face)
    assert (problem.status_code, problem.json()["code"]) == (400, "bad_face")
    assert "it has 1" in problem.json()["detail"]


def test_what_is_not_there_is_a_problem_404(ask: Ask, photos: Path) -> None:
    id = send(ask, photos / "obama2.jpg").json()["id"]
    assert reject(ask, id, person="nobody").status_code == 404
    assert reject(ask, id, person=7).json()["code"] == "bad_id"
    assert reject(ask, "0" * 32).status_code == reject(ask, "short").status_code == 404


def test_what_does_not_go_says_why(ask: Ask, service: Service, photos: Path, full: str) -> None:
    blobs, queued, old = service.backend.blobs, uuid4().hex, uuid4().hex
    answers.promise(blobs, queued)
    assert reject(ask, queued).json()["code"] == "still_queued"
    result = send(ask, photos / "obama2.jpg").json()
    blobs.put(f"results/{old}.json", blobs.get(f"results/{result['id']}.json").replace(b"_encodings", b"_other"))
    assert reject(ask, old).json()["code"] == "no_encoding"
    problem = reject(ask, result["id"], person=full)
    assert (problem.status_code, problem.json()["code"]) == (409, "too_many_rejections")
    assert len(ask("GET", f"/v1/people/{full}").json()["rejections"]) == 100


def test_no_client_ever_sees_an_encoding(ask: Ask, service: Service, photos: Path) -> None:
    sent = send(ask, photos / "obama2.jpg")
    id = sent.json()["id"]
    seen = [sent, ask("GET", f"/v1/recognitions/{id}"), reject(ask, id), ask("GET", "/v1/people/obama")]
    assert b"_encodings" in service.backend.blobs.get(f"results/{id}.json")
    assert not [answer.text for answer in seen if "_encoding" in answer.text or len(answer.text) > 1200]
