"""Messages of the input queue: each event done once, and acked once it is over."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from facefleet.errors import BadMessage, Unavailable
from facefleet.model import Message
from facefleet.ports import Queue
from openstack_relay import incoming, letters, pauses
from openstack_relay.doing import Failed, Fate, Outcome, Unburied, Way
from openstack_relay.incoming import Event
from openstack_relay.spool import Known, Spool

log = logging.getLogger(__name__)

#: Seconds after which an event comes again that is at work already.
LATER = 10.0
#: An event that we were killed in so often, for each try that it has, is taken for what kills us.
INTERRUPTIONS = 3


class Events:
    def __init__(
        self,
        queue: Queue,
        dead: Callable[[], Queue],
        spool: Spool,
        way: Way,
        *,
        tries: int,
        timeout: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`timeout`: seconds for which who was called may be at it."""
        self._queue, self._dead, self._spool, self._way = queue, dead, spool, way
        self._tries, self._timeout, self._clock = tries, timeout, clock
        self._lock = threading.Lock()
        self._at_work: set[str] = set()

    def __call__(self, message: Message) -> None:
        """Acks it, or releases it to come again; raises `Unavailable` where others would fare no better."""
        try:
            event = incoming.read(message.body)
        except BadMessage as e:
            self._poison(message, e)
            return
        if event is None:
            self._spool.set_aside("nothing to do")
            self._queue.ack(message)
            return
        with self._alone_at(event) as alone:
            if alone:
                self._event(message, event)
            else:
                self._queue.release(message, after=LATER)

    def _poison(self, message: Message, error: BadMessage) -> None:
        try:
            letters.bury(self._dead, letters.of_message(message.body, error))
        except Unburied as e:
            log.warning("%s", e)
            self._queue.release(message, after=pauses.after(message.receive_count))
            return
        self._spool.set_aside(error.code)
        self._queue.ack(message)
        log.warning("a message lies with the dead letters now: %s", error)

    @contextmanager
    def _alone_at(self, event: Event) -> Iterator[bool]:
        """S3 may tell twice at the same time, and a lease may end early: one at a time does it."""
        with self._lock:
            alone = event.identity not in self._at_work
            self._at_work.add(event.identity)
        try:
            yield alone
        finally:
            if alone:
                with self._lock:
                    self._at_work.discard(event.identity)

    def _event(self, message: Message, event: Event) -> None:
        try:
            delivery, known = self._spool.received(event, sent_at=message.sent_at)
        except Unavailable:
            self._queue.release(message, after=pauses.after(1))
            raise
        if known.is_over:
            self._spool.came_again(delivery)
            self._queue.ack(message)
            return
        try:
            self._finish(event, delivery, self._outcome(event, known))
        except Failed as e:
            log.warning("job %s: tried %d times: %s", event.identity, known.failures + 1, e)
            tries = known.failures + self._counts(known)
            # By its receives where that was no failure: a function that is at it still need not be asked each second.
            often = tries if tries > known.failures else message.receive_count
            self._again(message, event, delivery, e, tries=tries, often=often)
        except Unavailable as e:
            self._again(message, event, delivery, e, tries=known.failures, often=1)
            raise
        else:
            self._queue.ack(message)

    def _outcome(self, event: Event, known: Known) -> Outcome:
        if known.interrupted >= INTERRUPTIONS * self._tries:
            error = BadMessage(f"this process ended {known.interrupted} times over it", code="interrupted")
            return Outcome(Fate.FAILED, letters.of_event(event, error))
        try:
            return self._done(event)
        except BadMessage as e:
            return Outcome(Fate.FAILED, letters.of_event(event, e))
        except Failed as e:
            if known.failures + self._counts(known) < self._tries:
                raise
            return Outcome(Fate.FAILED, letters.of_event(event, e))

    def _counts(self, known: Known) -> bool:
        """Whether a failure is one: a function refuses what another call of it is at still."""
        return self._clock() >= known.called_at + self._timeout

    def _done(self, event: Event) -> Outcome:
        try:
            return self._way(event)
        except (BadMessage, Unavailable):
            raise
        except Exception as e:
            log.exception("job %s: a fault of ours", event.identity)
            raise Failed(f"{type(e).__name__}: {e}", code="internal_error") from e

    def _finish(self, event: Event, delivery: int, outcome: Outcome) -> None:
        """Its letters first: whoever is killed in between sends them twice, and never not at all."""
        letters.bury(self._dead, *outcome.letters)
        self._spool.ended(delivery, event, outcome.fate)
        log.info("job %s: %s", event.identity, outcome.fate)

    def _again(
        self, message: Message, event: Event, delivery: int, error: Unavailable, *, tries: int, often: int
    ) -> None:
        """`tries`: those that count by now; `often`: how long it rests, by doublings."""
        try:
            self._spool.waits(delivery, event, tries=tries, why=error.code)
        finally:
            self._queue.release(message, after=pauses.after(often))
