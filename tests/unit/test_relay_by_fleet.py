"""A relay whose objects a fleet recognises: jobs that are sent, and results that come home, or do not."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from awake import BLACK, RED, Directory, enrol, image_of, keys_of, picture, sees_colours
from clips import clip_of
from woken import put, records

from bench.local import awaited
from facefleet import answers, keys, wire
from facefleet.backends import connect
from facefleet.clipfile import HEAD
from facefleet.errors import NotFound, Unavailable
from facefleet.model import Depth, Job, JobKind
from facefleet.ports import Queue
from facefleet.recognition.jobs import Jobs
from facefleet.recognition.keeper import Keeper
from facefleet.recognition.processor import Processor
from facefleet.recognition.recogniser import Recogniser, limits_of
from facefleet.settings import Settings
from openstack_relay.by_fleet import ByFleet
from openstack_relay.doing import Failed, Fate, Outcome
from openstack_relay.home import Home
from openstack_relay.incoming import Event, read
from openstack_relay.replies import Replies

CLIP = clip_of((image_of(BLACK), 0.2), (image_of(RED), 0.2))
LINE = "mr_bean,lawyer,freshmen\n"


class Bucket(Directory):
    """Of one bucket, whose objects are blobs of the service, and of others, whose are not."""

    def head(self, bucket: str, key: str, *, version: str | None) -> tuple[bytes, int]:
        data = self.get(bucket, key, version=version, most=10**9)
        return data[:HEAD], len(data)


class Here:
    """A relay, and a fleet that works when it is told to."""

    def __init__(self, folder: Path, **changed: object) -> None:
        told = {"relay_timeout": 5.0, "visibility_timeout": 60.0} | changed
        self.settings = Settings(data=folder / "data", input_bucket="clips", output_bucket="lines", **told)
        self.backend = connect(self.settings)
        enrol(self.backend.people)
        self.objects = Bucket(bucket="clips")
        self.home = folder / "results"
        self.home.mkdir()

    @contextmanager
    def relay(self) -> Iterator[ByFleet]:
        with self.backend.open_replies() as queue:
            replies = Replies(queue, self.backend.blobs)
            way = ByFleet(
                self.backend.requests, replies, self.backend.blobs, self.objects, Home(self.home), self.settings
            )
            with way.running():
                yield way

    def lies(self, key: str, data: bytes = CLIP, *, bucket: str = "clips") -> Event:
        """What S3 tells of an object that lies there from now on."""
        self.objects.found[bucket, key] = data
        if bucket == "clips":
            self.backend.blobs.put(f"in/{key}", data)
        return event(key, len(data), bucket=bucket)

    @contextmanager
    def at_work(self, *, answers_home: bool = True) -> Iterator[list[Job]]:
        """One worker, and the jobs that it has done."""
        done, stop = list[Job](), threading.Event()
        keeper = Keeper(self.backend.people, self.backend.blobs)
        recogniser = Recogniser(sees_colours, keeper, limits_of(self.settings))
        process = Processor(recogniser, self.backend.people, self.backend.blobs)
        jobs = Jobs(process, self.backend.blobs, self.backend.replies, stands=process.stands)

        def work() -> None:
            while not stop.is_set():
                for message in self.backend.requests.receive(wait=1.0, stop=stop):
                    job = wire.load_job(message.body)
                    result = jobs.done(job, again=job.again, received=time.time())
                    if answers_home:
                        jobs.tell(job, result)
                    self.backend.requests.ack(message)
                    jobs.clear(job, result)
                    done.append(job)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield done
        finally:
            stop.set()
            thread.join()

    def waiting(self) -> list[Job]:
        """Jobs in the request queue, which stay there."""
        messages = self.backend.requests.receive(limit=10)
        for message in messages:
            self.backend.requests.release(message)
        return [wire.load_job(message.body) for message in messages]

    def files(self) -> dict[str, str]:
        return {path.name: path.read_text() for path in self.home.iterdir()}


def event(key: str, size: int = 1024, *, bucket: str = "clips", **about: object) -> Event:
    found = read(json.dumps(records(put(bucket, key, size, **about))))
    assert found is not None
    return found


@pytest.fixture
def here(tmp_path: Path) -> Here:
    return Here(tmp_path)


@contextmanager
def asked(way: ByFleet, what: Event) -> Iterator[Callable[[], Outcome]]:
    """The event, in a thread of its own; what is yielded waits for the outcome, or raises what it raised."""
    ended: list[Outcome | Exception] = []

    def run() -> None:
        try:
            ended.append(way(what))
        except Exception as e:
            ended.append(e)

    def outcome() -> Outcome:
        thread.join(60.0)
        if isinstance(ended[0], Exception):
            raise ended[0]
        return ended[0]

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield outcome
    finally:
        thread.join(60.0)


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


def test_an_event_that_comes_again_once_it_is_done_sends_no_job(here: Here) -> None:
    what = here.lies("test_0.mp4")
    with here.at_work() as done:
        with here.relay() as way:
            way(what)
        with here.relay() as another:
            assert another(what) == Outcome(Fate.DONE)
    assert len(done) == 1


def test_a_relay_that_was_killed_sends_the_same_job_which_is_done_once(here: Here) -> None:
    what = here.lies("test_0.mp4")
    with here.relay() as killed, pytest.raises(Unavailable):
        # As far as another can see: its job waits, and nobody waits for the reply.
        killed(what)
    with here.relay() as way, asked(way, what) as outcome:
        awaited(lambda: len(here.waiting()) == 2, "the same job is sent again", seconds=30)
        with here.at_work() as done:
            assert outcome() == Outcome(Fate.DONE)
            awaited(lambda: len(done) == 2, "both messages are taken", seconds=30)
    assert len({job.id for job in done}) == 1 and all(job.again for job in done)
    assert here.files() == {"test_0.txt": LINE}


def test_a_result_whose_reply_is_lost_is_found_where_it_is_stored(here: Here) -> None:
    with here.relay() as way, here.at_work(answers_home=False):
        assert way(here.lies("test_0.mp4")) == Outcome(Fate.DONE)


def test_a_fleet_that_takes_long_is_nobody_s_failure_and_its_job_is_not_sent_twice(tmp_path: Path) -> None:
    here = Here(tmp_path, relay_timeout=1.0)
    what = here.lies("test_0.mp4")
    with here.relay() as way:
        for _ in range(2):
            with pytest.raises(Unavailable) as raised:
                way(what)
            assert not isinstance(raised.value, Failed)
        assert len(here.waiting()) == 1
        with here.at_work():
            assert way(what) == Outcome(Fate.DONE)


def test_a_job_that_was_lost_counts_as_a_failure_and_is_sent_again(tmp_path: Path) -> None:
    here = Here(tmp_path, relay_timeout=1.0)
    what = here.lies("test_0.mp4")
    with here.relay() as way:
        with asked(way, what) as outcome:
            awaited(here.waiting, "it is sent", seconds=30)
            here.backend.requests.purge()
            with pytest.raises(Failed, match="dead letters"):
                outcome()
        with here.at_work():
            assert way(what) == Outcome(Fate.DONE)


def test_a_job_that_later_ones_have_overtaken_counts_as_lost_however_many_wait(tmp_path: Path) -> None:
    here = Here(tmp_path, relay_timeout=1.0)
    first, later = here.lies("lost.jpg", picture(RED)), here.lies("later.jpg", picture(RED))
    with here.relay() as way:
        with asked(way, first) as outcome:
            awaited(here.waiting, "it is sent", seconds=30)
            here.backend.requests.purge()
            here.backend.requests.send("somebody else's")
            with pytest.raises(Unavailable) as raised:
                outcome()
            assert not isinstance(raised.value, Failed)
        for message in here.backend.requests.receive():
            here.backend.requests.ack(message)
        with here.at_work():
            way(later)
        here.backend.requests.send("somebody else's")
        with pytest.raises(Failed):
            way(first)


def test_no_more_jobs_are_sent_than_the_backlog_may_have(tmp_path: Path) -> None:
    here = Here(tmp_path, max_backlog=1, relay_timeout=1.0)
    with here.relay() as way:
        way.ask()
        with pytest.raises(Unavailable):
            way(here.lies("a.mp4"))
        with pytest.raises(Unavailable, match="wait for workers") as raised:
            way(here.lies("b.mp4"))
        assert not isinstance(raised.value, Failed)
        with pytest.raises(Unavailable):
            way.ask()
    assert [job.filename for job in here.waiting()] == ["a.mp4"]


def test_what_finds_no_room_in_the_backlog_is_not_copied_either(tmp_path: Path) -> None:
    here = Here(tmp_path, max_backlog=1)
    here.backend.requests.send("somebody else's")
    what = here.lies("a.mp4", bucket="another")
    with here.relay() as way, pytest.raises(Unavailable, match="wait for workers"):
        way(what)
    assert keys_of(here.backend.blobs, "in/") == []


class Gone(Queue):
    """As SQS says of a queue that was deleted."""

    name = "requests"

    def __init__(self, *, counts: bool) -> None:
        self._counts = counts

    def send(self, body: str) -> None:
        raise NotFound("sending to requests: there is no such queue")

    def depth(self) -> Depth:
        if self._counts:
            return Depth(0, 0)
        raise NotFound("looking at requests: there is no such queue")


@pytest.mark.parametrize("counts", [True, False], ids=["when it is sent to", "when it is looked at"])
def test_a_request_queue_that_is_gone_is_an_outage_and_no_object_that_is_gone(here: Here, counts: bool) -> None:
    what = here.lies("a.mp4")
    with here.backend.open_replies() as queue:
        replies, home = Replies(queue, here.backend.blobs), Home(here.home)
        way = ByFleet(Gone(counts=counts), replies, here.backend.blobs, here.objects, home, here.settings)
        with pytest.raises(Unavailable, match="facefleet setup") as raised:
            way(what)
    assert not isinstance(raised.value, Failed)


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


def test_whoever_is_nobody_s_reply_is_dropped_and_the_rest_go_on(here: Here) -> None:
    with here.backend.open_replies() as queue:
        replies = Replies(queue, here.backend.blobs)
        with replies.running(), replies.expecting("a" * 32) as future:
            queue.send("not ours")
            queue.send(wire.dump_reply("b" * 32, {"id": "b" * 32}))
            queue.send(wire.dump_reply("a" * 32, {"id": "a" * 32}))
            assert replies.result("a" * 32, future, timeout=30.0) == {"id": "a" * 32}


def test_what_is_stored_of_before_is_no_answer_to_what_is_to_be_done_anew(here: Here) -> None:
    here.backend.blobs.put(keys.result("a" * 32), b'{"id": "stored"}')
    with here.backend.open_replies() as queue:
        replies = Replies(queue, here.backend.blobs)
        with replies.expecting("a" * 32) as future:
            assert replies.result("a" * 32, future, timeout=2.5, looks=False) is None
            assert replies.result("a" * 32, future, timeout=2.5) == {"id": "stored"}


def test_the_reply_queue_goes_with_the_relay(here: Here) -> None:
    with here.backend.open_replies() as queue:
        name = queue.name
    with pytest.raises(NotFound):
        here.backend.replies(name).send("x")
