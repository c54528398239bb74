"""An object recognised here: fetched, looked at, its line and its result stored as the function stores them."""

import time
from dataclasses import dataclass
from typing import Protocol

from facefleet import answers, course
from facefleet.answers import Store
from facefleet.arrivals import Arrival
from facefleet.arrived import job_of, most_bytes, to_be_done_anew
from facefleet.errors import NotFound, TooLarge
from facefleet.model import Failure, Result
from facefleet.ports import Blobs, Queue
from facefleet.recognition.jobs import Jobs
from facefleet.recognition.processor import Processor
from facefleet.settings import Settings
from facefleet.wire import Json
from openstack_relay.doing import Failed

#: Somebody whom an answer names may be erased while it is made; somebody else, the next time.
TRIES = 3


class Objects(Protocol):
    """Objects of S3 as events tell of them."""

    def get(self, bucket: str, key: str, *, version: str | None, most: int) -> bytes:
        """Raises `NotFound`, or `TooLarge` before more than `most` bytes are read."""

    def blob(self, bucket: str, key: str) -> str | None:
        """Which of our blobs an object is; None of one that is none."""


@dataclass(frozen=True)
class Work:
    """Holds what is loaded once."""

    process: Processor
    blobs: Blobs
    objects: Objects
    settings: Settings

    def __call__(self, arrival: Arrival) -> Json | None:
        """The result, stored; None where the object is gone. Done before, it is not looked at again."""
        if not to_be_done_anew(arrival) and (known := answers.stored(self.blobs, arrival.job_id)) is not None:
            return known
        store = course.store_line(answers.columns_of(self.settings.columns), self.settings.line_suffix)
        try:
            data = self.objects.get(
                arrival.bucket, arrival.key, version=arrival.version, most=most_bytes(arrival, self.settings)
            )
        except NotFound:
            return None
        except TooLarge as e:
            return self._refused(arrival, e, store)
        return self._done(arrival, data, store)

    def _done(self, arrival: Arrival, data: bytes, store: Store) -> Json:
        job = job_of(arrival, data, blob=self.objects.blob(arrival.bucket, arrival.key))
        jobs = Jobs(self.process, self.blobs, _nobody, stands=self.process.stands, store=store)
        for _ in range(TRIES):
            if (result := jobs.done(job, again=False, received=time.time())) is not None:
                return result
        raise Failed("people were erased while they were recognised: try again")

    def _refused(self, arrival: Arrival, error: TooLarge, store: Store) -> Json:
        job = job_of(arrival, b"", blob=self.objects.blob(arrival.bucket, arrival.key))
        return store(self.blobs, job, Result(job.id, job.filename, error=Failure(error.code, error.detail)), None)


def _nobody(name: str) -> Queue:
    raise NotFound(f"nobody waits at {name}: the relay itself brings results home")
