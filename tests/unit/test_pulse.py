"""What a worker says of itself, and how often."""

import time
from itertools import pairwise
from pathlib import Path
from threading import Event

from app_tier.pulse import Pulse
from facefleet import answers, keys, wire
from facefleet.backends import connect
from facefleet.model import Message
from facefleet.ports import Backend
from facefleet.settings import Settings

TELL_EVERY = 0.3
PATIENCE = 20.0


def told_at(backend: Backend) -> float | None:
    data = answers.found(backend.blobs, keys.heartbeat("w"))
    return None if data is None else wire.load_heartbeat(data).at


def leased(backend: Backend) -> Message:
    backend.requests.send("anything")
    (message,) = backend.requests.receive()
    return message


def test_news_are_told_no_more_often_than_anybody_looks(tmp_path: Path) -> None:
    backend = connect(Settings(data=tmp_path))
    pulse = Pulse(backend.requests, backend.blobs, id="w", visibility_timeout=0.2, tell_every=TELL_EVERY)
    seen: list[float] = []
    deadline = time.monotonic() + PATIENCE
    with pulse.beating(Event()):
        # A job after the other, so that there is always news.
        while len(seen) < 4:
            assert time.monotonic() < deadline
            with pulse.holding(leased(backend)):
                at = told_at(backend)
            if at is not None and at not in seen:
                seen.append(at)
    assert all(later - earlier >= TELL_EVERY - 0.05 for earlier, later in pairwise(seen))
