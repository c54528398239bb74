"""What came into a bucket, as a job: the same by whoever does it."""

import time

from facefleet import clipfile, uploads
from facefleet.arrivals import Arrival
from facefleet.errors import TooLarge
from facefleet.model import Job, JobKind
from facefleet.settings import Settings


def most_bytes(arrival: Arrival, settings: Settings) -> int:
    """How large its file may be; raises `TooLarge` where S3 has told already that it is larger."""
    is_clip = uploads.is_clip(arrival.filename)
    most = settings.max_video_bytes if is_clip else settings.max_upload_bytes
    if arrival.size > most:
        raise TooLarge(f"{arrival.size / 1e6:.1f} MB, the limit is {most / 1e6:g}: send a smaller file")
    return most


def job_of(arrival: Arrival, data: bytes, *, blob: str | None) -> Job:
    """`data`: the file, or as much of it as tells a clip; `blob`: which of our blobs it is, if any."""
    return Job(
        id=arrival.job_id,
        kind=JobKind.VIDEO if clipfile.is_clip(data) or uploads.is_clip(arrival.filename) else JobKind.RECOGNISE,
        filename=arrival.filename,
        submitted_at=time.time(),
        image=data,
        blob=blob,
    )


def to_be_done_anew(arrival: Arrival) -> bool:
    """Whether what is stored by its job's id is of before somebody sent its dead letter again.

    That is so of uploads alone: the ids of others are new ones then.
    """
    return arrival.is_replayed and arrival.job_id != arrival.identity
