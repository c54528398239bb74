"""Messages of the input queue: each event done once, and acked once it is over."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from facefleet.errors import BadMessage, TooLarge, Unavailable
from facefleet.model import Message
from facefleet.ports import Queue
from openstack_relay import incoming, letters, pauses
from openstack_relay.doing import Failed, Fate, Outcome, Way
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
            log.warning("a message lies with the dead letters now: %s", e)
            self._spool.set_aside(e.code)
            self._bury([letters.of_message(message.body, e)])
            self._queue.ack(message)
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
            self._again(message, event, delivery, e, tries=known.failures + self._counts(known))
        except Unavailable as e:
            self._again(message, event, delivery, e, tries=known.failures)
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
        self._bury(outcome.letters)
        self._spool.ended(delivery, event, outcome.fate)
        log.info("job %s: %s", event.identity, outcome.fate)

    def _again(self, message: Message, event: Event, delivery: int, error: Unavailable, *, tries: int) -> None:
        """`tries`: those that count by now."""
        try:
            self._spool.waits(delivery, event, tries=tries, why=error.code)
        finally:
            # By its receives where a failure is none: a function that is at it still need not be asked each second.
            often = message.receive_count if isinstance(error, Failed) else 1
            self._queue.release(message, after=pauses.after(max(tries, often)))

    def _bury(self, texts: Sequence[str]) -> None:
        for text in texts:
            try:
                self._dead().send(text)
            except TooLarge as e:
                raise Unavailable(f"the dead letters take no letter of this size: {e}; raise MaximumMessageSize") from e
