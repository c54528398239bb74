"""A relay whose objects a fleet recognises, and that fleet, which works when it is told to."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from awake import BLACK, RED, Directory, enrol, image_of, sees_colours
from clips import clip_of
from woken import put, records

from facefleet import wire
from facefleet.backends import connect
from facefleet.clipfile import HEAD
from facefleet.model import Job
from facefleet.recognition.jobs import Jobs
from facefleet.recognition.keeper import Keeper
from facefleet.recognition.processor import Processor
from facefleet.recognition.recogniser import Recogniser, limits_of
from facefleet.settings import Settings
from openstack_relay.by_fleet import ByFleet
from openstack_relay.doing import Outcome
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
