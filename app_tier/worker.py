"""The loop of a worker: receive, process, store, reply, ack. In that order, so that a crash loses nothing."""

import logging
import time
from collections.abc import Callable
from threading import Event

from app_tier import outage
from app_tier.outage import Outage
from app_tier.pulse import Pulse
from facefleet import wire
from facefleet.errors import BadMessage, Unavailable
from facefleet.model import JobKind, Message
from facefleet.ports import MAX_WAIT, Queue
from facefleet.recognition.jobs import Jobs

log = logging.getLogger(__name__)

#: When nothing came for so long, there is time for what can wait.
REST = 1.0


class Worker:
    """One process on one core; takes a message at a time."""

    def __init__(
        self,
        requests: Queue,
        jobs: Jobs,
        pulse: Pulse,
        *,
        idle: Callable[[], None],
        probe: Callable[[], object],
    ) -> None:
        """`idle` is called when nothing waits, now and again.

        `probe` raises `Unavailable` while what jobs need does not answer.
        """
        self._requests = requests
        self._jobs = jobs
        self._pulse = pulse
        self._idle = idle
        self._probe = probe
        self._outage = Outage()

    def run(self, stop: Event) -> None:
        """Works until `stop` is set; the image in hand is finished."""
        wait = REST
        while not stop.is_set():
            self._pulse.turned()
            try:
                wait = REST if self._turn(wait, stop) else MAX_WAIT
            except Exception as e:
                log.exception("the worker goes on after an error")
                self._pulse.turned()
                stop.wait(self._outage.failed() if isinstance(e, Unavailable) else outage.RETRY_AFTER)

    def _turn(self, wait: float, stop: Event) -> int:
        """Takes what comes; returns how many messages that were."""
        if self._outage.in_doubt:
            # Before anything is received: each receive is counted.
            self._probe()
            self._outage.answered()
        messages = self._requests.receive(wait=wait, stop=stop)
        for message in messages:
            self._take(message, stop)
        if not messages and not stop.is_set():
            self._outage.is_over()
            self._idle()
        return len(messages)

    def _take(self, message: Message, stop: Event) -> None:
        if stop.is_set():
            # It came while we were asked to go: another worker has it at once.
            self._requests.release(message)
            return
        with self._pulse.holding(message):
            try:
                self._handle(message)
                self._outage.is_over()
            except BadMessage as e:
                # Poison: comes again a few times, then lies with the dead letters, where somebody can look at it.
                log.warning("message received %d times is not ours: %s", message.receive_count, e)
                self._requests.release(message)
            except Unavailable:
                # Longer than this worker pauses: others would fail with it, too.
                self._requests.release(message, after=self._outage.rest(message.receive_count))
                raise
            except Exception:
                self._requests.release(message, after=outage.RETRY_AFTER * message.receive_count)
                raise

    def _handle(self, message: Message) -> None:
        received = time.time()
        job = wire.load_job(message.body)
        if job.kind is JobKind.TIDY:
            self._idle()
            self._requests.ack(message)
            return
        result = self._jobs.done(job, again=message.receive_count > 1 or job.again, received=received)
        self._pulse.turned()
        if result is None:
            self._requests.release(message)
            return
        self._jobs.tell(job, result)
        self._pulse.turned()
        self._requests.ack(message)
        self._jobs.clear(job, result)
