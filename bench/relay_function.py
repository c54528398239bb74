"""What a relay calls, for its bench: a function that tells each object's line once, by a queue, and does it badly."""

import json
import random
import threading
import time
from typing import Any

from bench.lambda_api import Failure, Lost, Refusal

#: Of calls: those that fail, those whose answer gets lost or comes too late, and those that Lambda does not take.
FAILING, LOST, LATE, THROTTLED = 0.05, 0.05, 0.02, 0.05


class Told:
    """A function that tells each event's line once, by the output queue; done badly, as chance has it."""

    def __init__(self, sqs: Any, queue: str, *, seconds: float, timeout: float, seed: int) -> None:
        self._sqs, self._url = sqs, sqs.get_queue_url(QueueName=queue)["QueueUrl"]
        self._seconds, self._timeout = seconds, timeout
        self._chance = random.Random(seed)  # noqa: S311  # chance picks a victim, not a key
        self._lock = threading.Lock()
        self._done: set[str] = set()

    def knock(self) -> None:
        if self._chance.random() < THROTTLED:
            raise Refusal(429, "TooManyRequestsException")

    def work(self, event: Any) -> None:
        drawn = self._chance.random()
        time.sleep(self._seconds * self._chance.uniform(0.5, 1.5))
        if drawn < FAILING:
            raise Failure("by chance")
        for record in event["Records"]:
            self.tell(record["s3"]["object"]["key"])
        if drawn < FAILING + LOST:
            raise Lost
        if drawn < FAILING + LOST + LATE:
            time.sleep(self._timeout)

    def tell(self, key: str) -> None:
        stem = key.removesuffix(".mp4")
        with self._lock:
            if stem in self._done:
                return
            self._done.add(stem)
        self._sqs.send_message(QueueUrl=self._url, MessageBody=f"{line_of(stem)},{stem}")


def line_of(stem: str) -> str:
    return f"person_{stem},lawyer,freshmen"


def event_of(stem: str) -> str:
    told = {"key": f"{stem}.mp4", "size": 1000, "sequencer": "0A1B2C"}
    record = {"eventSource": "aws:s3", "eventName": "ObjectCreated:Put"}
    return json.dumps({"Records": [record | {"s3": {"bucket": {"name": "clips"}, "object": told}}]})
