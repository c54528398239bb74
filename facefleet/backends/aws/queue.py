"""A queue of SQS. What a lease allows is known here as well, so that a late receipt does nothing, as everywhere."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from math import ceil
from threading import Event, Thread
from typing import Any, TypeVar

from facefleet.backends.aws.clients import Lanes
from facefleet.backends.aws.faults import Invalid, PurgedAlready, translated
from facefleet.backends.aws.leases import Leases
from facefleet.errors import TooLarge, Unavailable
from facefleet.glance import Glance
from facefleet.model import Depth, Message
from facefleet.ports import MAX_BATCH, MAX_WAIT

T = TypeVar("T")

#: How often a waiting receiver looks whether it is to stop; a message wakes it at once.
STOP_LOOK = 0.1
#: An operator may change what a message may hold; how long that may go unnoticed.
LIMIT_AGE = 60.0
#: A purge takes a message after the other: for so long at most, of which each is kept from others meanwhile.
LONGEST_PURGE = 30.0
#: So many batches in a row without anything from before it.
ONLY_NEWS = 2
COUNTS = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed")
RECEIVED = ["ApproximateReceiveCount", "SentTimestamp"]


class SqsQueue:
    """Leases are in whole seconds, as SQS has them: a shorter one is rounded up."""

    def __init__(
        self, sqs: Any, name: str, *, visibility_timeout: float, lanes: Lanes | None = None, url: str | None = None
    ) -> None:
        """Raises `NotFound` where there is no such queue, unless its address is given. Without lanes `sqs` is all."""
        self.name = name
        self._sqs = sqs
        self._lanes = lanes or Lanes(sqs, sqs, sqs)
        self._visibility_timeout = ceil(visibility_timeout)
        self._leases = Leases()
        self._limit = Glance(self._read_limit, age=LIMIT_AGE)
        self.url = url or self._find()

    def _find(self) -> str:
        with translated(f"looking for the queue {self.name}"):
            return str(self._sqs.get_queue_url(QueueName=self.name)["QueueUrl"])

    @property
    def max_message_bytes(self) -> int:
        """As the queue's owner set it, a minute ago or, while SQS does not answer, when it did last."""
        return self._limit.value()

    def _read_limit(self) -> int:
        return int(self._attributes("MaximumMessageSize")["MaximumMessageSize"])

    def send(self, body: str) -> None:
        _check_size(body, self.max_message_bytes)
        try:
            with translated(f"sending to {self.name}"):
                self._lanes.send.send_message(QueueUrl=self.url, MessageBody=body)
        except Invalid:
            # Too long, perhaps, for what was set since we looked.
            _check_size(body, self._limit.value(anew=True))
            raise

    def receive(self, *, wait: float = 0.0, limit: int = 1, stop: Event | None = None) -> list[Message]:
        deadline = time.monotonic() + wait
        while True:
            left = max(0.0, deadline - time.monotonic())
            messages = self._poll(min(ceil(left), int(MAX_WAIT)), min(limit, MAX_BATCH), stop)
            if messages or time.monotonic() >= deadline or (stop and stop.is_set()):
                return messages

    def _poll(self, seconds: int, limit: int, stop: Event | None) -> list[Message]:
        """One call of so many seconds; a stop flag need not wait for its end."""
        if stop is None or not seconds:
            return [] if stop and stop.is_set() else self._take(seconds, limit)
        if stop.is_set():
            return []
        poll = _in_background(lambda: self._take(seconds, limit))
        while not poll.done():
            wait([poll], timeout=STOP_LOOK)
            if stop.is_set() and not poll.done():
                # What it still brings is another's at once, and not only when its lease ends.
                poll.add_done_callback(self._give_back)
                return []
        return poll.result()

    def _take(self, seconds: int, limit: int, *, lease: int | None = None) -> list[Message]:
        lasts = self._visibility_timeout if lease is None else lease
        with translated(f"receiving from {self.name}"):
            answer = self._lanes.receive.receive_message(
                QueueUrl=self.url,
                MaxNumberOfMessages=limit,
                WaitTimeSeconds=seconds,
                VisibilityTimeout=lasts,
                MessageSystemAttributeNames=RECEIVED,
            )
        messages = [_message(one) for one in answer.get("Messages", ())]
        for message in messages:
            self._leases.begin(message.receipt, lasts)
        return messages

    def _give_back(self, poll: "Future[list[Message]]") -> None:
        if poll.exception() is None:
            for message in poll.result():
                self.release(message)

    def await_any(self, *, wait: float, stop: Event | None = None) -> bool:
        """False, always: SQS counts a receive that was only a look."""
        (stop or Event()).wait(wait)
        return False

    def ack(self, message: Message) -> bool:
        if not self._leases.end(message.receipt):
            return False
        return self._on_lease(
            lambda: self._lanes.lease.delete_message(QueueUrl=self.url, ReceiptHandle=message.receipt)
        )

    def ack_all(self, messages: Sequence[Message]) -> int:
        return self._delete([message.receipt for message in messages if self._leases.end(message.receipt)])

    def _delete(self, receipts: Sequence[str]) -> int:
        deleted = 0
        for start in range(0, len(receipts), MAX_BATCH):
            batch = enumerate(receipts[start : start + MAX_BATCH])
            entries = [{"Id": str(i), "ReceiptHandle": receipt} for i, receipt in batch]
            with translated(f"deleting messages of {self.name}"):
                answer = self._lanes.lease.delete_message_batch(QueueUrl=self.url, Entries=entries)
            deleted += len(answer.get("Successful", ()))
        return deleted

    def release(self, message: Message, *, after: float = 0.0) -> bool:
        return self._leases.end(message.receipt) and self._set_lease(message, ceil(after))

    def extend(self, message: Message, *, seconds: float) -> bool:
        lasts = self._leases.extend(message.receipt, ceil(seconds))
        return lasts is not None and self._set_lease(message, lasts)

    def _set_lease(self, message: Message, seconds: int) -> bool:
        return self._on_lease(
            lambda: self._lanes.lease.change_message_visibility(
                QueueUrl=self.url, ReceiptHandle=message.receipt, VisibilityTimeout=seconds
            )
        )

    def _on_lease(self, call: Callable[[], object]) -> bool:
        """Whether SQS still knew the lease."""
        try:
            with translated(f"a lease of {self.name}"):
                call()
        except Invalid:
            return False
        return True

    def depth(self) -> Depth:
        """How many wait and how many are on lease or delayed; up to a minute old, and never with the oldest."""
        visible, leased, delayed = (int(count) for count in self._attributes(*COUNTS).values())
        return Depth(visible=visible, in_flight=leased + delayed)

    def purge(self) -> int:
        """Takes what waits, and what is on lease here; what another process has on lease is in work, and stays its.

        What was sent since it began stays, too. SQS's own purge would delete, for a minute after it was answered, what
        is sent meanwhile: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_PurgeQueue.html
        """
        began, deadline = time.time(), time.monotonic() + LONGEST_PURGE
        counted, removed, later = self.depth().backlog, self._delete(self._leases.end_all()), list[Message]()
        news = 0
        try:
            # Where less was found than was counted, all of SQS's servers are asked, as a long poll does: a short one
            # asks some of them. Where only news come, what was there is gone: more may come without end.
            while news < ONLY_NEWS and (
                messages := self._take(int(removed < counted), MAX_BATCH, lease=ceil(LONGEST_PURGE))
            ):
                old = [message for message in messages if message.sent_at <= began]
                later += [message for message in messages if message.sent_at > began]
                removed, news = removed + self.ack_all(old), 0 if old else news + 1
                if old and time.monotonic() > deadline:
                    raise Unavailable(f"purging {self.name}: {removed} went, and there are more: purge it again")
        finally:
            for message in later:
                self.release(message)
        return removed

    def _attributes(self, *names: str) -> dict[str, str]:
        """Their values, in the order of these names."""
        with translated(f"reading attributes of {self.name}"):
            found = self._sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=list(names))["Attributes"]
        return {name: found[name] for name in names}


class DeadLetters(SqsQueue):
    """What nobody sends to: a purge takes those on lease as well, which is how settled ones are kept."""

    def purge(self) -> int:
        """As counted before; SQS takes up to a minute for it."""
        removed = self.depth().backlog
        self._leases.end_all()
        # One that began within the last minute is under way.
        with suppress(PurgedAlready), translated(f"purging {self.name}"):
            self._sqs.purge_queue(QueueUrl=self.url)
        return removed


def _check_size(body: str, limit: int) -> None:
    # Of plain ASCII, as an image in base64 is, Python knows without a copy how many bytes it takes.
    size = len(body) if body.isascii() else len(body.encode())
    if size > limit:
        raise TooLarge(f"message of {size} bytes, the queue takes {limit}")


def _message(answer: dict[str, Any]) -> Message:
    attributes = answer["Attributes"]
    return Message(
        body=answer["Body"],
        receipt=answer["ReceiptHandle"],
        receive_count=int(attributes["ApproximateReceiveCount"]),
        sent_at=int(attributes["SentTimestamp"]) / 1000,
    )


def _in_background(work: Callable[[], T]) -> "Future[T]":
    """In a thread that does not keep the process from ending."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as e:
            # Whatever it is: who waits for the future would wait for ever, and raises it instead.
            future.set_exception(e)

    Thread(target=run, name="poll", daemon=True).start()
    return future
