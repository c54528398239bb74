"""A file that its client puts into the input bucket itself, instead of sending it through a door: what is allowed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

from facefleet import clipfile, keys
from facefleet.errors import BadImage, TooLarge
from facefleet.ports import Presign
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


def wanted(body: Mapping[str, Any], *, max_image: int, max_clip: int) -> Wanted:
    """From `{"filename": "a.mp4", "bytes": 12345}`; raises `BadImage`, or `TooLarge` beyond so many bytes."""
    filename, size = body.get("filename"), body.get("bytes")
    if not isinstance(filename, str) or type(size) is not int or size < 1:
        raise BadImage('say what is to be uploaded: {"filename": "a.mp4", "bytes": 12345}', code="bad_upload")
    name = keys.clean_filename(filename)
    if suffix_of(name) not in TYPES:
        known = " ".join(TYPES)
        raise BadImage(f"the name has to tell what the file is, by one of these at its end: {known}", code="bad_upload")
    limit = max_clip if is_clip(name) else max_image
    if size > limit:
        raise TooLarge(f"the limit is {limit / 1e6:g} MB: upload a smaller file", code="body_too_large")
    return Wanted(name, size)


def begun(presign: Presign, file: Wanted, *, id: str, now: float) -> Json:
    """What its client is told: where to PUT the file, how, until when (RFC 3339), and where its result will be."""
    presigned = presign(keys.upload(id, file.filename), size=file.size, type=file.type, seconds=GOOD_FOR)
    expires = datetime.fromtimestamp(now + GOOD_FOR, UTC).isoformat(timespec="seconds")
    upload = {"id": id, "method": "PUT", "url": presigned.url, "headers": dict(presigned.headers)}
    where = f"/v1/{'videos' if file.is_clip else 'recognitions'}/{id}"
    return {"upload": upload | {"expires_at": expires.replace("+00:00", "Z")}, "result": where}


def is_clip(filename: str) -> bool:
    """By its name."""
    return suffix_of(filename) in clipfile.SUFFIXES


def suffix_of(filename: str) -> str:
    return PurePosixPath(filename).suffix.lower()
