"""What tests of the relay share: queues in files, and ways that do as they are told."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from woken import put, records

from facefleet.backends.embedded.queue import QueueFile, SqliteQueue
from facefleet.model import Message
from openstack_relay.doing import Outcome
from openstack_relay.incoming import Event

#: Outlasts a test.
LEASE = 600.0


class Box(SqliteQueue):
    """A queue whose leases are renewed together; it counts how often."""

    extended = 0

    def extend_all(self, messages: Sequence[Message], *, seconds: float) -> None:
        self.extended += 1
        for message in messages:
            self.extend(message, seconds=seconds)

    def bodies(self) -> list[str]:
        """All that wait; they are gone, then."""
        found = []
        while messages := self.receive(limit=10):
            found += [message.body for message in messages]
            self.ack_all(messages)
        return found


def box(folder: Path, name: str, *, lease: float = LEASE) -> Box:
    file = QueueFile(folder / f"{name}.db", max_message_bytes=1_048_576, keep=LEASE, durable=False)
    return Box(file, name, visibility_timeout=lease)


def one_of(queue: Box) -> Message:
    (message,) = queue.receive()
    return message


def told_of(*keys: str, **about: object) -> str:
    """S3's message of objects that came."""
    return json.dumps(records(*(put("clips", key, **about) for key in keys)))


@dataclass
class Doing:
    """A way that notes what it is given, and does as `then` says, which may raise."""

    then: Callable[[Event], Outcome] = lambda event: Outcome()
    given: list[Event] = field(default_factory=list)
    asked: int = 0

    def __call__(self, event: Event) -> Outcome:
        self.given.append(event)
        return self.then(event)

    def ask(self) -> None:
        self.asked += 1


def raising(*errors: Exception) -> Callable[[Event], Outcome]:
    """Each of them once, then all is well."""
    left = list(errors)

    def then(event: Event) -> Outcome:
        if left:
            raise left.pop(0)
        return Outcome()

    return then
