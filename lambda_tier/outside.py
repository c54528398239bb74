"""The outside world, as far as the function needs it. The entry point puts it together."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from facefleet.ports import Blobs, People, Presign, Queue
from lambda_tier.once import Once

Keys = Mapping[str, frozenset[str]]


class Objects(Protocol):
    """Objects of S3 as events tell of them, whoever put them there."""

    def get(self, bucket: str, key: str, *, version: str | None, most: int) -> bytes:
        """Raises `NotFound`, or `TooLarge` before more than `most` bytes are read."""

    def blob(self, bucket: str, key: str) -> str | None:
        """Which of our blobs an object is; None of one that is none."""


@dataclass(frozen=True)
class Outside:
    """Queues are found when they are first asked for: an event needs one of them, or none."""

    blobs: Blobs
    people: People
    objects: Objects
    replies: Callable[[str], Queue]
    #: Where each answer of the course's kind is told.
    responses: Callable[[], Queue]
    #: Where what nobody can recognise ends, with the reason; None where nobody wants to know.
    dead: Callable[[], Queue] | None
    presign: Presign | None
    once: Once
    #: Scopes by API key, as they are now.
    keys: Callable[[], Keys]
