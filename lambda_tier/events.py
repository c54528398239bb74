"""What woke the function, told from the event alone. Pure."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from facefleet.arrivals import is_test
from facefleet.errors import BadMessage


class Kind(StrEnum):
    S3 = "s3"
    #: What S3 sends once, when the notification is set up.
    TEST = "s3 test"
    SQS = "sqs"
    #: A request, as a REST API tells it, and as an HTTP API or a function URL does.
    HTTP_1 = "http 1.0"
    HTTP_2 = "http 2.0"


def kind_of(event: object) -> Kind:
    """Raises `BadMessage` for an event that is none of ours."""
    if isinstance(event, Mapping):
        if isinstance(event.get("Records"), list):
            return _kind_of_records(event["Records"])
        if is_test(event):
            return Kind.TEST
        context = event.get("requestContext")
        if isinstance(context, Mapping):
            if isinstance(context.get("http"), Mapping):
                return Kind.HTTP_2
            if isinstance(event.get("httpMethod"), str):
                return Kind.HTTP_1
    raise BadMessage(
        "not an event of S3, SQS, an HTTP or REST API, or a function URL: wire the function to one of these"
    )


def _kind_of_records(records: list[Any]) -> Kind:
    sources = {str(record.get("eventSource")) if isinstance(record, Mapping) else "" for record in records}
    if sources <= {"aws:s3"}:
        # Also of no records: nothing to do.
        return Kind.S3
    if sources == {"aws:sqs"}:
        return Kind.SQS
    raise BadMessage("not records of S3 alone, nor of SQS alone: wire the function to one of these")
