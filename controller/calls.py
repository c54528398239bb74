"""Asking the fleet, and surviving the answer: an error of one call never ends the tick."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from types import NoneType

from controller.backoff import Backoff, Chance
from facefleet.errors import Away, Conflict, NoCapacity, ServiceError, Throttled

log = logging.getLogger(__name__)


Call = Callable[[], object]


class Answer(StrEnum):
    DONE = "done"
    NO_CAPACITY = "no capacity"
    #: The same, and it may have been done for all that anybody knows.
    DOUBTFUL = "doubtful"
    #: The token brought an instance that is gone: the next attempt takes another.
    USED_UP = "used up"
    #: It may have been done, or not: to be asked again.
    UNKNOWN = "unknown"
    #: To be asked again, less often; it says nothing of what was asked for.
    THROTTLED = "throttled"
    #: Nobody was asked: the verb waits.
    WAITS = "waits"


#: What an error says. Any other leaves it open whether it was done.
MEANINGS: tuple[tuple[type, Answer], ...] = (
    (NoneType, Answer.DONE),
    (Away, Answer.DOUBTFUL),
    (NoCapacity, Answer.NO_CAPACITY),
    (Throttled, Answer.THROTTLED),
    (Conflict, Answer.USED_UP),
)
#: After these the verb waits; the others are answers, which the fleet was well enough to give.
FAILURES = (Answer.UNKNOWN, Answer.THROTTLED)
#: Of several asked one by one so many fail before the others wait for the next time.
MOST_FAILURES = 2
#: Seconds of a tick after which nobody is asked any more. A call that nobody answers takes 26 s, some verbs are two
#: calls, and what reads and saves takes its time, too: all of it must end before the 180 s of the unit's watchdog.
LONGEST = 45.0
#: What came of a call, and what it returned.
Reply = tuple[Answer, object]


@dataclass(frozen=True, slots=True)
class Outcome:
    value: object = None
    error: Exception | None = None

    @property
    def answer(self) -> Answer:
        return next((answer for kind, answer in MEANINGS if isinstance(self.error, kind)), Answer.UNKNOWN)


class Calls:
    """Every write to the fleet goes through here.

    `errors`: how many of each class; `done`: calls that were answered, by verb; `backoffs`: which verbs wait.
    """

    def __init__(
        self, chance: Chance, assure: Callable[[], object], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`assure` raises `Conflict` where another controller leads now: then nobody is asked."""
        self._chance = chance
        self._assure = assure
        self._clock = clock
        self._begun_at = clock()
        self.errors: Counter[str] = Counter()
        self.done: Counter[str] = Counter()
        self.backoffs: Mapping[str, Backoff] = {}

    def begin(self) -> None:
        """A tick begins: from now on `LONGEST` is counted."""
        self._begun_at = self._clock()

    @property
    def _is_late(self) -> bool:
        return self._clock() - self._begun_at >= LONGEST

    def ask(self, verb: str, call: Call, now: float) -> Reply:
        """What came of it, and what the call returned; raises `Conflict` if another controller leads now."""
        return self.ask_all(verb, [call], now)[0]

    def ask_all(self, verb: str, calls: Sequence[Call], now: float) -> list[Reply]:
        """What came of each and what it returned, in their order; all are asked at the same time, or none."""
        if not self._may_ask(verb, now):
            return [(Answer.WAITS, None)] * len(calls)
        outcomes = [_outcome(calls[0])] if len(calls) == 1 else _outcomes(calls)
        self._conclude(verb, outcomes, now)
        return [(outcome.answer, outcome.value) for outcome in outcomes]

    def ask_of(
        self, verb: str, call: Callable[[list[str]], object], ids: Sequence[str], now: float
    ) -> dict[str, Answer]:
        """What came of asking it of all of them together; where that is refused, of each, to know which one it was.

        `verb`: perhaps with more behind a space, where those of one cloud are to wait for none of another.
        """
        if not self._may_ask(verb, now):
            return dict.fromkeys(ids, Answer.WAITS)
        together = _outcome(partial(call, list(ids)))
        if len(ids) == 1 or together.answer in (Answer.DONE, Answer.THROTTLED):
            self._conclude(verb, [together], now)
            return dict.fromkeys(ids, together.answer)
        self._count(verb, together)
        outcomes = self._one_by_one(call, ids)
        self._conclude(verb, list(outcomes.values()), now)
        return {id: outcomes[id].answer if id in outcomes else Answer.WAITS for id in ids}

    def _one_by_one(self, call: Callable[[list[str]], object], ids: Sequence[str]) -> dict[str, "Outcome"]:
        """Each, until several fail: a cloud that does not answer at all would hold the tick up for every one."""
        outcomes: dict[str, Outcome] = {}
        failures = 0
        for id in ids:
            if self._is_late or not self._may_lead():
                break
            outcome = outcomes[id] = _outcome(partial(call, [id]))
            failures += outcome.answer is Answer.UNKNOWN
            if outcome.answer is Answer.THROTTLED or failures == MOST_FAILURES:
                break
        return outcomes

    def _may_ask(self, verb: str, now: float) -> bool:
        waits = verb in self.backoffs and now < self.backoffs[verb].until
        return not waits and not self._is_late and self._may_lead()

    def _may_lead(self) -> bool:
        """Raises `Conflict` if another controller leads; False where nobody can tell."""
        try:
            self._assure()
        except Conflict:
            raise
        except ServiceError as e:
            self.note(e)
            return False
        return True

    def _conclude(self, verb: str, outcomes: Sequence["Outcome"], now: float) -> None:
        """Calls of one moment that fail are one failure: whatever the others did, the verb waits then."""
        for outcome in outcomes:
            self._count(verb, outcome)
        failed = [outcome for outcome in outcomes if outcome.answer in FAILURES]
        if failed:
            self.backoffs = {**self.backoffs, verb: self.backoffs.get(verb, Backoff()).failed(now, self._chance)}
            pause = self.backoffs[verb].until - now
            log.warning("%s waits for %.1f s: %d of %d calls failed", verb, pause, len(failed), len(outcomes))
        elif outcomes and verb in self.backoffs:
            self.backoffs = {other: backoff for other, backoff in self.backoffs.items() if other != verb}

    def note(self, error: ServiceError) -> None:
        """Counts it; what it means for the fleet, the reason says."""
        log.debug("%s", error)
        self.errors[error.code] += 1

    def _count(self, verb: str, outcome: "Outcome") -> None:
        error = outcome.error
        if error is None:
            self.done[verb.partition(" ")[0]] += 1
            return
        known = error if isinstance(error, ServiceError) else None
        self.errors[known.code if known else "unknown"] += 1
        log.warning("%s: %s", verb, error, exc_info=None if known else error)


def _outcome(call: Call) -> Outcome:
    try:
        return Outcome(call())
    # The vendor's library may raise anything: what nobody knows freezes this verb, and the tick goes on.
    except Exception as e:
        return Outcome(error=e)


def _outcomes(calls: Sequence[Call]) -> list[Outcome]:
    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(_outcome, calls))
