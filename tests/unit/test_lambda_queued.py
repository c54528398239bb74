"""A batch of messages: each on its own, and what failed comes again, until it lies with the dead letters."""

import json
from pathlib import Path

import pytest
from awake import GREEN, RED, Place, enrol, image_of, picture, place
from clips import clip_of
from woken import TEST_EVENT, Json, message, put, records

from facefleet import wire
from facefleet.backends import connect
from facefleet.errors import BadMessage
from facefleet.model import Job, JobKind, Person
from facefleet.settings import Settings

CLIP = clip_of((image_of(RED), 0.2))
PHOTO = picture(RED)
ID = "a" * 32


@pytest.fixture
def here(tmp_path: Path) -> Place:
    settings = Settings(data=tmp_path, input_bucket="clips")
    made = place(connect(settings), settings)
    enrol(made.backend.people)
    return made


def job(image: bytes | None = PHOTO, kind: JobKind = JobKind.RECOGNISE, **about: object) -> str:
    return wire.dump_job(Job(ID, kind, "a.jpg", 0.0, image=image, **about))


def form(content: bytes, **about: object) -> str:
    text = wire.base64.b64encode_as_string(content)
    return json.dumps({"request_id": "r-1", "content": text, "filename": "test_00.jpg"} | about)


def failed(answer: Json) -> list[str]:
    return [item["itemIdentifier"] for item in answer["batchItemFailures"]]


def result(here: Place) -> Json | None:
    body = here.blob(f"results/{ID}.json")
    return None if body is None else json.loads(body)


@pytest.mark.parametrize(("image", "kind"), [(PHOTO, JobKind.RECOGNISE), (CLIP, JobKind.VIDEO)])
def test_a_job_is_done_as_a_worker_does_it(here: Place, image: bytes, kind: JobKind) -> None:
    with here.backend.open_replies() as replies:
        assert here.wake(records(message(job(image, kind, reply_to=replies.name)))) == {"batchItemFailures": []}
        [reply] = replies.receive()
    assert wire.load_reply(reply.body)["answer"] == "mr_bean"
    assert result(here)["answer"] == "mr_bean"


def test_to_enrol_is_refused_and_whoever_waits_is_told(here: Place) -> None:
    """A function's role may not write people: it would fail, and come again, until it lies with the dead letters."""
    here.backend.people.put(Person("eve", "Eve"))
    with here.backend.open_replies() as replies:
        photo = job(picture(GREEN), JobKind.ENROL, person_id="eve", force=True, reply_to=replies.name)
        assert failed(here.wake(records(message(photo)))) == []
        [reply] = replies.receive()
    assert wire.load_reply(reply.body) == result(here)
    assert (result(here)["status"], result(here)["error"]["code"]) == ("failed", "cannot_enrol")
    assert here.backend.people.get("eve").photos == ()


def test_an_image_that_waited_in_a_blob_goes_once_it_is_done(here: Place) -> None:
    here.backend.blobs.put("in/claims/x", PHOTO)
    here.wake(records(message(job(None, blob="in/claims/x"))))
    assert (result(here)["answer"], here.blob("in/claims/x")) == ("mr_bean", None)


def test_an_image_that_nobody_can_read_is_answered_as_such(here: Place) -> None:
    assert failed(here.wake(records(message(job(b"nonsense"))))) == []
    assert result(here)["error"]["code"] == "not_an_image"


def test_a_message_that_comes_again_is_not_done_again(here: Place) -> None:
    here.wake(records(message(job())))
    before = result(here)
    here.wake(records(message(job(picture(GREEN)), receives=2)))
    assert result(here) == before
    here.wake(records(message(job(picture(GREEN)))))
    assert result(here)["answer"] == "unknown"


POISON = {
    "no JSON": "poison",
    "no object": "[]",
    "another's": '{"hello": "world"}',
    "a job of another version": job().replace('"v": 1', '"v": 99'),
    "a form without base64": form(b"").replace('"content": ""', '"content": "!"'),
    "a form of nonsense": form(b"nonsense"),
    "nested without end": "[" * 100_000,
}


@pytest.mark.parametrize("poison", POISON)
def test_poison_is_listed_and_spoils_nothing(here: Place, poison: str) -> None:
    here.objects.found["clips", "k.mp4"] = CLIP
    event = records(
        message(job(), "1"), message(POISON[poison], "2"), message(json.dumps(records(put("clips", "k.mp4"))), "3")
    )
    assert failed(here.wake(event)) == ["2"]
    assert result(here)["answer"] == "mr_bean"
    assert here.sent() == ["mr_bean,lawyer,freshmen,k"]


def test_a_message_that_nobody_can_read_is_logged_by_what_is_wrong(
    here: Place, caplog: pytest.LogCaptureFixture
) -> None:
    here.wake(records(message(POISON["a form without base64"])))
    [line] = [record for record in caplog.records if record.name == "facefleet-function"]
    assert line.outcome == "bad_base64"


def test_a_batch_of_poison_is_listed_whole(here: Place) -> None:
    assert failed(here.wake(records(message("x", "1"), message("y", "2")))) == ["1", "2"]


def test_what_s3_sends_to_try_a_queue_is_nothing(here: Place) -> None:
    assert failed(here.wake(records(message(json.dumps(TEST_EVENT))))) == []


def test_the_form_of_2025_is_told_on_the_response_queue(here: Place) -> None:
    assert failed(here.wake(records(message(form(PHOTO))))) == []
    assert [json.loads(text) for text in here.sent()] == [{"request_id": "r-1", "result": "mr_bean"}]


def test_without_time_a_message_comes_again(here: Place) -> None:
    assert failed(here.wake(records(message(job(), "1")), left=3.0)) == ["1"]


def test_a_fault_of_ours_is_listed_too(here: Place) -> None:
    here.objects.found["clips", "k.mp4"] = None
    assert failed(
        here.wake(records(message(json.dumps(records(put("clips", "k.mp4"))), "1"), message(job(), "2")))
    ) == ["1"]


def test_to_tidy_is_no_answer(here: Place) -> None:
    assert failed(here.wake(records(message(job(None, JobKind.TIDY))))) == []
    assert result(here) is None


def test_a_record_that_could_not_be_listed_fails_the_batch(here: Place) -> None:
    broken = message(job())
    del broken["messageId"]
    with pytest.raises(BadMessage, match="messageId"):
        here.wake(records(broken))
