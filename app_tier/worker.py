"""The loop of a worker: receive, process, store, reply, ack. In that order, so that a crash loses nothing."""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from threading import Event

from app_tier import outage
from app_tier.outage import Outage
from app_tier.pulse import Pulse
from facefleet import answers, keys, wire
from facefleet.errors import BadMessage, Unavailable
from facefleet.model import Failure, Job, JobKind, Message, Result, Timings
from facefleet.ports import MAX_WAIT, Blobs, Queue
from facefleet.wire import Json

log = logging.getLogger(__name__)

#: When nothing came for so long, there is time for what can wait.
REST = 1.0

Process = Callable[[Job, bytes], Result]


class Worker:
    """One process on one core; takes a message at a time."""

    def __init__(
        self,
        requests: Queue,
        replies: Callable[[str], Queue],
        blobs: Blobs,
        process: Process,
        pulse: Pulse,
        *,
        idle: Callable[[], None],
        stands: Callable[[Json], bool],
        probe: Callable[[], object],
    ) -> None:
        """`idle` is called when nothing waits, now and again; `stands` is asked of a result before it is told.

        `probe` raises `Unavailable` while what jobs need does not answer.
        """
        self._requests = requests
        self._replies = replies
        self._blobs = blobs
        self._process = process
        self._pulse = pulse
        self._idle = idle
        self._stands = stands
        self._probe = probe
        self._outage = Outage()

    def run(self, stop: Event) -> None:
        """Works until `stop` is set; the image in hand is finished."""
        wait = REST
        while not stop.is_set():
            self._pulse.turned()
            try:
                wait = REST if self._turn(wait, stop) else MAX_WAIT
            except Exception as e:
                log.exception("the worker goes on after an error")
                self._pulse.turned()
                stop.wait(self._outage.failed() if isinstance(e, Unavailable) else outage.RETRY_AFTER)

    def _turn(self, wait: float, stop: Event) -> int:
        """Takes what comes; returns how many messages that were."""
        if self._outage.in_doubt:
            # Before anything is received: each receive is counted.
            self._probe()
            self._outage.answered()
        messages = self._requests.receive(wait=wait, stop=stop)
        for message in messages:
            self._take(message, stop)
        if not messages and not stop.is_set():
            self._outage.is_over()
            self._idle()
        return len(messages)

    def _take(self, message: Message, stop: Event) -> None:
        if stop.is_set():
            # It came while we were asked to go: another worker has it at once.
            self._requests.release(message)
            return
        with self._pulse.holding(message):
            try:
                self._handle(message)
                self._outage.is_over()
            except BadMessage as e:
                # Poison: comes again a few times, then lies with the dead letters, where somebody can look at it.
                log.warning("message received %d times is not ours: %s", message.receive_count, e)
                self._requests.release(message)
            except Unavailable:
                # Longer than this worker pauses: others would fail with it, too.
                self._requests.release(message, after=self._outage.rest(message.receive_count))
                raise
            except Exception:
                self._requests.release(message, after=outage.RETRY_AFTER * message.receive_count)
                raise

    def _handle(self, message: Message) -> None:
        received = time.time()
        job = wire.load_job(message.body)
        if job.kind is JobKind.TIDY:
            self._idle()
            self._requests.ack(message)
            return
        result = self._result(job, message, received)
        self._pulse.turned()
        # Looked at once it is stored: an erasure that had not found it yet finds it from now on.
        if not self._stands(result):
            answers.erase(self._blobs, result, answer=result["answer"])
            self._requests.release(message)
            log.info("job %s: somebody whom it names was erased meanwhile: it is done again", job.id)
            return
        answers.reply(self._replies, job, result)
        self._pulse.turned()
        self._requests.ack(message)
        if job.blob is not None:
            self._blobs.delete(job.blob)
        # No name, and no words that may hold one: a log outlives an erasure.
        why = (result["error"] or {}).get("code", "")
        log.info("job %s: %s, %d faces %s", job.id, result["status"], len(result["faces"]), why)

    def _result(self, job: Job, message: Message, received: float) -> Json:
        """What is stored of the job, by now."""
        result = answers.stored(self._blobs, job.id) if message.receive_count > 1 or job.again else None
        if result is None:
            image = self._image(job)
            result = answers.store(self._blobs, job, self._work(job, image, received), image)
        return result

    def _work(self, job: Job, image: bytes | None, received: float) -> Result:
        started = time.perf_counter()
        with self._pulse.working():
            result = _image_gone(job) if image is None else self._process(job, image)
        recognise = time.perf_counter() - started
        queued = max(0.0, received - job.submitted_at)
        return replace(result, timings=Timings(queued, recognise, queued + recognise))

    def _image(self, job: Job) -> bytes | None:
        return job.image if job.blob is None else answers.found(self._blobs, job.blob)


def _image_gone(job: Job) -> Result:
    detail = f"the image that waited at {job.blob or keys.claim(job.id)} is gone: send it again"
    return Result(job.id, job.filename, error=Failure("image_gone", detail))
