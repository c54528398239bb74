"""Between ticks: work that comes to an empty queue does not wait for the next one."""

import logging
import time
from collections.abc import Callable

from facefleet.errors import ServiceError
from facefleet.ports import MAX_WAIT, Queue

log = logging.getLogger(__name__)

#: From a burst's first message until it is looked at: by then enough of it has come to be told from a single job.
GATHER = 0.05


def wake(requests: Queue, look: Callable[[], object], pause: float) -> None:
    """Never returns: calls `look` soon after something comes to the empty queue. Rests so long between two looks."""
    while True:
        try:
            if not requests.depth().backlog and requests.await_any(wait=MAX_WAIT):
                time.sleep(GATHER)
                look()
        except (ServiceError, OSError) as e:
            log.warning("nobody is woken: %s", e)
        time.sleep(pause)
