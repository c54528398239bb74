"""`/v1/recognitions`: who is on this image?"""

import re
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace

from flask import Blueprint, Response, jsonify, request, url_for

from facefleet import answers
from facefleet.errors import NotFound
from facefleet.model import Job
from facefleet.ports import Blobs
from facefleet.settings import Settings
from facefleet.wire import Json
from web_tier.auth import caller, needs
from web_tier.cache import HIT
from web_tier.desk import Desk
from web_tier.idempotency import HEADER, REPLAYED, Asked, Once, Step, asked_under, key_of
from web_tier.probe import Probe
from web_tier.problems import RETRY_AFTER, Problem, unless_failed
from web_tier.uploads import probe_of_request

MAX_TOP_K = 100
JOB_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class RecognitionViews:
    """The views, given what they need."""

    desk: Desk
    once: Once
    blobs: Blobs
    settings: Settings

    def blueprint(self) -> Blueprint:
        routes = Blueprint("recognitions", __name__)
        routes.add_url_rule("/v1/recognitions", view_func=self.recognise, methods=["POST"])
        routes.add_url_rule("/v1/recognitions/<job_id>", view_func=self.result_of, methods=["GET"])
        return routes

    @needs("recognise")
    def recognise(self) -> Response:
        with self.desk.seat():
            top_k, key = _top_k(), key_of(request.headers.get(HEADER))
            probe = probe_of_request(self.settings.max_pixels)
            job = self.desk.recognition(probe, top_k=top_k)
            if key is None:
                return self._send(job, probe)
            return self._once(asked_under(caller(), key, job, probe.digest), job, probe)

    def _once(self, asked: Asked, job: Job, probe: Probe) -> Response:
        """Sends the job unless that was done; else gives the answer that it had, or is about to have."""
        job = replace(job, id=asked.job_id)
        with ExitStack() as turn:
            turn.enter_context(self.once.turn(asked))
            step, result = self.once.look(asked, job.submitted_at)
            if step in (Step.SEND, Step.SEND_AGAIN):
                if result is not None:
                    self.once.drop(asked)

                def sent() -> None:
                    self.once.note(asked, job.submitted_at)
                    turn.close()

                return self._send(replace(job, again=step is Step.SEND_AGAIN), probe, sent)
        return self._replay(job, probe, result)

    def _send(self, job: Job, probe: Probe, sent: Callable[[], object] = lambda: None) -> Response:
        """`sent` is called as soon as the job is safe."""
        if (known := self.desk.recall(job, probe)) is not None:
            sent()
            # Who prefers not to wait finds it at the location already.
            return _with(HIT, queued(job, location(job)) if wants_async() else jsonify(known))
        if wants_async():
            self.desk.leave(job, probe)
            sent()
            return queued(job, location(job))
        return self._answer(job, self.desk.ask(job, probe, timeout=self.settings.wait_limit, sent=sent))

    def _replay(self, job: Job, probe: Probe, result: Json | None) -> Response:
        """The answer of the job that was sent before, also by a client that did not say that it comes back for it."""
        if wants_async():
            if result is None:
                answers.promise(self.blobs, job.id)
            return _with(REPLAYED, queued(job, location(job)))
        result = result or self.desk.wait(job, probe, timeout=self.settings.wait_limit)
        return self._answer(job, result, REPLAYED)

    def _answer(self, job: Job, result: Json | None, headers: Mapping[str, str] | None = None) -> Response:
        if result is None:
            answers.promise(self.blobs, job.id)
            raise _outwaited(job)
        return _with(headers or {}, jsonify(unless_failed(result, headers)))

    @needs("recognise")
    def result_of(self, job_id: str) -> Response:
        whole = lookup(self.blobs, job_id)
        return still_queued(job_id) if whole is None else jsonify(answers.shown(whole))


def lookup(blobs: Blobs, job_id: str) -> Json | None:
    """The job's result as it was kept, encodings and all; None while it is queued. Raises `NotFound`."""
    if JOB_ID.fullmatch(job_id):
        if (whole := answers.stored_whole(blobs, job_id)) is not None:
            return whole
        if answers.promised(blobs, job_id):
            return None
    raise NotFound(f"no result {job_id}: it never was, or was forgotten: send the image again")


def location(job: Job) -> str:
    return url_for("recognitions.result_of", job_id=job.id)


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


def _outwaited(job: Job) -> Problem:
    where = location(job)
    detail = f"it takes longer than we let you wait, and goes on: ask GET {where} later"
    return Problem(504, "no_answer_yet", detail, headers={"Location": where, "Retry-After": str(RETRY_AFTER)})


def _top_k() -> int:
    text = request.args.get("top_k", "0")
    if not text.isdecimal() or int(text) > MAX_TOP_K:
        raise Problem(400, "bad_top_k", f"top_k is a number from 0 to {MAX_TOP_K}")
    return int(text)
