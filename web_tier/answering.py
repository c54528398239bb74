"""How whoever sent a file is answered: at once, later, or as the first time."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace

from flask import Response, jsonify, request, url_for

from facefleet import answers
from facefleet.errors import NotFound
from facefleet.idempotencykey import REPLAYED
from facefleet.keys import JOB_ID
from facefleet.model import Job
from facefleet.ports import Blobs
from facefleet.problems import unless_failed
from facefleet.wire import Json
from web_tier.auth import caller
from web_tier.cache import HIT
from web_tier.desk import Desk
from web_tier.idempotency import Asked, Once, Step, asked_under
from web_tier.probe import Probe


@dataclass(frozen=True)
class Answering:
    """The answers of one route.

    `endpoint` shows a result by its id; `patience` is how long a client waits here at most, and `outwaited` what it is
    told then, given the job and where its result will be.
    """

    desk: Desk
    once: Once
    blobs: Blobs
    endpoint: str
    patience: float
    outwaited: Callable[[Job, str], Response]

    def answer(self, job: Job, probe: Probe, key: str | None, sent: Callable[[], object] = lambda: None) -> Response:
        """Sends the job, under the key that its client chose, if any.

        `sent` is called as soon as the job is safe, or was sent before: its file is needed no more.
        """
        if key is None:
            return self._send(job, probe, sent)
        return self.answer_once(asked_under(caller(), key, job, probe.digest), job, probe, sent)

    def answer_once(self, asked: Asked, job: Job, probe: Probe, sent: Callable[[], object] = lambda: None) -> Response:
        """Sends the job unless that was done; else gives the answer that it had, or is about to have."""
        job = replace(job, id=asked.job_id)
        with ExitStack() as turn:
            turn.enter_context(self.once.turn(asked))
            step, result = self.once.look(asked, job.submitted_at)
            if step in (Step.SEND, Step.SEND_AGAIN):
                if result is not None:
                    self.once.drop(asked)

                def noted() -> None:
                    self.once.note(asked, job.submitted_at)
                    turn.close()
                    sent()

                return self._send(replace(job, again=step is Step.SEND_AGAIN), probe, noted)
        probe.take()
        sent()
        return self._replay(job, probe, result)

    def _send(self, job: Job, probe: Probe, sent: Callable[[], object]) -> Response:
        """`sent` is called as soon as the job is safe."""
        if (known := self.desk.recall(job, probe)) is not None:
            sent()
            # Who prefers not to wait finds it at the location already.
            return _with(HIT, self._queued(job) if wants_async() else jsonify(known))
        if wants_async():
            self.desk.leave(job, probe)
            sent()
            return self._queued(job)
        return self._answer(job, self.desk.ask(job, probe, timeout=self.patience, sent=sent))

    def _replay(self, job: Job, probe: Probe, result: Json | None) -> Response:
        """The answer of the job that was sent before, also by a client that did not say that it comes back for it."""
        if wants_async():
            if result is None:
                answers.promise(self.blobs, job.id)
            return _with(REPLAYED, self._queued(job))
        return self._answer(job, result or self.desk.wait(job, probe, timeout=self.patience), REPLAYED)

    def _answer(self, job: Job, result: Json | None, headers: Mapping[str, str] | None = None) -> Response:
        if result is None:
            answers.promise(self.blobs, job.id)
            return _with(headers or {}, self.outwaited(job, self._location(job)))
        return _with(headers or {}, jsonify(unless_failed(result, headers)))

    def _queued(self, job: Job) -> Response:
        return queued(job, self._location(job))

    def _location(self, job: Job) -> str:
        return url_for(self.endpoint, job_id=job.id)


def show(blobs: Blobs, job_id: str) -> Response:
    """The result, or 202 as long as it is queued; raises `NotFound`."""
    whole = lookup(blobs, job_id)
    return still_queued(job_id) if whole is None else jsonify(answers.shown(whole))


def lookup(blobs: Blobs, job_id: str) -> Json | None:
    """The job's result as it was kept, encodings and all; None while it is queued. Raises `NotFound`."""
    if JOB_ID.fullmatch(job_id):
        if (whole := answers.stored_whole(blobs, job_id)) is not None:
            return whole
        if answers.promised(blobs, job_id):
            return None
    raise NotFound(f"no result {job_id}: it never was, or was forgotten: send the file again")


def wants_async() -> bool:
    return "respond-async" in request.headers.get("Prefer", "").lower()


def queued(job: Job, location: str) -> Response:
    """202: safe with us; its result will be found at the location."""
    response = still_queued(job.id)
    response.headers["Location"] = location
    if wants_async():
        response.headers["Preference-Applied"] = "respond-async"
    return response


def still_queued(job_id: str) -> Response:
    response = jsonify(id=job_id, status="queued")
    response.status_code = 202
    response.headers["Retry-After"] = "1"
    return response


def _with(headers: Mapping[str, str], response: Response) -> Response:
    response.headers.update(headers)
    return response
