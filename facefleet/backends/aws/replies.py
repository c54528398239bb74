"""A response queue for each web process: one that is shared lets processes swallow each other's answers.

Its owner tags it with the time, again and again; one whose tag is old has no owner any more.
"""

import logging
import os
import platform
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from uuid import uuid4

from cachetools import LRUCache

from facefleet.backends.aws.clients import Lanes
from facefleet.backends.aws.faults import translated
from facefleet.backends.aws.queue import SqsQueue
from facefleet.errors import NotFound, ServiceError
from facefleet.ports import Queue

log = logging.getLogger(__name__)

VISIBILITY_TIMEOUT = 30.0
#: A reply that nobody fetched in an hour has no waiter any more; the result lies in its blob.
KEEP_SECONDS = 3600
#: A tag that says whose it is: the name that response queues have before host and process.
RESPONSE_QUEUE = "facefleet:response-queue"
#: When its owner was seen last, in seconds since 1970.
ALIVE_AT = "facefleet:alive-at"
#: How often an owner says that it lives; it is taken for gone when it missed three of these.
ALIVE_EVERY = 300.0
GONE_AFTER = 3 * ALIVE_EVERY
#: After an error, earlier: a queue that was taken for its dead owner's cannot be made again for a minute.
#: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html
ALIVE_AGAIN = 61.0
#: SQS quota: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html
MAX_NAME = 80
#: Queues that a worker has answered to lately.
MAX_OPEN = 256
#: Without a number SQS tells of a thousand, and of no next page:
#: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ListQueues.html
PAGE = 1000


class ReplyQueues:
    def __init__(self, sqs: Any, prefix: str, *, lanes: Lanes | None = None) -> None:
        self._sqs = sqs
        self._lanes = lanes
        self._prefix = prefix
        self._open: LRUCache[str, SqsQueue] = LRUCache(MAX_OPEN)

    @contextmanager
    def own(self) -> Iterator[Queue]:
        """This process's queue, removed at the end. Those of processes that are gone are removed first."""
        try:
            self.tidy()
        except ServiceError as e:
            log.warning("response queues of processes that are gone stay for now: %s", e)
        name = own_name(self._prefix, platform.node(), os.getpid())
        # By the address that it was made with: a new queue may not be found by its name for a second.
        queue = self._queue(name, url=self._make(name))
        done = threading.Event()
        alive = threading.Thread(target=self._stay_alive, args=(queue, done), name="alive", daemon=True)
        alive.start()
        try:
            yield queue
        finally:
            done.set()
            alive.join()
            self._remove(queue.url)

    def existing(self, name: str) -> Queue:
        """Raises `NotFound` once its process is gone: the answer then waits in the result blob alone."""
        queue = self._open.get(name)
        if queue is None:
            queue = self._open[name] = self._queue(name)
        return queue

    def _queue(self, name: str, *, url: str | None = None) -> SqsQueue:
        return SqsQueue(self._sqs, name, visibility_timeout=VISIBILITY_TIMEOUT, lanes=self._lanes, url=url)

    def tidy(self) -> None:
        """Removes queues whose process is gone."""
        for url, tags in reply_queues(self._sqs, self._prefix).items():
            if is_abandoned(tags, time.time()):
                log.info("removing %s: its process is gone", url.rpartition("/")[2])
                self._remove(url)

    def _make(self, name: str) -> str:
        """Its address."""
        with translated(f"making the response queue {name}"):
            answer = self._sqs.create_queue(
                QueueName=name,
                Attributes={"MessageRetentionPeriod": str(KEEP_SECONDS), "SqsManagedSseEnabled": "true"},
                tags=self._alive_now(),
            )
        return str(answer["QueueUrl"])

    def _stay_alive(self, queue: SqsQueue, done: threading.Event) -> None:
        pause = ALIVE_EVERY
        while not done.wait(pause):
            pause = ALIVE_AGAIN
            try:
                self._say_alive(queue)
                pause = ALIVE_EVERY
            except ServiceError as e:
                log.warning("%s: tried again in %.0f s", e, pause)
            except Exception:
                # Who does not say any more that it lives loses its queue.
                log.exception("%s is said to live again in %.0f s", queue.name, pause)

    def _say_alive(self, queue: SqsQueue) -> None:
        try:
            with translated(f"tagging {queue.name}"):
                self._sqs.tag_queue(QueueUrl=queue.url, Tags=self._alive_now())
        except NotFound:
            # This machine slept, and was taken for gone.
            self._make(queue.name)

    def _alive_now(self) -> dict[str, str]:
        return {RESPONSE_QUEUE: self._prefix, ALIVE_AT: str(int(time.time()))}

    def _remove(self, url: str) -> None:
        with suppress(NotFound), translated("removing a response queue"):
            self._sqs.delete_queue(QueueUrl=url)


def reply_queues(sqs: Any, prefix: str) -> dict[str, dict[str, str]]:
    """Addresses of the queues behind this very response queue, each with its tags: others' names may begin alike."""
    with translated("listing response queues"):
        pages = sqs.get_paginator("list_queues").paginate(QueueNamePrefix=f"{prefix}-", MaxResults=PAGE)
        urls = [url for page in pages for url in page.get("QueueUrls", ())]
    tagged = {}
    for url in urls:
        with suppress(NotFound), translated("looking whose a response queue is"):
            tagged[url] = sqs.list_queue_tags(QueueUrl=url).get("Tags", {})
    return {url: tags for url, tags in tagged.items() if tags.get(RESPONSE_QUEUE) == prefix}


def own_name(prefix: str, host: str, process: int) -> str:
    """Another one for each start: SQS makes no queue of a name that was deleted within the last minute."""
    end = f"-{process}-{uuid4().hex[:8]}"
    host = re.sub(r"[^A-Za-z0-9_-]", "-", host or "localhost")
    return f"{prefix}-{host}"[: MAX_NAME - len(end)] + end


def is_abandoned(tags: dict[str, str], now: float) -> bool:
    """One without a tag is nobody's of us: it is left alone."""
    return ALIVE_AT in tags and now - float(tags[ALIVE_AT]) > GONE_AFTER
