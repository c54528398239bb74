"""Messages of the output queue: each result a file at home, and acked once that is safe."""

import logging
from collections.abc import Callable, Iterable

from facefleet.errors import BadMessage, Unavailable
from facefleet.model import Message
from facefleet.ports import Queue
from openstack_relay import letters, outgoing, pauses
from openstack_relay.doing import Unburied
from openstack_relay.home import Home
from openstack_relay.spool import Spool

log = logging.getLogger(__name__)


class Bringing:
    def __init__(
        self, queue: Queue, dead: Callable[[], Queue], spool: Spool, home: Home, *, columns: Iterable[str]
    ) -> None:
        self._queue, self._dead, self._spool, self._home = queue, dead, spool, home
        self._columns = tuple(columns)

    def __call__(self, message: Message) -> None:
        """Acks it, or releases it to come again; raises `Unavailable` where the next would fare no better."""
        try:
            self._brought(message)
        except Unburied as e:
            log.warning("%s", e)
            self._queue.release(message, after=pauses.after(message.receive_count))
            return
        except Unavailable:
            self._queue.release(message, after=pauses.after(1))
            raise
        self._queue.ack(message)

    def _brought(self, message: Message) -> None:
        try:
            kept = outgoing.result_of(message.body, self._columns)
            file = self._home.keep(kept.stem, kept.line, sent_at=message.sent_at)
        except BadMessage as e:
            letters.bury(self._dead, letters.of_message(message.body, e))
            log.warning("a message lies with the dead letters now: %s", e)
            self._spool.refused(e.code)
            return
        self._spool.brought(file.name, sent_at=message.sent_at)

    def ask(self) -> None:
        """Raises `Unavailable` as long as no result could be kept."""
        self._home.ask()
        self._spool.ask()
