"""A relay whose objects a fleet recognises: which jobs are sent, and what comes home of them."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from awake import RED, keys_of, picture
from fleet_relays import CLIP, LINE, Here, event

from bench.local import awaited
from facefleet import answers, keys
from facefleet.model import JobKind
from openstack_relay.by_fleet import COPIES
from openstack_relay.doing import Fate, Outcome


@pytest.fixture
def here(tmp_path: Path) -> Here:
    return Here(tmp_path)


def test_a_clip_becomes_a_job_whose_result_comes_home(here: Here) -> None:
    what = here.lies("test_0.mp4")
    with here.relay() as way, here.at_work() as done:
        assert way(what) == Outcome(Fate.DONE)
    assert here.files() == {"test_0.txt": LINE}
    assert [(job.id, job.kind, job.filename) for job in done] == [
        (what.arrivals[0].identity, JobKind.VIDEO, "test_0.mp4")
    ]


@pytest.mark.parametrize(
    ("key", "data", "kind"),
    [
        ("a.jpg", picture(RED), JobKind.RECOGNISE),
        ("a", CLIP, JobKind.VIDEO),
        ("a.jpg", CLIP, JobKind.VIDEO),
        ("a.mp4", b"", JobKind.VIDEO),
    ],
    ids=["a photo", "a clip without an ending", "a clip that is called a photo", "an empty clip"],
)
def test_what_is_asked_of_it_follows_its_first_bytes_and_its_name(
    here: Here, key: str, data: bytes, kind: JobKind
) -> None:
    with here.relay() as way, here.at_work() as done:
        way(here.lies(key, data))
    assert [job.kind for job in done] == [kind]


def test_what_lies_in_the_input_bucket_is_not_copied(here: Here) -> None:
    with here.relay() as way, here.at_work() as done:
        way(here.lies("test_0.mp4"))
    assert [(job.blob, job.image) for job in done] == [("in/test_0.mp4", None)]
    assert keys_of(here.backend.blobs, "in/") == ["in/test_0.mp4"]


def test_what_lies_elsewhere_is_copied_for_as_long_as_it_waits(here: Here) -> None:
    with here.relay() as way, here.at_work() as done:
        assert way(here.lies("test_0.mp4", bucket="another")).fate is Fate.DONE
    assert [keys.is_claim(job.blob or "") for job in done] == [True]
    assert [key for key in keys_of(here.backend.blobs, "in/") if keys.is_claim(key)] == []


def test_only_so_many_are_copied_at_the_same_time_however_many_come(here: Here) -> None:
    what = [here.lies(f"{number}.jpg", picture(RED), bucket="another") for number in range(3 * COPIES)]
    get, lock, now, most = here.objects.get, threading.Lock(), 0, 0

    def slow(*args: str, **more: object) -> bytes:
        nonlocal now, most
        with lock:
            now, most = now + 1, max(most, now + 1)
        time.sleep(0.1)
        with lock:
            now -= 1
        return get(*args, **more)

    here.objects.get = slow
    with here.relay() as way, here.at_work(), ThreadPoolExecutor(len(what)) as pool:
        assert {outcome.fate for outcome in pool.map(way, what)} == {Fate.DONE}
    assert most == COPIES


def test_an_event_that_comes_again_once_it_is_done_sends_no_job(here: Here) -> None:
    what = here.lies("test_0.mp4")
    with here.at_work() as done:
        with here.relay() as way:
            way(what)
        with here.relay() as another:
            assert another(what) == Outcome(Fate.DONE)
    assert len(done) == 1


def test_what_workers_cannot_read_is_a_failure_with_their_reason(here: Here) -> None:
    with here.relay() as way, here.at_work():
        outcome = way(here.lies("a.mp4", b"no clip"))
    assert outcome.fate is Fate.FAILED
    assert [json.loads(letter)["responsePayload"]["errorType"] for letter in outcome.letters] == ["not_a_video"]


def test_what_is_too_large_is_no_job(tmp_path: Path) -> None:
    here = Here(tmp_path, max_video_bytes=100)
    here.lies("a.mp4")
    with here.relay() as way:
        assert [way(event("a.mp4", size)).fate for size in (1024, 99)] == [Fate.FAILED, Fate.FAILED]
    assert here.waiting() == []


def test_what_was_deleted_before_it_is_sent_or_before_a_worker_looks_is_gone(here: Here) -> None:
    with here.relay() as way:
        assert way(event("a.mp4")) == Outcome(Fate.GONE)
        what = here.lies("b.mp4")
        here.backend.blobs.delete("in/b.mp4")
        with here.at_work():
            assert way(what) == Outcome(Fate.GONE)
    assert here.files() == {}


def test_an_upload_s_job_is_the_upload_s_own_and_done_anew_where_its_dead_letter_is_sent_again(here: Here) -> None:
    id = "0123456789abcdef" * 2
    what = here.lies(f"uploads/{id}/a.mp4", b"no clip")
    with here.relay() as way, here.at_work() as done:
        assert way(what).fate is Fate.FAILED
        assert answers.stored(here.backend.blobs, id)["status"] == "failed"
        here.lies(f"uploads/{id}/a.mp4")
        assert way(event(f"uploads/{id}/a.mp4", sequencer="0A1B2C-again")).fate is Fate.DONE
    assert [job.id for job in done] == [id, id]


def test_many_are_waited_for_at_the_same_time(here: Here) -> None:
    what = [here.lies(f"{number}.jpg", picture(RED)) for number in range(8)]
    with here.relay() as way:
        threads = [threading.Thread(target=way, args=(one,)) for one in what]
        for thread in threads:
            thread.start()
        awaited(lambda: here.backend.requests.depth().backlog == 8, "all are sent", seconds=30)
        with here.at_work():
            for thread in threads:
                thread.join(30.0)
    assert sorted(here.files()) == [f"{number}.txt" for number in range(8)]
