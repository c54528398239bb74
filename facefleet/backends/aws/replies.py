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

from facefleet.backends.aws.faults import translated
from facefleet.backends.aws.queue import SqsQueue
from facefleet.errors import NotFound, ServiceError
from facefleet.ports import Queue

log = logging.getLogger(__name__)

VISIBILITY_TIMEOUT = 30.0
#: A reply that nobody fetched in an hour has no waiter any more; the result lies in its blob.
KEEP_SECONDS = 3600
#: When its owner was seen last, in seconds since 1970.
ALIVE_AT = "facefleet:alive-at"
#: How often an owner says that it lives; it is taken for gone when it missed three of these.
ALIVE_EVERY = 300.0
GONE_AFTER = 3 * ALIVE_EVERY
#: SQS quota: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html
MAX_NAME = 80
#: Queues that a worker has answered to lately.
MAX_OPEN = 256


class ReplyQueues:
    def __init__(self, sqs: Any, prefix: str) -> None:
        self._sqs = sqs
        self._prefix = prefix
        self._open: LRUCache[str, SqsQueue] = LRUCache(MAX_OPEN)

    @contextmanager
    def own(self) -> Iterator[Queue]:
        """This process's queue, removed at the end. Those of processes that are gone are removed first."""
        self.tidy()
        name = own_name(self._prefix, platform.node(), os.getpid())
        self._make(name)
        queue = SqsQueue(self._sqs, name, visibility_timeout=VISIBILITY_TIMEOUT)
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
            queue = self._open[name] = SqsQueue(self._sqs, name, visibility_timeout=VISIBILITY_TIMEOUT)
        return queue

    def tidy(self) -> None:
        """Removes queues whose process is gone."""
        for url in self._urls():
            with suppress(NotFound), translated("looking whether a response queue has an owner"):
                tags = self._sqs.list_queue_tags(QueueUrl=url).get("Tags", {})
                if is_abandoned(tags, time.time()):
                    log.info("removing %s: its process is gone", url.rpartition("/")[2])
                    self._remove(url)

    def _urls(self) -> list[str]:
        with translated("listing response queues"):
            pages = self._sqs.get_paginator("list_queues").paginate(QueueNamePrefix=f"{self._prefix}-")
            return [url for page in pages for url in page.get("QueueUrls", ())]

    def _make(self, name: str) -> None:
        with translated(f"making the response queue {name}"):
            self._sqs.create_queue(
                QueueName=name,
                Attributes={"MessageRetentionPeriod": str(KEEP_SECONDS), "SqsManagedSseEnabled": "true"},
                tags=_alive_now(),
            )

    def _stay_alive(self, queue: SqsQueue, done: threading.Event) -> None:
        while not done.wait(ALIVE_EVERY):
            try:
                with translated(f"tagging {queue.name}"):
                    self._sqs.tag_queue(QueueUrl=queue.url, Tags=_alive_now())
            except NotFound:
                # This machine slept, and was taken for gone.
                with suppress(ServiceError):
                    self._make(queue.name)
            except ServiceError as e:
                log.warning("%s: tried again in %.0f s", e, ALIVE_EVERY)

    def _remove(self, url: str) -> None:
        with suppress(NotFound), translated("removing a response queue"):
            self._sqs.delete_queue(QueueUrl=url)


def own_name(prefix: str, host: str, process: int) -> str:
    """Another one for each start: SQS makes no queue of a name that was deleted within the last minute."""
    end = f"-{process}-{uuid4().hex[:8]}"
    host = re.sub(r"[^A-Za-z0-9_-]", "-", host or "localhost")
    return f"{prefix}-{host}"[: MAX_NAME - len(end)] + end


def is_abandoned(tags: dict[str, str], now: float) -> bool:
    """One without a tag is nobody's of us: it is left alone."""
    return ALIVE_AT in tags and now - float(tags[ALIVE_AT]) > GONE_AFTER


def _alive_now() -> dict[str, str]:
    return {ALIVE_AT: str(int(time.time()))}
