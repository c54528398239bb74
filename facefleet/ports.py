"""The outside world as we speak of it. Each port has two real things behind it: embedded and AWS.

One suite in `tests/contract/` holds for every one of them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Protocol

from facefleet.model import BlobInfo, Changes, Depth, Instance, Message, Person

#: SQS's longest poll, and the most messages that it hands out at once, which every queue keeps to:
#: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html
MAX_WAIT = 20.0
MAX_BATCH = 10
#: People that one list of changes tells of; who missed more reads everybody, page by page.
MAX_CHANGES = 1000


@dataclass(frozen=True, slots=True)
class Presigned:
    """A URL that takes one PUT, without any key, of so many bytes of one type, with these headers."""

    url: str
    headers: Mapping[str, str]


class Presign(Protocol):
    """Makes one for a blob's key; until `seconds` are over."""

    def __call__(self, key: str, *, size: int, type: str, seconds: float) -> Presigned: ...


class Queue(Protocol):
    """Messages, at least once, by SQS's rules."""

    @property
    def name(self) -> str: ...

    @property
    def max_message_bytes(self) -> int: ...

    def send(self, body: str) -> None:
        """Returns once the message is safe; raises `TooLarge` beyond `max_message_bytes` (UTF-8).

        Text of the characters that XML has, as SQS takes it: no control characters but tab and line ends.
        """

    def receive(self, *, wait: float = 0.0, limit: int = 1, stop: Event | None = None) -> list[Message]:
        """Up to `limit` messages on lease, `MAX_BATCH` at most.

        Empty after `wait` seconds, or soon after `stop` is set. A message received too often already moves to the
        dead-letter queue instead.
        """

    def await_any(self, *, wait: float, stop: Event | None = None) -> bool:
        """True as soon as a message may be received, which stays there; False after `wait`, or once `stop` is set.

        A queue that only tells by a receive, as SQS, always says False.
        """

    def ack(self, message: Message) -> bool:
        """Deletes it for good. False if the lease had ended: it will come, or has come, again."""

    def ack_all(self, messages: Sequence[Message]) -> int:
        """As `ack` of each, together; how many of the leases had not ended. `MAX_BATCH` at most."""

    def release(self, message: Message, *, after: float = 0.0) -> bool:
        """Gives it back, to be received after so many seconds. False if the lease had ended."""

    def extend(self, message: Message, *, seconds: float) -> bool:
        """The lease now ends so many seconds from now. False if it had ended."""

    def depth(self) -> Depth:
        """How many messages wait and how many are on lease; on SQS up to a minute old."""

    def purge(self) -> int:
        """Deletes every message, leased ones too; returns how many. On SQS not what another process has on lease."""


class Blobs(Protocol):
    """Bytes under keys of the form `area/name`: the areas stand in `facefleet.keys`."""

    def put(self, key: str, data: bytes) -> None:
        """Returns once it is safe; a reader sees the old bytes or the new ones, never a part."""

    def get(self, key: str) -> bytes:
        """Raises `NotFound`."""

    def delete(self, key: str) -> bool:
        """Deletes every version; False if there was nothing."""

    def delete_older(self, key: str) -> None:
        """Deletes every version but the one that lies there now."""

    def list(self, prefix: str, *, every_version: bool = False) -> Iterator[BlobInfo]:
        """What lies under `area/…`, in no order.

        `every_version`: also what was deleted by somebody who left its versions there, each key once, by its newest.
        """

    def put_all(self, blobs: Mapping[str, bytes]) -> None:
        """As `put` of each, in this order; together they take little longer than one."""

    def put_file(self, key: str, fill: Callable[[Path], object]) -> None:
        """As `put`, of a file that `fill` makes at the path it is given, whatever its size."""

    def tagged(self, key: str) -> tuple[bytes, str]:
        """What lies there, and the tag of just these bytes; raises `NotFound`."""

    def put_if(self, key: str, data: bytes, *, tag: str | None) -> str:
        """As `put`, if what lies there has this tag still (None: if nothing does), else raises `Conflict`.

        Returns the new tag. Of several who try with the same tag, one succeeds.
        """

    def local(self, key: str) -> Path:
        """A file on this machine that holds the blob, to be opened at once; raises `NotFound`.

        Who holds it open goes on to read the same bytes, whatever becomes of the key.
        """


class People(Protocol):
    """Who is enrolled. One version, raised by every change, lets readers follow."""

    def put(self, person: Person) -> Person:
        """Stores it if its `version` is still the stored one (0: nobody there yet), else `Conflict`.

        Returns it with its new version.
        """

    def get(self, person_id: str) -> Person:
        """Raises `NotFound`."""

    def delete(self, person_id: str) -> Person | None:
        """Erases the person and returns what was there; None if nobody was."""

    def clear(self) -> int:
        """Erases everybody; returns how many."""

    def list(self, *, after: str = "", limit: int = 100) -> tuple[Person, ...]:
        """Up to `limit` people, by id, from the first id behind `after`."""

    def version(self) -> int:
        """The newest version; cheap."""

    def changes(self, since: int) -> Changes:
        """What changed after a version, `MAX_CHANGES` people at most; cheap when nothing did."""


@dataclass(frozen=True, slots=True)
class Share:
    """What one of several clouds gives a fleet: of these offers so many instances at most.

    `is_away`: it does not answer. What it has is not listed, and may work on.
    """

    cloud: str
    most: int
    offers: tuple[str, ...]
    is_away: bool = False


class Fleet(Protocol):
    """Instances that work on the request queue.

    Every verb may raise `Throttled`, or `Unavailable` when nobody knows whether it was done: all may be asked again.
    """

    @property
    def offers(self) -> tuple[str, ...]:
        """What may be launched, best first: on EC2, instance types and zones."""

    @property
    def can_rest(self) -> tuple[str, ...]:
        """Of the offers those whose instances may wait in a warm pool, stopped, to be started by us."""

    @property
    def shares(self) -> tuple[Share, ...]:
        """Of several clouds each, one's own first, as of the last list: an instance's rank is its cloud's place here.

        Empty where one is all.
        """

    @property
    def settles_after(self) -> float:
        """Seconds by which `instances` may lag behind what was done."""

    @property
    def at_once(self) -> int:
        """How many launches may be asked for at the same time."""

    def instances(self) -> list[Instance]:
        """Ours that exist, whoever launched them; those gone are not listed."""

    def launch(self, token: str, offer: str) -> str:
        """One more; returns its id, or the token as long as nobody knows which one comes for it.

        For a token used before, the id of the one that it brought.

        Raises `NoCapacity`, `Away`, or `Conflict` for a token whose instance is gone.
        """

    def start(self, ids: list[str]) -> None:
        """Starts stopped ones, all or none; those that are up already stay so. Raises `NoCapacity`."""

    def retire(self, ids: list[str]) -> None:
        """Asks these to drain, and then to go, or to wait in the warm pool. Again is harmless."""

    def end(self, ids: list[str]) -> None:
        """Ends these now, whatever they do. Again is harmless."""


class Machine(Protocol):
    """The machine that this process runs on, and which may be taken away."""

    def id(self) -> str:
        """What the fleet calls it."""

    def notice(self) -> str | None:
        """Why it goes away soon, as told of a spot instance; None while it stays. One short call."""


@dataclass(frozen=True)
class Backend:
    """Everything outside, connected. Only entry points hold one; a tier is given what it needs."""

    requests: Queue
    dead: Queue
    blobs: Blobs
    people: People
    fleet: Fleet
    machine: Machine
    #: Makes the response queue of this process, and removes those of processes that are gone.
    open_replies: Callable[[], AbstractContextManager[Queue]]
    #: The response queue of that name; raises `NotFound` once its process is gone.
    replies: Callable[[str], Queue]
    #: Makes sure that what was deleted is gone; called now and again.
    tidy: Callable[[], None]
    #: Held by the one process that may do a thing; raises `AlreadyRunning`.
    only_one: Callable[[str], AbstractContextManager[None]]
    #: None where a client can put nothing there but by us.
    presign: Presign | None = None
