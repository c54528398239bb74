"""Web processes over any backend, as their clients see them, and a worker that finds Paul on every image."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from io import BytesIO
from itertools import count
from typing import Any

from flask import Flask
from PIL import Image
from werkzeug.test import TestResponse

from app_tier.pulse import Pulse
from app_tier.worker import Worker
from facefleet.backends import connect
from facefleet.errors import Unavailable
from facefleet.model import Box, Face, Job, Result
from facefleet.ports import Backend, Blobs
from facefleet.recognition.jobs import Jobs
from facefleet.settings import Settings
from web_tier.app import create_app
from web_tier.router import ReplyRouter

PATIENCE = 30.0


def an_image(shade: int) -> bytes:
    Image.new("RGB", (64, 48), (shade, shade, shade)).save(file := BytesIO(), "JPEG")
    return file.getvalue()


IMAGE, OTHER = an_image(10), an_image(200)


class Counted:
    """Blobs, and which of their verbs were called; `broken` keys cannot be written."""

    def __init__(self, blobs: Blobs) -> None:
        self.calls: Counter[str] = Counter()
        self.broken = ""
        self._blobs = blobs

    def __getattr__(self, verb: str) -> Any:
        def call(*args: Any, **how: Any) -> Any:
            self.calls[verb] += 1
            if verb == "put" and self.broken and args[0].startswith(self.broken):
                raise Unavailable("S3 does not answer")
            return getattr(self._blobs, verb)(*args, **how)

        return call


@dataclass(frozen=True)
class Web:
    """A web process."""

    app: Flask
    blobs: Counted

    def post(
        self, image: bytes = IMAGE, key: str | None = "key", *, filename: str = "a.jpg", **headers: str
    ) -> TestResponse:
        given = {"Content-Type": "image/jpeg"} | headers | ({} if key is None else {"Idempotency-Key": key})
        return self.app.test_client().post(f"/v1/recognitions?filename={filename}", data=image, headers=given)


def looked_at(job: Job, image: bytes) -> Result:
    return Result(job.id, job.filename, (Face(Box(0, 0, 9, 9), 0.5, "paul", "Paul", 0.1, 0.9),))


@contextmanager
def working(backend: Backend) -> Iterator[list[str]]:
    """A worker; tells the ids of the jobs that it looked at."""
    done: list[str] = []

    def process(job: Job, image: bytes) -> Result:
        done.append(job.id)
        return looked_at(job, image)

    stop = threading.Event()
    pulse = Pulse(backend.requests, backend.blobs, id="w", visibility_timeout=30.0)
    thread = threading.Thread(target=_worker(backend, process, pulse).run, args=(stop,))
    with pulse.beating(stop):
        thread.start()
        try:
            yield done
        finally:
            stop.set()
            thread.join(PATIENCE)


def _worker(backend: Backend, process: Callable[[Job, bytes], Result], pulse: Pulse) -> Worker:
    jobs = Jobs(process, backend.blobs, backend.replies, stands=lambda result: True)
    return Worker(backend.requests, jobs, pulse, idle=lambda: None, probe=lambda: None)


@contextmanager
def web_processes(settings: Settings, **usual: Any) -> Iterator[Callable[..., Web]]:
    """What opens a web process, by settings that differ: with a response queue of its own, before the same backend."""
    numbers = count()
    with ExitStack() as opened:

        def open_it(**changes: Any) -> Web:
            name = f"{settings.response_queue}-{next(numbers)}"
            own = replace(settings, **{"response_queue": name} | usual | changes)
            backend = connect(own)
            blobs = Counted(backend.blobs)
            router = ReplyRouter(opened.enter_context(backend.open_replies()), blobs)
            opened.enter_context(router.running())
            return Web(create_app(replace(backend, blobs=blobs), router, own), blobs)

        yield open_it


def until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_replayed(response: TestResponse) -> bool:
    return response.headers.get("Idempotent-Replayed") == "true"


def code_of(response: TestResponse) -> str:
    return str(response.get_json()["code"])
