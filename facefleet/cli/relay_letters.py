"""A relay's dead letters, each sent again to the queue that it came by."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from facefleet.backends.aws.relay import RelayQueue
from facefleet.errors import BadMessage
from facefleet.model import Message
from facefleet.ports import MAX_BATCH
from openstack_relay import incoming, letters

#: Seconds of one look for letters: a long poll asks all of SQS's servers.
LOOK = 1.0
#: Seconds that a letter is kept from others who look; and how many are shown within them.
LEASE, MOST_LISTED = 120.0, 1000
#: Characters of a letter that is none of S3's.
MOST_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Moved:
    """A letter: the queue that it came by, what it is about, and why it lay there."""

    queue: str
    what: str
    why: str


def letters_in(dead: RelayQueue) -> Iterator[Moved]:
    """What lies there, and stays; of many the first."""
    held: list[Message] = []
    try:
        for message in islice(_found(dead), MOST_LISTED):
            held.append(message)
            yield _moved(dead, message)
    finally:
        for message in held:
            dead.release(message)


def sent_again(dead: RelayQueue, queue: RelayQueue) -> Iterator[Moved]:
    """What lay there when it began, as it goes; who is stopped in between has sent one twice at most."""
    for message in _found(dead):
        queue.send(letters.again(message.body))
        dead.ack(message)
        yield _moved(dead, message)


def _found(dead: RelayQueue) -> Iterator[Message]:
    began = time.time()
    while messages := dead.receive(wait=LOOK, limit=MAX_BATCH):
        yield from (one for one in messages if one.sent_at <= began)
        news = [one for one in messages if one.sent_at > began]
        for one in news:
            dead.release(one)
        if news:
            return


def _moved(dead: RelayQueue, message: Message) -> Moved:
    return Moved(dead.name.removesuffix("-dead"), _what(message.body), letters.reason_of(message.body))


def _what(letter: str) -> str:
    try:
        event = incoming.read(letters.again(letter))
    except BadMessage:
        return letters.again(letter)[:MOST_SHOWN]
    return "nothing" if event is None else ", ".join(f"{one.bucket}/{one.key}" for one in event.arrivals)
