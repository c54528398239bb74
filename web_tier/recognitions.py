"""`/v1/recognitions`: who is on this image?"""

from dataclasses import dataclass
from functools import partial
from typing import NoReturn

from flask import Blueprint, Response, request

from facefleet.idempotencykey import HEADER, key_of
from facefleet.model import Job
from facefleet.parameters import top_k
from facefleet.ports import Blobs
from facefleet.problems import RETRY_AFTER, Problem
from facefleet.settings import Settings
from web_tier.answering import Answering, show
from web_tier.auth import needs
from web_tier.desk import Desk
from web_tier.idempotency import Once
from web_tier.uploaded import Uploaded
from web_tier.uploads import Upload, file_of_request, images


@dataclass(frozen=True)
class RecognitionViews:
    """The views, given what they need."""

    desk: Desk
    once: Once
    blobs: Blobs
    uploaded: Uploaded
    settings: Settings

    def blueprint(self) -> Blueprint:
        routes = Blueprint("recognitions", __name__)
        routes.add_url_rule("/v1/recognitions", view_func=self.recognise, methods=["POST"])
        routes.add_url_rule("/v1/recognitions/<job_id>", view_func=self.result_of, methods=["GET"])
        return routes

    @needs("recognise")
    def recognise(self) -> Response:
        with self.desk.seat():
            candidates, key = top_k(request.args), key_of(request.headers.get(HEADER))
            probe = file_of_request(images(self.settings.max_pixels))
            ask = partial(self.desk.recognition, top_k=candidates)
            if isinstance(probe, Upload):
                return self.uploaded.answer(probe, ask, self._answering())
            return self._answering().answer(ask(probe), probe, key)

    def _answering(self) -> Answering:
        wait, endpoint = self.settings.wait_limit, "recognitions.result_of"
        return Answering(self.desk, self.once, self.blobs, endpoint, wait, outwaited)

    @needs("recognise")
    def result_of(self, job_id: str) -> Response:
        return show(self.blobs, job_id)


def outwaited(job: Job, where: str) -> NoReturn:
    detail = f"it takes longer than we let you wait, and goes on: ask GET {where} later"
    raise Problem(504, "no_answer_yet", detail, headers={"Location": where, "Retry-After": str(RETRY_AFTER)})
