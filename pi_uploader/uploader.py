"""Brings what is in the spool to the service, in order, for as long as it takes, and each answer to whoever shows it.

In this order: the answer is written down, the capture is deleted, the answer is told. A process that is killed anywhere
in between neither loses an answer nor has it twice.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_random_exponential

from pi_uploader.answers import Answer, Outcome
from pi_uploader.door import Away
from pi_uploader.journal import Journal
from pi_uploader.service import Service
from pi_uploader.spool import Item, Spool

log = logging.getLogger(__name__)

#: Seconds until a capture is sent again: anything up to these, twice as many after each failure, and at most.
FIRST_PAUSE, MAX_PAUSE = 0.5, 30.0
#: A service that asks for a pause is asked again up to this share of it later: not by all clients at once.
SPREAD = 0.1
#: A sender that has nothing to do looks up so often.
IDLE = 20.0
#: So often a capture is asked for that seems to be refused alone; then others get their turn before it.
TRIES_IN_A_ROW = 10
#: None of its waits is longer, but those that the service asks for, and an upload at so many bytes a second.
SILENT, SLOWEST = 900.0, 25_000.0
#: What is told of a capture that is not there any more, so that nobody waits for it.
DELETED = Answer(Outcome.REFUSED, "it was deleted by somebody, and is not sent", code="deleted")


@dataclass(frozen=True)
class Heard:
    """Whom the uploader tells. Called from its threads; each returns soon.

    `away`: that the service does not answer, and why; None once it does again.
    """

    answered: Callable[[Item, Answer], None]
    away: Callable[[Away | None], None]


class Uploader:
    def __init__(self, spool: Spool, service: Service, journal: Journal, heard: Heard, *, uploads: int) -> None:
        self._stop = threading.Event()
        self._spool = spool
        self._senders = [_Sender(spool, service, journal, heard, self._stop) for _ in range(uploads)]

    def start(self) -> None:
        for sender in self._senders:
            sender.thread.start()

    def nudge(self) -> None:
        """Somebody waits: a pause that is only ours ends now."""
        for sender in self._senders:
            sender.nudge()

    def gets_on(self) -> bool:
        """Whether every sender lives, and gave a sign of it not long ago."""
        return all(sender.gets_on(time.monotonic()) for sender in self._senders)

    def stop(self, within: float) -> None:
        """Returns once the uploads in hand are answered, or after so many seconds: what is left stays in the spool."""
        self._stop.set()
        self._spool.end()
        self.nudge()
        deadline = time.monotonic() + within
        for sender in self._senders:
            sender.thread.join(max(0.0, deadline - time.monotonic()))


class _Sender:
    """One thread, one upload at a time."""

    def __init__(self, spool: Spool, service: Service, journal: Journal, heard: Heard, stop: threading.Event) -> None:
        self._spool, self._service, self._journal, self._heard, self._stop = spool, service, journal, heard, stop
        self._nudged = threading.Event()
        self._obeys = False
        self._sign_until = time.monotonic() + SILENT
        # Ends with the process: what it has in hand is in the spool.
        self.thread = threading.Thread(target=self._run, name="upload", daemon=True)
        self._retrying = Retrying(
            retry=retry_if_exception_type(Away),
            stop=self._ends,
            wait=self._pause,
            sleep=self._sleep,
            reraise=True,
        )
        self._backoff = wait_random_exponential(multiplier=FIRST_PAUSE, max=MAX_PAUSE)

    def nudge(self) -> None:
        self._nudged.set()

    def gets_on(self, now: float) -> bool:
        return self.thread.is_alive() and now < self._sign_until

    def _run(self) -> None:
        while not self._stop.is_set():
            self._sign()
            if (item := self._spool.take(IDLE)) is None:
                continue
            try:
                self._deliver(item)
            except Exception:
                # The last resort: one capture that nobody can handle must not keep all others waiting.
                log.exception("%s is left until the next start, if it is in the spool still", item.name)

    def _deliver(self, item: Item) -> None:
        try:
            image = self._spool.read(item)
            answer = self._retrying(self._ask, item, image)
        except FileNotFoundError:
            return self._end(item, DELETED)
        except Away:
            # Where this is the end, all have their old places at the next start.
            return self._spool.give_back(item, last=True)
        # An earlier process may have sent it, too.
        tries = self._retrying.statistics["attempt_number"] + (item.since is None)
        answer = replace(answer, tries=tries)
        self._record(item, answer)
        return self._end(item, answer)

    def _end(self, item: Item, answer: Answer) -> None:
        try:
            self._spool.remove(item)
        except OSError:
            log.exception("%s is answered, and cannot be deleted", item.name)
        self._heard.answered(item, answer)

    def _record(self, item: Item, answer: Answer) -> None:
        """A disk that takes no line must not keep the answer from whoever waits for it."""
        try:
            self._journal.record(item, answer, time.time())
        except OSError:
            log.exception("the answer to %s cannot be written down", item.name)

    def _ask(self, item: Item, image: bytes) -> Answer:
        self._sign(len(image) / SLOWEST)
        if self._stop.is_set():
            raise Away("this program ends")
        try:
            answer = self._service.ask(item, image, self._wait)
        except Away as e:
            self._heard.away(e)
            raise
        self._heard.away(None)
        return answer

    def _pause(self, state: RetryCallState) -> float:
        asked: float | None = getattr(_failure(state), "retry_after", None)
        own = self._backoff(state)
        # To be asked again at once is no pause, and many clients would ask without end.
        self._obeys = bool(asked)
        return asked + min(own, SPREAD * asked) if asked else own

    def _ends(self, state: RetryCallState) -> bool:
        """Whether the capture goes back: the program ends, or it is the turn of others."""
        failure = _failure(state)
        has_had_its_turn = getattr(failure, "of_one", False) and state.attempt_number >= TRIES_IN_A_ROW
        has_waited = getattr(failure, "waited", False)
        return self._stop.is_set() or ((has_had_its_turn or has_waited) and self._spool.others_wait())

    def _wait(self, seconds: float) -> bool:
        """For a result that is not there yet; true if the program ends, or a press has put another capture in line."""
        self._nudged.wait(seconds)
        is_nudged = self._nudged.is_set()
        self._nudged.clear()
        return self._stop.is_set() or (is_nudged and self._spool.others_wait())

    def _sleep(self, seconds: float) -> None:
        self._sign(seconds)
        # Whoever waits at the button may end a pause of ours, but not one that the service asked for.
        (self._stop if self._obeys else self._nudged).wait(seconds)
        self._nudged.clear()

    def _sign(self, ahead: float = 0.0) -> None:
        self._sign_until = time.monotonic() + SILENT + ahead


def _failure(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None
