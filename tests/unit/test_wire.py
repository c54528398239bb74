"""What other programs read: exact shapes, round trips, and garbage that is only ever a `BadMessage`."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from facefleet import wire
from facefleet.errors import BadMessage
from facefleet.model import (
    Box,
    Candidate,
    Face,
    Failure,
    Heartbeat,
    Job,
    JobKind,
    Person,
    Photo,
    Rejection,
    Result,
    Timings,
    WorkerState,
)

TEXT = st.text(min_size=1)
JOBS = st.builds(
    Job,
    id=TEXT,
    kind=st.sampled_from(JobKind),
    filename=TEXT,
    submitted_at=st.floats(0, 1e12),
    image=st.none() | st.binary(),
    blob=st.none() | TEXT,
    reply_to=st.none() | TEXT,
    person_id=st.none() | TEXT,
    top_k=st.integers(0, 100),
    force=st.booleans(),
    again=st.booleans(),
    everybody=st.booleans(),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=8,
)
JOB = {
    "v": 1,
    "id": "j1",
    "kind": "recognise",
    "filename": "test_00.jpg",
    "image": "aGk=",
    "blob": None,
    "reply_to": "responses-host-1",
    "submitted_at": 12.5,
    "person": None,
    "top_k": 3,
    "force": False,
    "again": False,
    "everybody": False,
}
#: Fields that a message from before they were added lacks.
LATER = ("top_k", "force", "again", "everybody")
BOX = {"x_min": 1, "y_min": 2, "x_max": 3, "y_max": 4}
FACE = Face(
    box=Box(1, 2, 3, 4),
    threshold=0.47,
    person_id="paul",
    name="Paul",
    distance=0.31,
    similarity=0.97,
    attributes={"major": "physics"},
    candidates=(Candidate("paul", 0.31, 0.97),),
    encoding=b"\1" * 512,
)
TIMINGS = Timings(0.123456, 0.2, 0.3)


def test_a_message_has_the_shape_that_clients_read() -> None:
    job = Job("j1", JobKind.RECOGNISE, "test_00.jpg", 12.5, b"hi", None, "responses-host-1", None, 3)
    assert json.loads(wire.dump_job(job)) == JOB
    assert wire.load_job(json.dumps(JOB)) == job


@given(job=JOBS)
def test_a_job_comes_out_as_it_went_in(job: Job) -> None:
    assert wire.load_job(wire.dump_job(job)) == job


@given(job=JOBS, order=st.permutations(sorted(JOB)), name=st.sampled_from([wire.IMAGE, wire.END, 'a"}', "a.jpg"]))
def test_a_job_is_read_in_whatever_order_its_fields_stand(job: Job, order: list[str], name: str) -> None:
    job = replace(job, filename=name)
    fields = json.loads(wire.dump_job(job))
    assert wire.load_job(json.dumps({field: fields[field] for field in order})) == job


def test_a_message_with_a_field_more_is_read() -> None:
    assert wire.load_job(json.dumps(JOB | {"colour": "red"})).id == "j1"


def test_a_message_without_what_came_later_asks_for_no_candidates_and_forces_nothing() -> None:
    job = wire.load_job(json.dumps({k: v for k, v in JOB.items() if k not in LATER}))
    assert (job.top_k, job.force) == (0, False)


def refuses_as_garbage(load: Any, text: str) -> None:
    """Either it is read, or it is a `BadMessage`; anything else ends the test."""
    try:
        load(text)
    except BadMessage:
        return


@given(text=st.text() | JSON.map(json.dumps))
@example("[" * 100_000)
@example('{"v":1}')
@example("9" * 5000)
def test_garbage_is_a_bad_message_and_nothing_else(text: str) -> None:
    refuses_as_garbage(wire.load_job, text)
    refuses_as_garbage(wire.load_reply, text)


@given(field=st.sampled_from([name for name in JOB if name != "v"]), value=JSON)
@example("submitted_at", 10**400)
@example("top_k", float("inf"))
@example("top_k", float("nan"))
@example("force", "yes")
@example("image", "not base64!")
@example("blob", 5)
@example("person", ["paul"])
def test_a_job_with_one_wrong_field_is_a_bad_message_or_well_typed(field: str, value: object) -> None:
    try:
        job = wire.load_job(json.dumps(JOB | {field: value}))
    except BadMessage:
        return
    assert all(isinstance(text, str) and text for text in (job.id, job.filename))
    assert all(isinstance(text, str | None) for text in (job.blob, job.reply_to, job.person_id))
    assert isinstance(job.image, bytes | None)
    assert isinstance(job.submitted_at, float)
    assert isinstance(job.top_k, int) and isinstance(job.force, bool)


@pytest.mark.parametrize("field", [name for name in JOB if name not in LATER])
def test_a_job_that_lacks_a_field_is_a_bad_message(field: str) -> None:
    with pytest.raises(BadMessage):
        wire.load_job(json.dumps({k: v for k, v in JOB.items() if k != field}))


def test_a_message_of_another_version_says_which() -> None:
    with pytest.raises(BadMessage, match="version 2"):
        wire.load_job(json.dumps(JOB | {"v": 2}))


def test_a_reply_has_the_shape_that_clients_read() -> None:
    result = wire.result_to_json(Result("j1", "a.jpg"))
    text = wire.dump_reply("j1", result)
    assert json.loads(text) == {"v": 1, "id": "j1", "result": result}
    assert wire.load_reply(text) == result


@pytest.mark.parametrize(
    "reply",
    [{"v": 2, "id": "j1", "result": {"id": "j1"}}, {"v": 1, "id": "j1", "result": {"id": "j2"}}, {"v": 1}, [], 7],
)
def test_a_reply_of_another_version_or_to_another_job_is_a_bad_message(reply: object) -> None:
    with pytest.raises(BadMessage):
        wire.load_reply(json.dumps(reply))


def test_a_result_has_the_shape_that_clients_read() -> None:
    result = Result("j1", "test_00.jpg", (FACE,), gallery_version=7, model="m", timings=TIMINGS)
    assert wire.result_to_json(result) == {
        "id": "j1",
        "filename": "test_00.jpg",
        "status": "done",
        "answer": "paul",
        "error": None,
        "faces": [
            {
                "box": BOX,
                "person": "paul",
                "name": "Paul",
                "distance": 0.31,
                "similarity": 0.97,
                "threshold": 0.47,
                "match": True,
                "attributes": {"major": "physics"},
                "candidates": [{"person": "paul", "distance": 0.31, "similarity": 0.97}],
            }
        ],
        "gallery_version": 7,
        "model": "m",
        "timings": {"queued": 0.1235, "recognise": 0.2, "total": 0.3},
    }


@pytest.mark.parametrize("faces", [(), (Face(Box(0, 0, 9, 9), 0.5), FACE)], ids=["no face", "largest is a stranger"])
def test_nobody_known_is_the_answer_unknown(faces: tuple[Face, ...]) -> None:
    body = wire.result_to_json(Result("j1", "a.jpg", faces))
    assert (body["status"], body["answer"], body["error"]) == ("done", "unknown", None)
    assert [face["match"] for face in body["faces"]] == [face.person_id is not None for face in faces]


def test_a_failure_says_its_code_and_what_to_do() -> None:
    body = wire.result_to_json(Result("j1", "a.jpg", error=Failure("not_an_image", "send a JPEG")))
    error = {"code": "not_an_image", "detail": "send a JPEG", "forcible": False, "person": None}
    assert (body["status"], body["error"], body["faces"]) == ("failed", error, [])
    blurred = Failure("face_too_blurred", "send a sharper one", forcible=True)
    assert wire.result_to_json(Result("j1", "a.jpg", error=blurred))["error"]["forcible"] is True


def test_an_enrolment_shows_its_photo_without_the_encoding() -> None:
    result = Result("j1", "a.jpg", photo=Photo("j1", Box(1, 2, 3, 4), bytes(512)), person_id="paul")
    body = wire.result_to_json(result)
    assert (body["answer"], body["photo"]) == ("paul", {"id": "j1", "box": BOX, "encodings": 1})


@given(faces=st.lists(st.builds(Face, st.builds(Box, *[st.integers(0, 9)] * 4), st.floats(0, 1)), max_size=3))
def test_every_result_is_json(faces: list[Face]) -> None:
    body = wire.result_to_json(Result("j1", "a.jpg", tuple(faces)))
    assert json.loads(json.dumps(body)) == body


def test_a_person_is_shown_without_encodings_and_stored_with_them() -> None:
    photo, rejection = Photo("p1", Box(1, 2, 3, 4), b"\1" * 512), Rejection("j1-0", b"\2" * 512)
    person = Person("paul", "Paul", {"year": 2}, (photo,), 7, (rejection,))
    assert wire.person_to_json(person) == {
        "id": "paul",
        "name": "Paul",
        "attributes": {"year": 2},
        "photos": [{"id": "p1", "box": BOX, "encodings": 1}],
        "rejections": [{"id": "j1-0"}],
    }
    assert wire.load_person("paul", 7, wire.dump_person(person)) == person


def test_a_person_stored_before_there_were_rejections_has_none() -> None:
    stored = json.dumps({"name": "Paul", "attributes": {}, "photos": []})
    assert wire.load_person("paul", 7, stored) == Person("paul", "Paul", version=7)


@given(
    heartbeat=st.builds(
        Heartbeat, TEXT, st.sampled_from(WorkerState), st.integers(0), *[st.floats(0, 1e12)] * 2, st.floats(0, 1e6)
    )
)
def test_a_heartbeat_comes_out_as_it_went_in(heartbeat: Heartbeat) -> None:
    assert wire.load_heartbeat(wire.dump_heartbeat(heartbeat)) == heartbeat
