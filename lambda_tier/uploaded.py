"""`/v1/uploads`, files that came that way, and results by id."""

import time
from dataclasses import dataclass
from uuid import uuid4

from facefleet import answers, course, keys, uploads
from facefleet.errors import NotFound, TooLarge
from facefleet.model import BlobInfo, Job, JobKind
from facefleet.parameters import top_k
from facefleet.problems import Problem, unless_failed
from facefleet.settings import Settings
from lambda_tier import files
from lambda_tier.asked import Request
from lambda_tier.doing import Answer, Doing
from lambda_tier.outside import Outside
from lambda_tier.telling import Told
from lambda_tier.work import Left

#: Seconds. An event is an hour old at most when it is tried for the last time (deploy/serverless.yaml).
GIVEN_UP = 2 * 3600.0


@dataclass(frozen=True)
class Uploaded:
    """What lies in the input bucket, put there by clients; S3 wakes the function for each."""

    doing: Doing
    outside: Outside
    settings: Settings

    def begin(self, request: Request, left: Left, told: Told) -> Answer:
        """A URL to put a file at."""
        presign = uploads.opened(self.outside.presign)
        limits = {"max_image": self.settings.max_upload_bytes, "max_clip": self.settings.max_video_bytes}
        file = uploads.wanted(files.object_of(request.body), **limits)
        told.job = uuid4().hex
        body = uploads.begun(presign, file, id=told.job, now=time.time())
        return Answer(201, body, {"Location": body["result"]})

    def answer(self, upload_id: str, kind: JobKind, request: Request, left: Left, told: Told) -> Answer:
        """The result where it is there. A photo is looked at now, a clip when S3 has told of it."""
        told.job = upload_id if keys.JOB_ID.fullmatch(upload_id) else ""
        upload = self._upload(told.job)
        if upload is None:
            raise uploads.nothing_there(told.job)
        filename = upload.key.removeprefix(keys.uploads(upload_id))
        uploads.check_kind(filename, kind)
        if kind is JobKind.VIDEO:
            result = answers.stored(self.outside.blobs, upload_id)
            if result is not None:
                return Answer(200, unless_failed(result))
            return _awaited(upload, upload_id, is_clip=True)
        if upload.size > (most := self.settings.max_upload_bytes):
            # Its url would have refused it: somebody else put it there.
            raise TooLarge(f"the limit is {most / 1e6:g} MB: upload a smaller file", code="body_too_large")
        job = Job(upload_id, kind, filename, time.time(), blob=upload.key, top_k=top_k(request.query))
        # With its line, as when S3 tells of it, which finds the result then.
        store = course.store_line(answers.columns_of(self.settings.columns), self.settings.line_suffix)
        return Answer(200, unless_failed(self.doing.done(job, left, told, again=True, store=store)))

    def result_of(self, request: Request, left: Left, told: Told, *, job_id: str) -> Answer:
        told.job = job_id if keys.JOB_ID.fullmatch(job_id) else ""
        if told.job:
            if (result := answers.stored(self.outside.blobs, job_id)) is not None:
                return Answer(200, result)
            if (upload := self._upload(job_id)) is not None:
                return _awaited(upload, job_id, is_clip=uploads.is_clip(upload.key))
            if answers.promised(self.outside.blobs, job_id):
                return queued(job_id, is_clip=request.path.startswith("/v1/videos/"))
        raise NotFound(f"no result {told.job}: it never was, or was forgotten: send the file again")

    def _upload(self, upload_id: str) -> BlobInfo | None:
        if not upload_id:
            return None
        return next(iter(self.outside.blobs.list(keys.uploads(upload_id))), None)


def _awaited(upload: BlobInfo, job_id: str, *, is_clip: bool) -> Answer:
    """As `queued`, while the function may yet do it; raises the problem 422 once Lambda has given it up."""
    if time.time() - upload.modified > GIVEN_UP:
        detail = "it was tried and given up, and the reason lies with the dead letters: send another file"
        raise Problem(422, "given_up", detail)
    return queued(job_id, is_clip=is_clip)


def queued(job_id: str, *, is_clip: bool) -> Answer:
    """202: safe with us; its result will be found at the location."""
    headers = {"Retry-After": "1", "Location": uploads.place(job_id, is_clip=is_clip)}
    return Answer(202, {"id": job_id, "status": "queued"}, headers)
