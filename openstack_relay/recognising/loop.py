"""The loop of a process that recognises: an object asked for, its result answered, until nobody asks any more."""

import logging
import os
import select
from collections.abc import Callable
from typing import BinaryIO

from facefleet.arrivals import Arrival
from facefleet.errors import NotFound, Unavailable
from facefleet.wire import Json
from openstack_relay.doing import Failed
from openstack_relay.recognising import lines

log = logging.getLogger(__name__)

#: When nothing was asked for so many seconds, there is time for what can wait.
REST = 20.0
#: Bytes read at once; a line has a kilobyte or two, as S3's keys have.
CHUNK = 65_536


def run(work: Callable[[Arrival], Json | None], idle: Callable[[], object], questions: int, told: BinaryIO) -> None:
    """Reads from the one and writes into the other; ends where the relay did, or has closed its end."""
    rest = b""
    while True:
        if not select.select([questions], [], [], REST)[0]:
            _rest(idle)
            continue
        if not (read := os.read(questions, CHUNK)):
            return
        *whole, rest = (rest + read).split(b"\n")
        for line in whole:
            told.write(_answer(work, line))
            told.flush()


def _answer(work: Callable[[Arrival], Json | None], line: bytes) -> bytes:
    arrival = lines.asked(line)
    try:
        return lines.answer(work(arrival))
    except Unavailable as e:
        log.warning("job %s is left for another time: %s", arrival.job_id, e)
        return lines.trouble(e)
    except NotFound as e:
        # A table or a queue; an object that is gone is an answer.
        log.warning("job %s is left for another time: %s", arrival.job_id, e)
        return lines.trouble(Unavailable(f"{e}: `facefleet setup` makes what is missing"))
    except Exception as e:
        log.exception("job %s failed", arrival.job_id)
        return lines.trouble(Failed(f"it could not be recognised: {type(e).__name__}"))


def _rest(idle: Callable[[], object]) -> None:
    try:
        idle()
    except Unavailable as e:
        log.warning("what can wait waits on: %s", e)
