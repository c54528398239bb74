"""`/v1/uploads`, and files that came that way: put into the input bucket by their client, not sent through here."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from uuid import uuid4

from flask import Blueprint, Response

from facefleet import keys
from facefleet.model import Job
from facefleet.ports import Blobs, Presign
from facefleet.settings import Settings
from facefleet.uploads import begun, check_kind, nothing_there, opened, wanted
from web_tier.answering import Answering
from web_tier.auth import needs
from web_tier.idempotency import asked_of_upload
from web_tier.people import created
from web_tier.probe import Probe
from web_tier.uploads import Upload, json_object


@dataclass(frozen=True)
class Uploaded:
    """The files that lie there; `presign` is None where this service has no bucket to upload to."""

    blobs: Blobs
    presign: Presign | None

    def answer(self, upload: Upload, ask: Callable[[Probe], Job], answering: Answering) -> Response:
        """As of a file that was sent here, which `ask` makes a job of; the same upload again is the same job."""
        opened(self.presign)
        key = self._key(upload)
        # Its bytes are the worker's to read.
        probe = Probe(key.removeprefix(keys.uploads(upload.id)), b"")
        job = replace(ask(probe), id=upload.id, blob=key)
        check_kind(job.filename, job.kind)
        return answering.answer_once(asked_of_upload(upload.id), job, probe)

    def _key(self, upload: Upload) -> str:
        if keys.JOB_ID.fullmatch(upload.id):
            for info in self.blobs.list(keys.uploads(upload.id)):
                return info.key
        raise nothing_there(upload.id)


@dataclass(frozen=True)
class UploadViews:
    """The view, given what it needs."""

    presign: Presign | None
    settings: Settings

    def blueprint(self) -> Blueprint:
        routes = Blueprint("uploads", __name__)
        routes.add_url_rule("/v1/uploads", view_func=self.begin, methods=["POST"])
        return routes

    @needs("recognise")
    def begin(self) -> Response:
        presign = opened(self.presign)
        limits = {"max_image": self.settings.max_upload_bytes, "max_clip": self.settings.max_video_bytes}
        file = wanted(json_object(), **limits)
        body = begun(presign, file, id=uuid4().hex, now=time.time())
        return created(body, body["result"])
