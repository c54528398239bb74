"""What came into a bucket, told from S3's events alone. Pure; whatever stands in an event, it ends in our words."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from urllib.parse import quote_plus, unquote_plus

from facefleet import keys
from facefleet.errors import BadMessage
from facefleet.wire import Json

#: An upload's key, as `keys.upload` makes it, in the input bucket.
UPLOAD = re.compile(rf"uploads/({keys.JOB_ID.pattern})/([^/]+)")
#: Put, Post, Copy and CompleteMultipartUpload:
#: https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-event-types-and-destinations.html
CREATED = "ObjectCreated:"
#: Where a fleet that shares the bucket keeps images whose messages are under way.
CLAIMS = keys.claim("").removeprefix(keys.INPUT)
#: At the end of the sequencer of a record that lay with the dead letters: whoever sends it again wants it done again.
REPLAYED = "-again"


@dataclass(frozen=True, slots=True)
class Arrival:
    """An object that came into a bucket. `size`: its bytes, as S3 told; -1 where it did not."""

    bucket: str
    key: str
    version: str | None
    size: int
    sequencer: str

    @property
    def identity(self) -> str:
        """The same of each delivery of one event, and of no other; 32 hexadecimal digits."""
        parts = (self.bucket, self.key, self.version or "", self.sequencer)
        return sha256("\n".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]

    @property
    def job_id(self) -> str:
        """An upload's own id, so that its client finds the result; else the identity."""
        upload = UPLOAD.fullmatch(self.key)
        return upload[1] if upload else self.identity

    @property
    def filename(self) -> str:
        return keys.clean_filename(self.key)

    @property
    def is_replayed(self) -> bool:
        return self.sequencer.endswith(REPLAYED)


def is_test(event: object) -> bool:
    return isinstance(event, Mapping) and event.get("Event") == "s3:TestEvent"


def arrivals(event: Json) -> Iterator[Arrival | BadMessage]:
    """One for each record of objects that were created; a record that cannot be read is the error that says so."""
    for record in event["Records"]:
        try:
            arrival = arrival_of(record)
        except BadMessage as e:
            yield e
        else:
            if arrival is not None:
                yield arrival


def arrival_of(record: object) -> Arrival | None:
    """None of what is nothing to us: a removal, a folder's mark, an image that a fleet keeps for a moment."""
    try:
        if not _is_creation(_text(record, "eventName")):
            return None
        # "The object key name value is URL encoded", a blank as a plus:
        # https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
        key = unquote_plus(_text(record, "s3", "object", "key"), errors="strict")
        if not key or key.endswith("/") or key.startswith(CLAIMS):
            return None
        key.encode()
        return Arrival(_text(record, "s3", "bucket", "name"), key, *_details(record))
    except (LookupError, TypeError, ValueError) as e:
        raise BadMessage(f"not a record of S3's: {type(e).__name__} {e}"[:200]) from e


def _is_creation(name: str) -> bool:
    return name.removeprefix("s3:").startswith(CREATED)


def _details(record: Any) -> tuple[str | None, int, str]:
    """Version, size and sequencer; emulators and old senders leave them out."""
    told = record["s3"]["object"]
    version, size, order = told.get("versionId"), told.get("size"), told.get("sequencer") or told.get("eTag")
    return (
        version if isinstance(version, str) and version else None,
        size if type(size) is int and size >= 0 else -1,
        order if isinstance(order, str) else "",
    )


def _text(record: Any, *path: str) -> str:
    for name in path:
        if not isinstance(record, Mapping):
            raise TypeError(f"no object around {name!r}")
        record = record[name]
    if not isinstance(record, str):
        raise TypeError(f"{path[-1]!r} is no text")
    return record


def dead_letter(arrival: Arrival, error: Json) -> str:
    """In the form of Lambda's own, so that whoever reads dead letters reads both: what came, and what is wrong with it.

    https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
    """
    told: dict[str, Any] = {
        "key": quote_plus(arrival.key),
        "size": max(arrival.size, 0),
        "sequencer": arrival.sequencer + REPLAYED,
    }
    if arrival.version is not None:
        told["versionId"] = arrival.version
    record = {
        "eventSource": "aws:s3",
        "eventName": f"{CREATED}Put",
        "s3": {"bucket": {"name": arrival.bucket}, "object": told},
    }
    body = {
        "version": "1.0",
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "requestContext": {"condition": "Unreadable", "job": arrival.job_id},
        "requestPayload": {"Records": [record]},
        "responsePayload": {"errorType": error["code"], "errorMessage": error["detail"]},
    }
    return json.dumps(body)
