"""Clips and photos that come into a bucket: a line, a message and a result for each, whatever else is in the event."""

import json
import time
from pathlib import Path

import pytest
from awake import BLACK, BLUE, GREEN, MR_BEAN, RED, Place, enrol, function_of, image_of, picture, place
from clips import clip_of, sound_alone
from woken import TEST_EVENT, Context, put, records

from facefleet import answers
from facefleet.arrivals import arrival_of
from facefleet.backends import connect
from facefleet.errors import BadMessage, Unavailable
from facefleet.model import Person
from facefleet.recognition.encoder import EncodedFace
from facefleet.recognition.images import Picture
from facefleet.settings import Settings
from lambda_tier.work import LEAST, MARGIN

LINE = "mr_bean,lawyer,freshmen"
CLIP = clip_of((image_of(BLACK), 0.3), (image_of(RED), 0.5))


@pytest.fixture
def here(tmp_path: Path) -> Place:
    settings = Settings(data=tmp_path, input_bucket="clips", output_bucket="lines")
    made = place(connect(settings), settings)
    enrol(made.backend.people)
    return made


def arrive(here: Place, key: str, data: bytes = CLIP, **about: object) -> None:
    here.objects.found["clips", key] = data
    here.wake(records(put("clips", key, len(data), **about)))


def test_a_clip_becomes_a_line_a_message_and_a_result(here: Place) -> None:
    arrive(here, "test_0.mp4")
    assert here.blob("out/test_0") == "mr_bean,lawyer,freshmen\n"
    assert here.sent() == ["mr_bean,lawyer,freshmen,test_0"]
    result = json.loads(here.blob(f"results/{arrival_of(put('clips', 'test_0.mp4')).job_id}.json"))
    assert (result["answer"], result["status"], result["video"]["at"]) == ("mr_bean", "done", 0.3)


def test_a_line_s_key_has_the_ending_that_is_set_and_nothing_else_has(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, input_bucket="clips", output_bucket="lines", line_suffix=".csv")
    here = place(connect(settings), settings)
    enrol(here.backend.people)
    arrive(here, "test_0.mp4")
    assert [info.key for info in here.backend.blobs.list("out/")] == ["out/test_0.csv"]
    assert (here.blob("out/test_0.csv"), here.sent()) == (f"{LINE}\n", [f"{LINE},test_0"])


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (picture(RED), "mr_bean,lawyer,freshmen"),
        (picture(GREEN, "PNG"), "unknown,,"),
        (clip_of((image_of(BLACK), 0.3)), "unknown,,"),
        (clip_of((image_of(BLUE), 0.2), kind="h264"), "unknown,,"),
    ],
    ids=["a photo", "a stranger", "nobody", "a stranger's clip"],
)
def test_photos_and_strangers_have_a_line_as_well(here: Place, data: bytes, line: str) -> None:
    arrive(here, "test_1.any", data)
    assert (here.blob("out/test_1"), here.sent()) == (f"{line}\n", [f"{line},test_1"])


@pytest.mark.parametrize(
    "name", ["ObjectCreated:Put", "ObjectCreated:Post", "ObjectCreated:Copy", "ObjectCreated:CompleteMultipartUpload"]
)
def test_however_an_object_was_created(here: Place, name: str) -> None:
    arrive(here, "test_0.mp4", name=name)
    assert len(here.sent()) == 1


@pytest.mark.parametrize("key", ["a b c.mp4", "a+b%20c.mp4", "ünï/çlip=1&2.mp4", "folder/sub/test_9.mp4"])
def test_a_key_is_what_it_was_before_it_was_encoded(here: Place, key: str) -> None:
    arrive(here, key)
    stem = key.rpartition("/")[2].removesuffix(".mp4")
    assert here.sent() == [f"mr_bean,lawyer,freshmen,{stem}"]


@pytest.mark.parametrize(
    "event",
    [
        TEST_EVENT,
        records(),
        records(put("clips", "test_0.mp4", name="ObjectRemoved:Delete")),
        records(put("clips", "folder/")),
        records(put("clips", "claims/0123")),
        records(put("clips", "deleted.mp4")),
        records(put("lines", "test_0")),
        records({"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": {"object": {}}}),
    ],
    ids=["test", "no records", "removed", "a folder", "a fleet's claim", "deleted", "own output", "no key"],
)
def test_what_is_no_clip_that_came_is_passed_over(here: Place, event: object) -> None:
    for at in [("clips", "test_0.mp4"), ("clips", "folder/"), ("clips", "claims/0123"), ("lines", "test_0")]:
        here.objects.found[at] = CLIP
    assert here.wake(event) is None
    assert (here.sent(), here.dead()) == ([], [])


def test_an_upload_has_its_own_id_for_a_result(here: Place) -> None:
    arrive(here, f"uploads/{'a' * 32}/clip.mp4")
    assert json.loads(here.blob(f"results/{'a' * 32}.json"))["filename"] == "clip.mp4"
    assert here.blob("out/clip") == "mr_bean,lawyer,freshmen\n"


def test_what_came_is_not_put_into_the_bucket_again(here: Place) -> None:
    arrive(here, "test_0.mp4")
    assert here.blob("in/test_0.mp4") is None
    result = json.loads(here.blob(f"results/{arrival_of(put('clips', 'test_0.mp4')).job_id}.json"))
    # Whoever erases the result finds it there.
    assert result["_source"] == "in/test_0.mp4"


def test_a_value_that_a_spreadsheet_would_run_is_marked(here: Place) -> None:
    enrol(here.backend.people, Person("eve", "Eve", {"major": "=1+1", "year": None}), colour=1)
    arrive(here, "test_0.jpg", picture(GREEN))
    assert (here.blob("out/test_0"), here.sent()) == ("eve,'=1+1,\n", ["eve,'=1+1,,test_0"])


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty_file"),
        (CLIP[:200], "damaged_video"),
        (sound_alone(), "no_video_stream"),
        (b"x" * 99, "not_a_video"),
    ],
    ids=["empty", "cut short", "sound", "nonsense"],
)
def test_a_clip_that_nobody_can_read_is_buried_with_its_reason(here: Place, data: bytes, code: str) -> None:
    arrive(here, "test_0.mp4", data)
    [letter] = here.dead()
    assert letter["responsePayload"]["errorType"] == code
    again = arrival_of(put("clips", "test_0.mp4", len(data), sequencer="0A1B2C-again"))
    assert arrival_of(letter["requestPayload"]["Records"][0]) == again
    result = json.loads(here.blob(f"results/{letter['requestContext']['job']}.json"))
    assert (result["status"], result["error"]["code"]) == ("failed", code)
    assert (here.blob("out/test_0"), here.sent()) == (None, [])


def test_what_is_too_large_is_refused_as_it_is_read(here: Place) -> None:
    arrive(here, "photo.jpg", bytes(21_000_000))
    assert [letter["responsePayload"]["errorType"] for letter in here.dead()] == ["too_large"]


def test_what_is_said_to_be_too_large_is_not_read(here: Place) -> None:
    here.wake(records(put("clips", "not there.mp4", 99_000_000)))
    [letter] = here.dead()
    assert letter["responsePayload"]["errorType"] == "too_large"
    assert json.loads(here.blob(f"results/{letter['requestContext']['job']}.json"))["status"] == "failed"


def test_one_bad_record_does_not_spoil_the_others(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("a.mp4", "b.mp4", "c.mp4"):
        here.objects.found["clips", key] = CLIP
    away = here.objects.get

    def get(bucket: str, key: str, **how: object) -> bytes:
        if key == "b.mp4":
            raise Unavailable("S3 does not answer")
        return away(bucket, key, **how)

    here.objects.get = get
    with pytest.raises(Unavailable, match="1 of 3 records are to come again: S3 does not answer"):
        here.wake(records(*(put("clips", key) for key in ("a.mp4", "b.mp4", "c.mp4"))))
    assert [message.rpartition(",")[2] for message in here.sent()] == ["a", "c"]


def test_a_fault_of_ours_does_not_spoil_the_others_either(here: Place) -> None:
    here.objects.found["clips", "b.mp4"] = None
    here.objects.found["clips", "c.mp4"] = CLIP
    with pytest.raises(Unavailable, match="1 of 2"):
        here.wake(records(put("clips", "b.mp4"), put("clips", "c.mp4")))
    assert len(here.sent()) == 1


def test_no_record_is_begun_without_time_to_end_it(here: Place) -> None:
    here.objects.found["clips", "a.mp4"] = CLIP
    with pytest.raises(Unavailable, match="no time is left"):
        here.wake(records(put("clips", "a.mp4")), left=2.0)
    assert here.sent() == []


def test_a_clip_is_looked_at_as_long_as_there_is_time(here: Place) -> None:
    def slow(picture: Picture) -> list[EncodedFace]:
        time.sleep(0.05)
        return []

    function = function_of(here.outside, here.settings, slow)
    here.objects.found["clips", "long.mp4"] = clip_of((image_of(BLACK), 10.0))
    function(records(put("clips", "long.mp4")), Context(MARGIN + LEAST + 0.2))
    video = json.loads(here.blob(f"results/{arrival_of(put('clips', 'long.mp4')).job_id}.json"))["video"]
    assert video["cut"] is True
    assert 5 < video["frames"] < 30


def test_somebody_erased_meanwhile_is_not_named(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = here.backend.blobs.put_all

    def put_all(blobs: dict[str, bytes]) -> None:
        stored(blobs)
        here.backend.people.delete(MR_BEAN.id)

    monkeypatch.setattr(here.backend.blobs, "put_all", put_all)
    arrive(here, "test_0.mp4")
    assert here.blob("out/test_0") == "unknown,,\n"
    assert here.sent() == ["unknown,,,test_0"]


@pytest.mark.parametrize(
    "event",
    [
        {"hello": "world"},
        None,
        records({"eventSource": "aws:sns"}),
        records({"eventSource": ["aws:s3"]}),
        records(put("clips", "a.mp4"), {"eventSource": "aws:sqs"}),
    ],
    ids=["no event", "nothing", "another's", "no text", "mixed"],
)
def test_an_event_of_nobody_says_so(here: Place, event: object) -> None:
    with pytest.raises(BadMessage, match="wire the function"):
        here.wake(event)


def test_an_erasure_finds_a_line_by_who_answers(here: Place) -> None:
    arrive(here, "test_0.mp4")
    whole = answers.stored_whole(here.backend.blobs, arrival_of(put("clips", "test_0.mp4")).job_id)
    answers.erase(here.backend.blobs, whole, answer="mr")
    assert here.blob("out/test_0") == "mr_bean,lawyer,freshmen\n"
    answers.erase(here.backend.blobs, whole, answer="mr_bean")
    assert here.blob("out/test_0") is None
