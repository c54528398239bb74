"""Messages of one queue, taken by threads, so many at most at a time; none while they could not be finished."""

import logging
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from facefleet.errors import ServiceError
from facefleet.model import Message
from facefleet.ports import MAX_BATCH, MAX_WAIT
from openstack_relay import pauses
from openstack_relay.leases import Inbox, Leases
from openstack_relay.pauses import Pause

log = logging.getLogger(__name__)

#: Seconds after which a loop that waits for room gives a sign.
LOOK = 1.0

Handle = Callable[[Message], None]


class Intake:
    def __init__(self, queue: Inbox, handle: Handle, *, most: int, lease: float, ask: Callable[[], None]) -> None:
        """`handle` acks or releases what it is given; an error of ours that it raises begins a pause, after which
        `ask` raises one for as long as there is no use in receiving.
        """
        self._queue = queue
        self._handle = handle
        self._ask = ask
        self._most = most
        self._room = threading.BoundedSemaphore(most)
        self.pause = Pause()
        self.leases = Leases(queue, lease=lease)
        #: When the loop gave its last sign.
        self.turned_at = time.monotonic()

    def run(self, stop: threading.Event) -> None:
        """Until `stop` is set, and what is in hand is finished."""
        with ThreadPoolExecutor(self._most, thread_name_prefix=self._queue.name) as pool:
            while not stop.is_set():
                self.turned_at = time.monotonic()
                try:
                    self._turn(pool, stop)
                except ServiceError as e:
                    self._pause(e)
                except Exception:
                    log.exception("%s is taken from again after an error", self._queue.name)
                    stop.wait(pauses.SHORTEST)
            # From now on it is what it has in hand that tells whether it hangs.
            self.turned_at = math.inf

    def _turn(self, pool: ThreadPoolExecutor, stop: threading.Event) -> None:
        if not (room := self._made_room()):
            return
        messages: list[Message] = []
        try:
            # Not before there is room: what goes wrong meanwhile, and a stop, is heeded.
            if self._goes_on(stop):
                messages = self._queue.receive(wait=MAX_WAIT, limit=room, stop=stop)
        finally:
            for _ in range(room - len(messages)):
                self._room.release()
        for message in messages:
            pool.submit(self._take, message)

    def _goes_on(self, stop: threading.Event) -> bool:
        """Whether nothing is wrong, or any more."""
        if stop.is_set() or self.pause.why is None:
            return not stop.is_set()
        if stop.wait(min(self.pause.left(), LOOK)) or self.pause.left():
            return False
        self._ask()
        self.pause.may_go_on()
        return True

    def _made_room(self) -> int:
        """For how many messages there is room, which is taken; 0: none within a moment."""
        if not self._room.acquire(timeout=LOOK):
            return 0
        room = 1
        while room < MAX_BATCH and self._room.acquire(blocking=False):
            room += 1
        return room

    def _take(self, message: Message) -> None:
        try:
            with self.leases.holding(message):
                self._handle(message)
            self.pause.is_over()
        except ServiceError as e:
            # A queue that is gone, or a spool that is damaged, are no better for the next one either.
            self._pause(e)
        except Exception:
            # It was neither acked nor released, and comes again when its lease ends.
            log.exception("a message of %s is left to come again", self._queue.name)
        finally:
            self._room.release()

    def _pause(self, error: ServiceError) -> None:
        if self.pause.why is None:
            log.warning("nothing is taken from %s for now: %s", self._queue.name, error)
        self.pause.begin(str(error))
