"""Asking the fleet, and surviving the answer: an error of one call never ends the tick."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from enum import StrEnum

from controller.backoff import Backoff, Chance
from facefleet.errors import Conflict, NoCapacity, ServiceError, Throttled

log = logging.getLogger(__name__)


class Answer(StrEnum):
    DONE = "done"
    NO_CAPACITY = "no capacity"
    #: The token brought an instance that is gone: the next attempt takes another.
    USED_UP = "used up"
    #: It may have been done, or not: to be asked again.
    UNKNOWN = "unknown"
    #: Nobody was asked: the verb waits.
    WAITS = "waits"


class Calls:
    """Every write to the fleet goes through here.

    `errors`: how many of each class; `done`: calls that were answered, by verb; `backoffs`: which verbs wait.
    """

    def __init__(self, chance: Chance, assure: Callable[[], object]) -> None:
        """`assure` raises `Conflict` where another controller leads now: then nobody is asked."""
        self._chance = chance
        self._assure = assure
        self.errors: Counter[str] = Counter()
        self.done: Counter[str] = Counter()
        self.backoffs: Mapping[str, Backoff] = {}

    def ask(self, verb: str, call: Callable[[], object], now: float) -> tuple[Answer, object]:
        """What came of it, and what the call returned; raises `Conflict` if another controller leads now."""
        if verb in self.backoffs and now < self.backoffs[verb].until:
            return Answer.WAITS, None
        try:
            self._assure()
        except Conflict:
            raise
        except ServiceError as e:
            self.note(e)
            return Answer.WAITS, None
        try:
            value = call()
        except NoCapacity as e:
            return self._refused(verb, e, Answer.NO_CAPACITY), None
        except Conflict as e:
            return self._refused(verb, e, Answer.USED_UP), None
        # The vendor's library may raise anything: what nobody knows freezes this verb, and the tick goes on.
        except Exception as e:
            self._wait(verb, e, now)
            return Answer.UNKNOWN, None
        self.done[verb] += 1
        if verb in self.backoffs:
            self.backoffs = {other: backoff for other, backoff in self.backoffs.items() if other != verb}
        return Answer.DONE, value

    def note(self, error: ServiceError) -> None:
        """Counts it; what it means for the fleet, the reason says."""
        log.debug("%s", error)
        self.errors[error.code] += 1

    def _refused(self, verb: str, error: ServiceError, answer: Answer) -> Answer:
        log.warning("%s: %s", verb, error)
        self.errors[error.code] += 1
        return answer

    def _wait(self, verb: str, error: Exception, now: float) -> None:
        known = error if isinstance(error, ServiceError) else None
        self.errors[known.code if known else "unknown"] += 1
        backoff = self.backoffs.get(verb, Backoff()).failed(now, self._chance)
        self.backoffs = {**self.backoffs, verb: backoff}
        how = "is asked less often" if isinstance(error, Throttled) else "is asked again"
        log.warning("%s %s, in %.1f s: %s", verb, how, backoff.until - now, error, exc_info=known is None)
