"""A job from its image to its answer, whoever does it: found, done, stored, told. Twice is harmless."""

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

from facefleet import answers, keys
from facefleet.answers import Store
from facefleet.model import Failure, Job, JobKind, Result, Timings
from facefleet.ports import Blobs, Queue
from facefleet.wire import Json

log = logging.getLogger(__name__)

Process = Callable[[Job, bytes], Result]


class Jobs:
    """Does jobs, one at a time."""

    def __init__(
        self,
        process: Process,
        blobs: Blobs,
        replies: Callable[[str], Queue],
        *,
        stands: Callable[[Json], bool],
        store: Store = answers.store,
        working: Callable[[], AbstractContextManager[None]] = nullcontext,
        turned: Callable[[], object] = lambda: None,
    ) -> None:
        """`stands` is asked of a result before it is told.

        `working` is entered while faces are looked for; `turned` is called when a job has come a step further.
        """
        self._process = process
        self._blobs = blobs
        self._replies = replies
        self._stands = stands
        self._store = store
        self._working = working
        self._turned = turned

    def done(self, job: Job, *, again: bool, received: float) -> Json | None:
        """The job's result, stored; None where somebody whom it names was erased meanwhile, and it is to be done again.

        `again`: it may have been done before, and is not done twice. To be told once this returns.
        """
        result = self._result(job, received, again=again)
        self._turned()
        # Looked at once it is stored: an erasure that had not found it yet finds it from now on.
        if self._stands(result):
            self._forget_if_purged(job, result)
            return result
        self._forget(result)
        log.info("job %s: somebody whom it names was erased meanwhile: it is done again", job.id)
        return None

    def _forget_if_purged(self, job: Job, result: Json) -> None:
        """A clip takes its time: a purge meanwhile has not found what is stored of it only now."""
        if job.kind is JobKind.VIDEO and answers.purged_since(self._blobs, job.submitted_at):
            self._forget(result)
            log.info("job %s: everything was purged meanwhile: nothing of it is kept", job.id)

    def _forget(self, result: Json) -> None:
        answers.erase(self._blobs, answers.stored_whole(self._blobs, result["id"]) or result, answer=result["answer"])

    def tell(self, job: Job, result: Json) -> None:
        """Replies to whoever waits."""
        answers.reply(self._replies, job, result)

    def clear(self, job: Job, result: Json) -> None:
        """What the job waited in goes; to be called once its message is acknowledged."""
        if job.blob is not None and keys.is_claim(job.blob):
            self._blobs.delete(job.blob)
        # No name, and no words that may hold one: a log outlives an erasure.
        why = (result["error"] or {}).get("code", "")
        log.info("job %s: %s, %d faces %s", job.id, result["status"], len(result["faces"]), why)

    def _result(self, job: Job, received: float, *, again: bool) -> Json:
        """What is stored of the job, by now."""
        result = answers.stored(self._blobs, job.id) if again else None
        if result is None:
            image = self._image(job)
            result = self._store(self._blobs, job, self._work(job, image, received), image)
        return result

    def _work(self, job: Job, image: bytes | None, received: float) -> Result:
        started = time.perf_counter()
        with self._working():
            result = _image_gone(job) if image is None else self._process(job, image)
        recognise = time.perf_counter() - started
        queued = max(0.0, received - job.submitted_at)
        return replace(result, timings=Timings(queued, recognise, queued + recognise))

    def _image(self, job: Job) -> bytes | None:
        # Whoever has it read already says by the blob where it lies.
        return job.image if job.image is not None or job.blob is None else answers.found(self._blobs, job.blob)


def _image_gone(job: Job) -> Result:
    detail = f"the image that waited at {job.blob or keys.claim(job.id)} is gone: send it again"
    return Result(job.id, job.filename, error=Failure("image_gone", detail))
