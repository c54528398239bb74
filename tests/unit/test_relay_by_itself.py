"""A relay that recognises by itself: what becomes of an object."""

import json
import time
from pathlib import Path

import pytest
from awake import BLACK, GREEN, RED, Directory, enrol, image_of, keys_of, picture, sees_colours
from clips import clip_of, sound_alone
from woken import put, records

from facefleet import answers
from facefleet.backends import connect
from facefleet.errors import NotFound, Unavailable
from facefleet.ports import Backend
from facefleet.recognition.keeper import Keeper
from facefleet.recognition.processor import Processor
from facefleet.recognition.recogniser import Recogniser, limits_of
from facefleet.settings import Settings
from openstack_relay.by_itself import ByItself
from openstack_relay.doing import Failed, Fate, Outcome
from openstack_relay.each import Each
from openstack_relay.hands import Hands
from openstack_relay.home import Home
from openstack_relay.incoming import Event, read
from openstack_relay.recognising.work import Work

CLIP = clip_of((image_of(BLACK), 0.2), (image_of(RED), 0.2))
LINE = "mr_bean,lawyer,freshmen"


class Here:
    """A relay whose own process recognises, as if it were a process beside it."""

    def __init__(self, folder: Path, **changed: object) -> None:
        self.settings = Settings(data=folder / "data", input_bucket="clips", output_bucket="lines", **changed)
        self.backend: Backend = connect(self.settings)
        enrol(self.backend.people)
        self.objects = Directory(bucket="clips")
        self.looked, self.slow = 0, 0.0
        self.home = folder / "results"
        self.home.mkdir()
        work = Work(self._process(), self.backend.blobs, self.objects, self.settings)
        self.do = Each(work, Home(self.home), self.settings)

    def _process(self) -> Processor:
        def encode(image: object) -> list[object]:
            self.looked += 1
            time.sleep(self.slow)
            return sees_colours(image)

        keeper = Keeper(self.backend.people, self.backend.blobs)
        return Processor(Recogniser(encode, keeper, limits_of(self.settings)), self.backend.people, self.backend.blobs)

    def arrive(self, key: str, data: bytes = CLIP, **about: object) -> Outcome:
        self.objects.found["clips", key] = data
        return self.do(event(key, len(data), **about))

    def files(self) -> dict[str, str]:
        return {path.name: path.read_text() for path in self.home.glob("*")}


def event(*keys: str, **about: object) -> Event:
    *names, size = (*keys, 1024) if isinstance(keys[-1], str) else keys
    found = read(json.dumps(records(*(put("clips", key, size, **about) for key in names))))
    assert found is not None
    return found


@pytest.fixture
def here(tmp_path: Path) -> Here:
    return Here(tmp_path)


def letters_of(outcome: Outcome) -> list[str]:
    return [json.loads(letter)["responsePayload"]["errorType"] for letter in outcome.letters]


def test_a_clip_becomes_a_line_a_result_and_a_file_at_home(here: Here) -> None:
    assert here.arrive("test_0.mp4") == Outcome(Fate.DONE)
    assert here.files() == {"test_0.txt": f"{LINE}\n"}
    assert here.backend.blobs.get("out/test_0").decode() == f"{LINE}\n"
    result = answers.stored(here.backend.blobs, event("test_0.mp4").arrivals[0].job_id)
    assert result is not None and (result["answer"], result["video"]["at"]) == ("mr_bean", 0.2)


def test_nothing_is_told_to_the_output_queue(here: Here) -> None:
    here.arrive("test_0.mp4")
    assert here.backend.requests.depth().backlog == 0


def test_an_event_that_comes_twice_is_looked_at_once(here: Here) -> None:
    here.arrive("test_0.jpg", picture(RED))
    assert here.arrive("test_0.jpg", picture(RED)) == Outcome(Fate.DONE)
    assert (here.looked, here.files()) == (1, {"test_0.txt": f"{LINE}\n"})


def test_a_file_that_was_lost_at_home_is_written_anew_by_the_same_event(here: Here) -> None:
    here.arrive("test_0.jpg", picture(RED))
    (here.home / "test_0.txt").unlink()
    here.arrive("test_0.jpg", picture(RED))
    assert here.files() == {"test_0.txt": f"{LINE}\n"}


@pytest.mark.parametrize(
    ("key", "data", "code"),
    [
        ("a.mp4", b"no clip at all", "not_a_video"),
        ("b.jpg", b"no image at all", "not_an_image"),
        ("c.mp4", CLIP[: len(CLIP) // 3], "damaged_video"),
        ("d.mp4", sound_alone(), "no_video_stream"),
        ("e.mp4", b"", "empty_file"),
    ],
    ids=["no clip", "no image", "half a clip", "sound alone", "empty"],
)
def test_what_nobody_can_recognise_fails_at_once_with_its_reason(here: Here, key: str, data: bytes, code: str) -> None:
    outcome = here.arrive(key, data)
    assert (outcome.fate, letters_of(outcome), here.files()) == (Fate.FAILED, [code], {})


@pytest.mark.parametrize("told", [1024, 99], ids=["as S3 has told", "as it is found"])
def test_what_is_too_large_fails_unread(tmp_path: Path, told: int) -> None:
    here = Here(tmp_path, max_video_bytes=100)
    here.objects.found["clips", "a.mp4"] = CLIP
    outcome = here.do(event("a.mp4", told))
    assert (outcome.fate, letters_of(outcome), here.looked) == (Fate.FAILED, ["too_large"], 0)


def test_what_was_deleted_meanwhile_is_gone(here: Here) -> None:
    assert here.do(event("a.mp4")) == Outcome(Fate.GONE)
    assert keys_of(here.backend.blobs, "out/", "results/") == []


def test_of_an_event_with_several_objects_each_is_done_whatever_another_is(here: Here) -> None:
    here.objects.found["clips", "good.jpg"] = picture(RED)
    here.objects.found["clips", "bad.jpg"] = b"no image"
    outcome = here.do(event("gone.jpg", "bad.jpg", "good.jpg"))
    assert (outcome.fate, letters_of(outcome)) == (Fate.FAILED, ["not_an_image"])
    assert here.files() == {"good.txt": f"{LINE}\n"}


def test_objects_that_together_take_longer_than_one_may_are_done_in_turns(tmp_path: Path) -> None:
    here = Here(tmp_path, relay_timeout=1.0)
    names, turns, long = ("a.jpg", "b.jpg", "c.jpg"), 0, time.monotonic() + 60.0
    for name in names:
        here.objects.found["clips", name] = picture(RED)
    here.slow = 0.7
    while time.monotonic() < long:
        turns += 1
        try:
            assert here.do(event(*names)).fate is Fate.DONE
            break
        except Unavailable as e:
            assert not isinstance(e, Failed)
    assert (turns, here.looked, len(here.files())) == (2, 3, 3)


def test_what_was_written_to_the_output_bucket_is_never_taken_for_an_arrival(here: Here) -> None:
    body = json.dumps(records(put("lines", "test_0")))
    outcome = here.do(read(body))
    assert outcome == Outcome(Fate.FAILED) and here.looked == 0


def test_a_result_whose_file_can_never_be_written_is_a_failure_of_its_own_and_of_no_other(here: Here) -> None:
    (here.home / "a.txt").mkdir()
    for name in ("a.jpg", "b.jpg"):
        here.objects.found["clips", name] = picture(RED)
    outcome = here.do(event("a.jpg", "b.jpg"))
    assert outcome.fate is Fate.FAILED and len(outcome.letters) == 1
    assert (here.home / "b.txt").read_text() == f"{LINE}\n"


def test_a_stranger_s_line_is_unknown(here: Here) -> None:
    here.arrive("who.jpg", picture(GREEN))
    assert here.files() == {"who.txt": "unknown,,\n"}


def test_the_newest_object_of_a_stem_has_the_plain_name_whichever_is_done_last(here: Here) -> None:
    def at(seconds: int, sequencer: str) -> Event:
        record = put("clips", "a.jpg", sequencer=sequencer) | {"eventTime": f"2026-01-01T00:00:{seconds:02}.000Z"}
        return read(json.dumps(records(record)))

    here.objects.found["clips", "a.jpg"] = picture(GREEN)
    here.do(at(30, "B"))
    here.objects.found["clips", "a.jpg"] = picture(RED)
    here.do(at(10, "A"))
    assert here.files()["a.txt"] == "unknown,,\n"
    assert len(here.files()) == 2


def test_where_people_s_table_is_gone_it_waits_until_there_is_one(here: Here) -> None:
    def ask() -> None:
        raise NotFound("reading people: there is no such table")

    with pytest.raises(Unavailable, match="facefleet setup"):
        ByItself(Hands(1, 1.0), Home(here.home), here.settings, ask=ask).ask()
