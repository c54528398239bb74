"""What a relay needs of an account that has objects recognised by a fleet: no fleet, and no function."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from facefleet.backends.aws import queues_of
from facefleet.backends.aws.blobs import S3Blobs
from facefleet.backends.aws.clients import CONNECTIONS, connect_all
from facefleet.backends.aws.function import S3Objects
from facefleet.backends.aws.replies import ReplyQueues
from facefleet.ports import Blobs, Queue
from facefleet.settings import Settings


@dataclass(frozen=True)
class Doors:
    """To a fleet: where jobs go, where their results come, and what both speak of."""

    requests: Queue
    replies: Queue
    blobs: Blobs
    objects: S3Objects


@contextmanager
def doors(settings: Settings) -> Iterator[Doors]:
    """With a reply queue of this process, removed at the end; raises `Unavailable` where there is no request queue."""
    clients, lanes = connect_all(connections=max(CONNECTIONS, settings.relay_concurrency))
    requests, _ = queues_of(lanes, settings)
    with ReplyQueues(lanes.send, settings.response_queue, lanes=lanes).own() as replies:
        objects = S3Objects(clients.s3, settings.input_bucket)
        yield Doors(requests, replies, S3Blobs.of(settings, clients.s3), objects)
