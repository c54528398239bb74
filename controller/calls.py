"""Asking the fleet, and surviving the answer: an error of one call never ends the tick."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum

from controller.backoff import Backoff, Chance
from facefleet.errors import Conflict, NoCapacity, ServiceError, Throttled

log = logging.getLogger(__name__)


Call = Callable[[], object]


class Answer(StrEnum):
    DONE = "done"
    NO_CAPACITY = "no capacity"
    #: The token brought an instance that is gone: the next attempt takes another.
    USED_UP = "used up"
    #: It may have been done, or not: to be asked again.
    UNKNOWN = "unknown"
    #: Nobody was asked: the verb waits.
    WAITS = "waits"


#: What came of a call, and what it returned.
Reply = tuple[Answer, object]


@dataclass(frozen=True, slots=True)
class Outcome:
    value: object = None
    error: Exception | None = None


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

    def ask(self, verb: str, call: Call, now: float) -> Reply:
        """What came of it, and what the call returned; raises `Conflict` if another controller leads now."""
        return self.ask_all(verb, [call], now)[0]

    def ask_all(self, verb: str, calls: Sequence[Call], now: float) -> list[Reply]:
        """What came of each and what it returned, in their order; all are asked at the same time, or none."""
        if verb in self.backoffs and now < self.backoffs[verb].until:
            return [(Answer.WAITS, None)] * len(calls)
        try:
            self._assure()
        except Conflict:
            raise
        except ServiceError as e:
            self.note(e)
            return [(Answer.WAITS, None)] * len(calls)
        outcomes = [_outcome(calls[0])] if len(calls) == 1 else _outcomes(calls)
        done = sum(outcome.error is None for outcome in outcomes)
        if done:
            self.done[verb] += done
            self.backoffs = {other: backoff for other, backoff in self.backoffs.items() if other != verb}
        # Failures last: whatever else was done, the verb waits then.
        return [self._read(verb, outcome, now) for outcome in outcomes]

    def _read(self, verb: str, outcome: "Outcome", now: float) -> Reply:
        error = outcome.error
        if error is None:
            return Answer.DONE, outcome.value
        if isinstance(error, NoCapacity):
            return self._refused(verb, error, Answer.NO_CAPACITY), None
        if isinstance(error, Conflict):
            return self._refused(verb, error, Answer.USED_UP), None
        self._wait(verb, error, now)
        return Answer.UNKNOWN, None

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


def _outcome(call: Call) -> Outcome:
    try:
        return Outcome(call())
    # The vendor's library may raise anything: what nobody knows freezes this verb, and the tick goes on.
    except Exception as e:
        return Outcome(error=e)


def _outcomes(calls: Sequence[Call]) -> list[Outcome]:
    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(_outcome, calls))
