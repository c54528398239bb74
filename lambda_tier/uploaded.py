"""`/v1/uploads`, files that came that way, and results by id."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

from facefleet import answers, keys, uploads
from facefleet.errors import NotFound
from facefleet.model import Job, JobKind
from facefleet.problems import Problem, unless_failed
from facefleet.settings import Settings
from lambda_tier import course, files
from lambda_tier.asked import Request
from lambda_tier.doing import Answer, Doing
from lambda_tier.events import JOB_ID
from lambda_tier.outside import Outside
from lambda_tier.parameters import top_k
from lambda_tier.telling import Told
from lambda_tier.work import Left


@dataclass(frozen=True)
class Uploaded:
    """What lies in the input bucket, put there by clients; S3 wakes the function for each."""

    doing: Doing
    outside: Outside
    settings: Settings

    def begin(self, request: Request, left: Left, told: Told) -> Answer:
        """A URL to put a file at."""
        if self.outside.presign is None:
            raise Problem(
                501, "no_uploads", "this service has no bucket to upload to: POST the file to /v1/videos itself"
            )
        limits = {"max_image": self.settings.max_upload_bytes, "max_clip": self.settings.max_video_bytes}
        file = uploads.wanted(files.object_of(request.body), **limits)
        told.job = uuid4().hex
        expires = datetime.fromtimestamp(time.time() + uploads.GOOD_FOR, UTC)
        key = keys.upload(told.job, file.filename)
        made = self.outside.presign(key, size=file.size, type=file.type, seconds=uploads.GOOD_FOR)
        upload = {
            "id": told.job,
            "method": "PUT",
            "url": made.url,
            "headers": dict(made.headers),
            "expires_at": expires.isoformat(timespec="seconds").replace("+00:00", "Z"),
        }
        where = location(told.job, is_clip=file.is_clip)
        return Answer(201, {"upload": upload, "result": where}, {"Location": where})

    def answer(self, upload_id: str, kind: JobKind, request: Request, left: Left, told: Told) -> Answer:
        """The result where it is there. A photo is looked at now, a clip when S3 has told of it."""
        told.job = upload_id if JOB_ID.fullmatch(upload_id) else ""
        blob = self._blob(told.job)
        if blob is None:
            detail = (
                f"nothing lies under the upload {told.job}: PUT the file at its url first, or ask for another upload"
            )
            raise NotFound(detail, code="no_such_upload")
        filename = blob.removeprefix(keys.uploads(upload_id))
        if uploads.is_clip(filename) is not (kind is JobKind.VIDEO):
            raise _elsewhere(kind)
        if kind is JobKind.VIDEO:
            result = answers.stored(self.outside.blobs, upload_id)
            return queued(upload_id, is_clip=True) if result is None else Answer(200, unless_failed(result))
        job = Job(upload_id, kind, filename, time.time(), blob=blob, top_k=top_k(request))
        # With its line, as when S3 tells of it, which finds the result then.
        store = course.store_line(course.columns_of(self.settings.columns))
        return Answer(200, unless_failed(self.doing.done(job, left, told, again=True, store=store)))

    def result_of(self, request: Request, left: Left, told: Told, *, job_id: str) -> Answer:
        told.job = job_id if JOB_ID.fullmatch(job_id) else ""
        if told.job:
            if (result := answers.stored(self.outside.blobs, job_id)) is not None:
                return Answer(200, result)
            if (blob := self._blob(job_id)) is not None:
                return queued(job_id, is_clip=uploads.is_clip(blob))
            if answers.promised(self.outside.blobs, job_id):
                return queued(job_id, is_clip=request.path.startswith("/v1/videos/"))
        raise NotFound(f"no result {told.job}: it never was, or was forgotten: send the file again")

    def _blob(self, upload_id: str) -> str | None:
        """Where the upload lies."""
        if not upload_id:
            return None
        return next((info.key for info in self.outside.blobs.list(keys.uploads(upload_id))), None)


def _elsewhere(kind: JobKind) -> Problem:
    what, where = ("an image", "/v1/recognitions") if kind is JobKind.VIDEO else ("a clip", "/v1/videos")
    return Problem(415, "other_kind", f"by its name this upload is {what}: POST its id to {where}")


def location(job_id: str, *, is_clip: bool) -> str:
    return f"/v1/{'videos' if is_clip else 'recognitions'}/{job_id}"


def queued(job_id: str, *, is_clip: bool) -> Answer:
    """202: safe with us; its result will be found at the location."""
    headers = {"Retry-After": "1", "Location": location(job_id, is_clip=is_clip)}
    return Answer(202, {"id": job_id, "status": "queued"}, headers)
