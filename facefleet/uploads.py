"""A file that its client puts into the input bucket itself, instead of sending it through a door: what is allowed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

from facefleet import clipfile, keys
from facefleet.errors import BadImage, NotFound, TooLarge
from facefleet.model import JobKind
from facefleet.ports import Presign
from facefleet.problems import Problem
from facefleet.wire import Json

#: Images, by their names' ends, as MIME calls them: https://www.iana.org/assignments/media-types
IMAGES = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".gif": "image/gif",
    ".bmp": "image/bmp",
}
TYPES = IMAGES | clipfile.TYPES
#: Of UTF-8. A key of S3 has 1,024 at most, and the upload's folder and id stand before the name:
#: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
MAX_NAME_BYTES = 900
#: Seconds in which an upload has to begin; a large one over a slow line may last longer.
GOOD_FOR = 900.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file as its client describes it before it is uploaded, which is all that it may upload then."""

    filename: str
    size: int

    @property
    def type(self) -> str:
        return TYPES[suffix_of(self.filename)]

    @property
    def is_clip(self) -> bool:
        return is_clip(self.filename)


def opened(presign: Presign | None) -> Presign:
    """What makes the URLs; raises the problem 501 where there is no bucket to upload to."""
    if presign is None:
        raise Problem(501, "no_uploads", "this service has no bucket to upload to: POST the file to /v1/videos itself")
    return presign


def wanted(body: Mapping[str, Any], *, max_image: int, max_clip: int) -> Wanted:
    """From `{"filename": "a.mp4", "bytes": 12345}`; raises `BadImage`, or `TooLarge` beyond so many bytes."""
    filename, size = body.get("filename"), body.get("bytes")
    if not isinstance(filename, str) or type(size) is not int or size < 1:
        raise BadImage('say what is to be uploaded: {"filename": "a.mp4", "bytes": 12345}', code="bad_upload")
    name = keys.clean_filename(filename)
    if suffix_of(name) not in TYPES:
        known = " ".join(TYPES)
        raise BadImage(f"the name has to tell what the file is, by one of these at its end: {known}", code="bad_upload")
    if len(name.encode()) > MAX_NAME_BYTES:
        raise BadImage(f"the name takes more than {MAX_NAME_BYTES} bytes: give it a shorter one", code="bad_upload")
    limit = max_clip if is_clip(name) else max_image
    if size > limit:
        raise TooLarge(f"the limit is {limit / 1e6:g} MB: upload a smaller file", code="body_too_large")
    return Wanted(name, size)


def begun(presign: Presign, file: Wanted, *, id: str, now: float) -> Json:
    """What its client is told: where to PUT the file, how, until when (RFC 3339), and where its result will be."""
    presigned = presign(keys.upload(id, file.filename), size=file.size, type=file.type, seconds=GOOD_FOR)
    expires = datetime.fromtimestamp(now + GOOD_FOR, UTC).isoformat(timespec="seconds")
    upload = {"id": id, "method": "PUT", "url": presigned.url, "headers": dict(presigned.headers)}
    return {
        "upload": upload | {"expires_at": expires.replace("+00:00", "Z")},
        "result": place(id, is_clip=file.is_clip),
    }


def place(id: str, *, is_clip: bool) -> str:
    """Where its result will be."""
    return f"/v1/{'videos' if is_clip else 'recognitions'}/{id}"


def nothing_there(upload_id: str) -> NotFound:
    detail = f"nothing lies under the upload {upload_id}: PUT the file at its url first, or ask for another upload"
    return NotFound(detail, code="no_such_upload")


def check_kind(filename: str, kind: JobKind) -> None:
    """Raises the problem 415 where an upload of this name is a clip, and asked for as an image, or the other way."""
    if is_clip(filename) is (kind is JobKind.VIDEO):
        return
    what, where = ("an image", "/v1/recognitions") if kind is JobKind.VIDEO else ("a clip", "/v1/videos")
    raise Problem(415, "other_kind", f"by its name this upload is {what}: POST its id to {where}")


def is_clip(filename: str) -> bool:
    """By its name."""
    return suffix_of(filename) in clipfile.SUFFIXES


def suffix_of(filename: str) -> str:
    return PurePosixPath(filename).suffix.lower()
