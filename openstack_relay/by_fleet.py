"""Events are done by the workers of a fleet: a job for each object, whose result is awaited and brought home.

A job's id is the arrival's own, the same however often an event comes: what was done is found, and what is
under way is not done twice by a worker that finds it done.
"""

import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import BoundedSemaphore, Lock
from typing import Protocol
from uuid import uuid4

from facefleet import answers, keys, wire
from facefleet.arrivals import Arrival
from facefleet.arrived import job_of, most_bytes, to_be_done_anew
from facefleet.clipfile import HEAD
from facefleet.errors import NotFound, TooLarge, Unavailable
from facefleet.glance import Glance
from facefleet.model import Failure, Job, Result
from facefleet.ports import Blobs, Queue
from facefleet.settings import Settings
from facefleet.wire import Json
from openstack_relay.doing import Failed, Outcome
from openstack_relay.each import Each, Home
from openstack_relay.incoming import Event
from openstack_relay.replies import Replies

#: The backlog is asked for this often at most; between two looks, what is sent is counted here.
DEPTH_AGE = 1.0
#: Jobs remembered as sent: many more than are ever waited for at once.
MOST_SENT = 10_000
#: Objects copied at the same time: each is in memory meanwhile, and clips are large.
COPIES = 4


class Objects(Protocol):
    """Objects of S3 as events tell of them."""

    def head(self, bucket: str, key: str, *, version: str | None) -> tuple[bytes, int]:
        """Its first bytes, which tell what it is, and its size; raises `NotFound`."""

    def get(self, bucket: str, key: str, *, version: str | None, most: int) -> bytes:
        """Raises `NotFound`, or `TooLarge` before more than `most` bytes are read."""

    def blob(self, bucket: str, key: str) -> str | None:
        """Which of our blobs an object is; None of one that is none."""


@dataclass
class Queued:
    """What waited at one look, and what was sent since."""

    backlog: int


class ByFleet:
    def __init__(
        self, requests: Queue, replies: Replies, blobs: Blobs, objects: Objects, home: Home, settings: Settings
    ) -> None:
        self._do = Each(self._recognised, home, settings)
        self._requests = requests
        self._replies = replies
        self._blobs = blobs
        self._objects = objects
        self._settings = settings
        self._sent = Sent()
        self._queued = Glance(lambda: Queued(self._backlog()), age=DEPTH_AGE)
        self._counting = Lock()
        self._copying = BoundedSemaphore(COPIES)

    @contextmanager
    def running(self) -> Iterator["ByFleet"]:
        with self._replies.running():
            yield self

    def __call__(self, event: Event) -> Outcome:
        return self._do(event)

    def ask(self) -> None:
        """Raises `Unavailable` while the fleet has more to do than it may have, or its queue does not answer."""
        self._check_room(Queued(self._backlog()))

    def _recognised(self, arrival: Arrival) -> Json | None:
        is_anew = to_be_done_anew(arrival)
        known = None if is_anew else answers.stored(self._blobs, arrival.job_id)
        if known is not None:
            return known
        with self._replies.expecting(arrival.job_id) as future:
            if not self._sent.knows(arrival.job_id):
                self._take_room()
                try:
                    job = self._job(arrival)
                except NotFound:
                    return None
                except TooLarge as e:
                    return _refused(arrival, e)
                self._send(job)
            timeout = self._settings.relay_timeout
            result = self._replies.result(arrival.job_id, future, timeout=timeout, looks=not is_anew)
        if result is None:
            raise self._patience(arrival.job_id)
        self._sent.answered(arrival.job_id)
        return result

    def _patience(self, job_id: str) -> Unavailable:
        """Why there is no result yet: a fleet that is busy or comes up still, or a job that got lost."""
        if self._sent.is_overtaken(job_id, by=self._settings.relay_timeout) or not self._backlog():
            # Given up by the workers, or purged: it is sent again.
            self._sent.forget(job_id)
            return Failed("no worker answered it, and none has it in hand: see the dead letters of the request queue")
        return Unavailable("the fleet has not come to it yet: it comes again")

    def _take_room(self) -> None:
        """Before anything is copied: what cannot be sent would lie there in vain, and anew each time it comes again."""
        with self._counting:
            queued = self._queued.value()
            self._check_room(queued)
            queued.backlog += 1

    def _send(self, job: Job) -> None:
        with _requests_there():
            self._requests.send(wire.dump_job(job))
        self._sent.note(job.id)

    def _backlog(self) -> int:
        with _requests_there():
            return self._requests.depth().backlog

    def _check_room(self, queued: Queued) -> None:
        if queued.backlog >= self._settings.max_backlog:
            raise Unavailable(f"{queued.backlog} jobs wait for workers already: more are sent when there are fewer")

    def _job(self, arrival: Arrival) -> Job:
        """With the key of what lies in our input bucket, as of any upload there; else with a copy, as of any image."""
        most = most_bytes(arrival, self._settings)
        blob = self._objects.blob(arrival.bucket, arrival.key)
        if blob is None:
            data, blob = self._copied(arrival, most)
        else:
            # Workers know no versions: of a file that was replaced meanwhile they see the newer one.
            data, size = self._objects.head(arrival.bucket, arrival.key, version=None)
            most_bytes(replace(arrival, size=size), self._settings)
        job = job_of(arrival, data, blob=blob)
        # A worker may have done it for the relay before this one, which was killed.
        return replace(job, image=None, reply_to=self._replies.reply_to, again=not to_be_done_anew(arrival))

    def _copied(self, arrival: Arrival, most: int) -> tuple[bytes, str]:
        """Its first bytes, and the key of the copy."""
        with self._copying:
            data = self._objects.get(arrival.bucket, arrival.key, version=arrival.version, most=most)
            blob = keys.claim(uuid4().hex)
            self._blobs.put(blob, data)
            return data[:HEAD], blob


class Sent:
    """Jobs that this process has sent, and whether those are lost that have no result yet."""

    def __init__(self) -> None:
        self._at: OrderedDict[str, float] = OrderedDict()
        self._answered = float("-inf")
        self._lock = Lock()

    def note(self, job_id: str) -> None:
        with self._lock:
            self._at[job_id] = time.monotonic()
            while len(self._at) > MOST_SENT:
                self._at.popitem(last=False)

    def knows(self, job_id: str) -> bool:
        return job_id in self._at

    def answered(self, job_id: str) -> None:
        with self._lock:
            self._answered = max(self._answered, self._at.pop(job_id, float("-inf")))

    def forget(self, job_id: str) -> None:
        self._at.pop(job_id, None)

    def is_overtaken(self, job_id: str, *, by: float) -> bool:
        """Whether one that was sent so much later has its result: a queue gives them out in about their order."""
        return self._answered > self._at.get(job_id, float("inf")) + by


@contextmanager
def _requests_there() -> Iterator[None]:
    """A queue that is gone is an outage: an object that is gone is another matter, and its event is over."""
    try:
        yield
    except NotFound as e:
        raise Unavailable(f"{e}: make the request queue again, as `facefleet setup` does") from e


def _refused(arrival: Arrival, error: TooLarge) -> Json:
    failed = Result(arrival.job_id, arrival.filename, error=Failure(error.code, error.detail))
    return wire.result_to_json(failed)
