"""The front desk: takes a job in, safely, and waits for its answer if asked to."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from uuid import uuid4

from facefleet import answers, keys, wire
from facefleet.errors import TooLarge
from facefleet.glance import Glance
from facefleet.model import Job, JobKind
from facefleet.ports import Blobs, Queue
from facefleet.wire import Json
from web_tier.cache import Cache
from web_tier.probe import Probe
from web_tier.problems import busy
from web_tier.router import ReplyRouter

#: The backlog is asked for this often at most; between two looks, what is sent is counted here.
DEPTH_AGE = 1.0
#: Characters of a file name that fit SQS's smallest queue, 1,024 bytes, however many bytes each takes.
SHORT_FILENAME = 40


class Desk:
    def __init__(
        self, requests: Queue, blobs: Blobs, router: ReplyRouter, cache: Cache, *, max_backlog: int, max_uploads: int
    ) -> None:
        self._requests = requests
        self._blobs = blobs
        self._router = router
        self._cache = cache
        self._max_backlog = max_backlog
        self._queued = Glance(self._look_at_backlog, age=DEPTH_AGE)
        self._counting = threading.Lock()
        self._seats = threading.BoundedSemaphore(max_uploads)

    @contextmanager
    def seat(self) -> Iterator[None]:
        """Held from the first byte read to the answer, so that some threads stay free for health checks."""
        if not self._seats.acquire(blocking=False):
            raise busy("too_many_uploads", "too many uploads wait already: try again soon")
        try:
            yield
        finally:
            self._seats.release()

    def recognition(self, probe: Probe, *, top_k: int = 0) -> Job:
        """A job that asks who is on the probe, which is to be sent with it."""
        return replace(self._job(JobKind.RECOGNISE, probe), top_k=top_k)

    def video(self, probe: Probe, *, top_k: int = 0, everybody: bool = False) -> Job:
        """A job that asks who is in the clip, which is to be sent with it."""
        return replace(self._job(JobKind.VIDEO, probe), top_k=top_k, everybody=everybody)

    def enrolment(self, probe: Probe, person_id: str, *, force: bool) -> Job:
        """A job that enrols the probe as the person's photo."""
        return replace(self._job(JobKind.ENROL, probe), person_id=person_id, force=force)

    def _job(self, kind: JobKind, probe: Probe) -> Job:
        return Job(
            id=uuid4().hex,
            kind=kind,
            filename=probe.filename,
            submitted_at=time.time(),
            reply_to=self._router.reply_to,
        )

    def recall(self, job: Job, probe: Probe) -> Json | None:
        """The result of the same file before, now this job's own as well; None if it is to be sent."""
        return self._cache.recall(job, probe)

    def ask(self, job: Job, probe: Probe, *, timeout: float, sent: Callable[[], object] = lambda: None) -> Json | None:
        """Sends the job, says so by `sent`, and waits for its result; None if it takes longer: it stays queued."""
        self._refuse_when_full()
        with self._router.expecting(job.id) as future:
            self._send(job, probe)
            sent()
            result = self._router.wait(future, job, timeout)
        if result is not None and job.kind is not JobKind.ENROL and not job.blob:
            self._cache.answered(job, probe, result["gallery_version"])
        return result

    def leave(self, job: Job, probe: Probe) -> None:
        """Sends the job for a client that comes back for its result."""
        self._refuse_when_full()
        answers.promise(self._blobs, job.id)
        self._send(replace(job, reply_to=None), probe)
        if not job.blob:
            self._cache.asked(job, probe)

    def wait(self, job: Job, probe: Probe, *, timeout: float) -> Json | None:
        """Waits for the result of a job that was sent before, wherever; None if it takes longer."""
        # Not needed any more: a thousand that wait must not hold a thousand images.
        probe.take()
        with self._router.expecting(job.id) as future:
            return self._router.wait(future, job, timeout, elsewhere=True)

    def _send(self, job: Job, probe: Probe) -> None:
        """Sends the file with its job; one that does not fit the message is saved first, and its key is sent.

        One that its client has put into a blob stays there.
        """
        image = probe.take()
        # Base64 makes four characters of three bytes: the file alone shows most that cannot fit.
        if not job.blob and len(image) * 4 / 3 < self._requests.max_message_bytes:
            # What fits may have been made less since anybody looked.
            with suppress(TooLarge):
                self._requests.send(wire.dump_job(replace(job, image=image)))
                return
        blob = job.blob or self._saved(image)
        try:
            self._requests.send(wire.dump_job(replace(job, blob=blob)))
        except TooLarge:
            # A queue of a kilobyte, and a name of many characters that are no ASCII: its end says enough.
            self._requests.send(wire.dump_job(replace(job, blob=blob, filename=job.filename[-SHORT_FILENAME:])))

    def _saved(self, image: bytes) -> str:
        # A name of its own: a job that is sent twice has two messages, and who does the one deletes its image.
        blob = keys.claim(uuid4().hex)
        self._blobs.put(blob, image)
        return blob

    def _refuse_when_full(self) -> None:
        queued = self._queued.value()
        with self._counting:
            if queued.backlog >= self._max_backlog:
                raise busy("backlog_full", f"{queued.backlog} images wait already: try again soon")
            # Counted before it is sent: a burst must not slip in between two looks at the queue.
            queued.backlog += 1

    def _look_at_backlog(self) -> "Queued":
        return Queued(self._requests.depth().backlog)


@dataclass
class Queued:
    """What waited at one look, and what was sent since."""

    backlog: int
