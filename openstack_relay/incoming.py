"""What a message of the input queue tells of. Pure; whatever stands in it, it ends in our words."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from urllib.parse import quote_plus

from facefleet.arrivals import Arrival, arrivals, is_test
from facefleet.errors import BadMessage
from facefleet.wire import GARBAGE, Json

#: Around S3's event: a topic of SNS, and an event that is itself around it. Nobody wraps it more often.
MOST_WRAPPINGS = 3
#: EventBridge's word for an object that came:
#: https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
CREATED = "Object Created"


@dataclass(frozen=True, slots=True)
class Event:
    """Objects that came, one at least. `body`: as S3 told of them, for whoever reads that itself."""

    identity: str
    arrivals: tuple[Arrival, ...]
    body: Json


def read(text: str) -> Event | None:
    """None of what is nothing to do: S3's test, removals, folders' marks. Raises `BadMessage` for anything else."""
    body = dict(unwrapped(_object(text)))
    if is_test(body):
        return None
    if not isinstance(body.get("Records"), list):
        raise BadMessage("not an event of S3's: have the bucket's notification, and nothing else, sent to this queue")
    found = list(arrivals(body))
    for one in found:
        if isinstance(one, BadMessage):
            # S3 makes no such event. To do the others alone would lose this one without a word.
            raise one
    came = tuple(one for one in found if isinstance(one, Arrival))
    return Event(identity_of(came), came, body) if came else None


def identity_of(came: tuple[Arrival, ...]) -> str:
    """The same of each delivery of one event: of one object its own."""
    if len(came) == 1:
        return came[0].identity
    return sha256("\n".join(one.identity for one in came).encode()).hexdigest()[:32]


def unwrapped(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """S3's own words, out of what SNS or EventBridge put around them, or a dead letter that was sent again."""
    for _ in range(MOST_WRAPPINGS):
        if body.get("Type") == "Notification" and isinstance(body.get("Message"), str):
            body = _object(body["Message"])
        elif body.get("source") == "aws.s3" and isinstance(body.get("detail"), Mapping):
            return _of_event_bridge(body)
        elif isinstance(body.get("requestPayload"), Mapping):
            body = body["requestPayload"]
        else:
            break
    return body


def _of_event_bridge(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """As S3 itself would tell it; of anything but an object that came, as a removal, which is nothing to us."""
    try:
        told, bucket = body["detail"]["object"], body["detail"]["bucket"]["name"]
        names = {"key": "key", "size": "size", "etag": "eTag", "version-id": "versionId", "sequencer": "sequencer"}
        found = {ours: told[theirs] for theirs, ours in names.items() if theirs in told}
        # There the key is as it is: https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
        found["key"] = quote_plus(found["key"])
    except GARBAGE as e:
        raise BadMessage(f"not an event of EventBridge's: {type(e).__name__} {e}"[:200]) from e
    name = "ObjectCreated:Put" if body.get("detail-type") == CREATED else "ObjectRemoved:Delete"
    record = {"eventSource": "aws:s3", "eventName": name, "s3": {"bucket": {"name": bucket}, "object": found}}
    return {"Records": [record]}


def _object(text: str) -> dict[str, Any]:
    try:
        body = json.loads(text)
    except GARBAGE as e:
        raise BadMessage(f"a message that is no JSON: {e}"[:200]) from e
    if not isinstance(body, dict):
        raise BadMessage("a message that is no JSON object")
    return body
