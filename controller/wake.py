"""Between ticks: work that comes to an empty queue does not wait for the next one."""

import logging
import time
from collections.abc import Callable

from facefleet.errors import ServiceError
from facefleet.ports import MAX_WAIT, Queue

log = logging.getLogger(__name__)

#: Seconds from a burst's first message until it is looked at, and from then until once more: at first there is too
#: little of it to be told from a single job.
GATHER = (0.05, 0.1)


def wake(requests: Queue, look: Callable[[], object], rest: float) -> None:
    """Never returns: calls `look` soon after something comes to the empty queue; then rests for so many seconds."""
    while True:
        try:
            if not requests.depth().backlog and requests.await_any(wait=MAX_WAIT):
                for pause in GATHER:
                    time.sleep(pause)
                    look()
        except (ServiceError, OSError) as e:
            log.warning("nobody is woken: %s", e)
        time.sleep(rest)
