"""One machine without a cloud: SQLite and a directory, durable through `kill -9` and a power cut."""

import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from facefleet.backends.embedded.blobs import DirectoryBlobs
from facefleet.backends.embedded.fleet import ProcessFleet
from facefleet.backends.embedded.machine import OwnMachine
from facefleet.backends.embedded.people import SqlitePeople
from facefleet.backends.embedded.queue import DeadLetters, QueueFile, SqliteQueue
from facefleet.backends.embedded.replies import ReplyQueues
from facefleet.errors import Unavailable
from facefleet.lock import only_one
from facefleet.ports import Backend
from facefleet.settings import Settings

#: Whoever settles a dead letter takes a moment, and may be killed meanwhile.
DEAD_VISIBILITY_TIMEOUT = 30.0
DAY = 86_400.0

WORKER_ENVIRONMENT = {
    # One worker is one process on one core: two threads of BLAS gave 1.15×, and three times the latency.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


def connect(settings: Settings) -> Backend:
    """Opens, and where needed makes, everything under the data folder; raises `Unavailable`."""
    root = _private(settings.data.absolute())
    requests, dead, tidy_queues = _queues(root, settings)
    replies = ReplyQueues(root / "replies", settings.response_queue)
    people = connect_people(settings)
    blobs = DirectoryBlobs(root / "blobs", {"in": settings.input_bucket, "out": settings.output_bucket})

    def tidy() -> None:
        # All of them, whichever fails.
        with ExitStack() as parts:
            for part in (tidy_queues, replies.tidy, people.tidy, blobs.tidy):
                parts.callback(part)

    return Backend(
        requests=requests,
        dead=dead,
        blobs=blobs,
        people=people,
        fleet=_fleet(root, settings),
        machine=OwnMachine(),
        open_replies=replies.own,
        replies=replies.existing,
        tidy=tidy,
        only_one=lambda what: only_one(root / f"{what}.lock", what),
    )


def connect_people(settings: Settings) -> SqlitePeople:
    """People alone; raises `Unavailable`."""
    return SqlitePeople(_private(settings.data.absolute()) / "people.db")


def _private(root: Path) -> Path:
    """The folder, its owner's alone; raises `Unavailable`."""
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        # A folder that was there before may have been open to everybody.
        root.chmod(0o700)
    except OSError as e:
        raise Unavailable(f"data folder {root} cannot be used: {e.strerror}; set FACEFLEET_DATA") from e
    return root


def _queues(root: Path, settings: Settings) -> tuple[SqliteQueue, SqliteQueue, Callable[[], None]]:
    """The request queue, its dead letters, and what tidies both."""
    name = settings.request_queue
    file = QueueFile(
        root / "queues" / f"{name}.db",
        max_message_bytes=settings.max_message_bytes,
        keep=settings.keep_days * DAY,
    )
    dead = SqliteQueue(file, f"{name}-dead", visibility_timeout=DEAD_VISIBILITY_TIMEOUT)
    requests = SqliteQueue(
        file,
        name,
        visibility_timeout=settings.visibility_timeout,
        dead_letters=DeadLetters(dead.name, settings.max_receives),
    )
    return requests, dead, file.tidy


def _fleet(root: Path, settings: Settings) -> ProcessFleet:
    return ProcessFleet(
        root / "fleet",
        [sys.executable, "-m", "app_tier", "--instance"],
        name=settings.instance_name,
        env=dict(os.environ) | WORKER_ENVIRONMENT | {"FACEFLEET_DATA": str(root)},
    )
