"""A function that is called for an event: what it answers, and what may go wrong, by what can be done about it."""

from dataclasses import dataclass
from typing import Protocol

from facefleet.errors import BadMessage, Unavailable
from facefleet.wire import Json


class Refused(BadMessage):
    """The event is not taken, and will not be the next time."""

    code = "refused"


class Unanswered(Unavailable):
    """It was called, and nobody knows what came of it: it may be at it still."""

    code = "unanswered"


@dataclass(frozen=True, slots=True)
class Answer:
    """Of a call. `error`: what the function failed with, if it did; `request_id`: what its log calls this call."""

    request_id: str
    error: str | None = None


class Function(Protocol):
    def call(self, event: Json, *, call: str) -> Answer:
        """Calls it once; `call` is told to it, for its log.

        Raises `Refused`, `Unanswered`, or another `Unavailable` where it was not called.
        """

    def ask(self) -> None:
        """Raises `Unavailable` where it is missing, or may not be called; does not call it."""
