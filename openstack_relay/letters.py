"""Dead letters: what could not be done, and why, in the form of Lambda's own.

https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from facefleet.arrivals import dead_letter
from facefleet.errors import ServiceError
from facefleet.ports import Queue
from facefleet.wire import GARBAGE
from openstack_relay.doing import Unburied
from openstack_relay.incoming import Event

#: Characters of a message that is none of ours, in its letter; each may take six bytes there.
MOST_OF_A_MESSAGE = 30_000


def bury(dead: Callable[[], Queue], *texts: str) -> None:
    """Returns once they lie there; raises `Unburied`, whatever is wrong with that queue.

    Others, which need no letter, are not to wait for whoever makes it.
    """
    try:
        for text in texts:
            dead().send(text)
    except ServiceError as e:
        raise Unburied(f"a dead letter waits, and comes again: {e}") from e


def of_event(event: Event, error: ServiceError) -> tuple[str, ...]:
    """One for each object; sent again, each is an event of its own, to be done anew."""
    told = {"code": error.code, "detail": error.detail}
    return tuple(dead_letter(arrival, told) for arrival in event.arrivals)


def of_message(text: str, error: ServiceError) -> str:
    body = {
        "version": "1.0",
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "requestContext": {"condition": "Unreadable"},
        "requestPayload": text[:MOST_OF_A_MESSAGE],
        "responsePayload": {"errorType": error.code, "errorMessage": error.detail},
    }
    return json.dumps(body)


def again(letter: str) -> str:
    """What is to be sent so that it is tried again: what came at first, or the letter where it is no letter."""
    try:
        body = json.loads(letter)
        payload: Any = body["requestPayload"]
    except GARBAGE:
        # As SQS itself moved it: what came.
        return letter
    return payload if isinstance(payload, str) else json.dumps(payload)


def reason_of(letter: str) -> str:
    try:
        told = json.loads(letter)["responsePayload"]
        return f"{told['errorType']}: {told['errorMessage']}"
    except GARBAGE:
        return "received too often"
