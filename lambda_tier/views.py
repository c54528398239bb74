"""What is answered on each route: as the fleet answers there, and on any other path as the course's systems expect."""

import json
import time
from dataclasses import dataclass, replace
from uuid import uuid4

from facefleet import course
from facefleet.model import Job, JobKind
from facefleet.parameters import flag, top_k
from facefleet.problems import Problem, unless_failed
from facefleet.settings import Settings
from lambda_tier import files
from lambda_tier.asked import Request
from lambda_tier.doing import Answer, Doing
from lambda_tier.files import File
from lambda_tier.outside import Outside
from lambda_tier.telling import Told
from lambda_tier.uploaded import Uploaded
from lambda_tier.work import Left


@dataclass(frozen=True)
class Views:
    doing: Doing
    uploaded: Uploaded
    outside: Outside
    settings: Settings

    def recognise(self, request: Request, left: Left, told: Told) -> Answer:
        return self._answer(JobKind.RECOGNISE, request, left, told)

    def watch(self, request: Request, left: Left, told: Told) -> Answer:
        return self._answer(JobKind.VIDEO, request, left, told)

    def _answer(self, kind: JobKind, request: Request, left: Left, told: Told) -> Answer:
        if (upload := upload_of(request)) is not None:
            return self.uploaded.answer(upload, kind, request, left, told)
        everybody = kind is JobKind.VIDEO and flag(request.query, "appearances")
        job = self._job(self._checked(files.file_of(request), kind), kind, request)
        return self.doing.answer(replace(job, everybody=everybody), request, left, told)

    def frame(self, request: Request, left: Left, told: Told) -> Answer:
        """A frame or a clip, answered with the attributes of who is on it, or in the form of 2025."""
        file = files.file_of(request)
        job = self._job(self._checked(file, file.kind), file.kind, request)
        result = unless_failed(self.doing.done(job, left, told))
        if (request_id := request_id_of(request)) is None:
            return Answer(200, course.frame_answer(result))
        answer = course.form_answer(request_id, result)
        self.outside.responses().send(json.dumps(answer))
        return Answer(200, answer)

    def _checked(self, file: File, kind: JobKind) -> File:
        limits = {"max_image": self.settings.max_upload_bytes, "max_clip": self.settings.max_video_bytes}
        return files.checked(file, kind, max_pixels=self.settings.max_pixels, **limits)

    def _job(self, file: File, kind: JobKind, request: Request) -> Job:
        return Job(uuid4().hex, kind, file.filename, time.time(), image=file.data, top_k=top_k(request.query))


def upload_of(request: Request) -> str | None:
    """The id in `{"upload": "<id>"}`."""
    if request.content_type != "application/json":
        return None
    upload = files.object_of(request.body).get("upload")
    return upload if isinstance(upload, str) else None


def request_id_of(request: Request) -> str | None:
    """Of the form of 2025."""
    try:
        return course.asked_by_form(files.object_of(request.body))
    except Problem:
        return None
