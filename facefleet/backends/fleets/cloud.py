"""One cloud of several: asked within bounds, and left alone for a while where it does not answer."""

import logging
import threading
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any

from facefleet.errors import Away, Conflict, NoCapacity, Throttled, Unavailable
from facefleet.ports import Fleet, Share

log = logging.getLogger(__name__)

#: Seconds that one waits for what a cloud is asked for, but for a list: one that launches may look on for a while.
PATIENCE = 15.0
#: Seconds for which one that did not answer is left alone, at first and at last; twice as many each time.
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
#: Doubled more often than this, any pause is the longest.
MOST_DOUBLINGS = 10
#: Between a cloud's name and what it calls an offer of its own.
OF = ":"


class Asked:
    """A call under way in a thread of its own, which a cloud that hangs keeps for as long as its library allows."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self._call = call
        self._value: Any = None
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="cloud", daemon=True)
        self._thread.start()

    @property
    def is_over(self) -> bool:
        return not self._thread.is_alive()

    def answer(self, seconds: float) -> Any:
        """What the call returned; raises what it raised, and `Unavailable` where it takes longer."""
        self._thread.join(max(0.0, seconds))
        if not self.is_over:
            raise Unavailable("no answer in time, and the others go on without it")
        if self._error is not None:
            raise self._error
        return self._value

    def error(self, seconds: float) -> Exception | None:
        """What `answer` would raise."""
        try:
            self.answer(seconds)
        except Exception as e:
            return e
        return None

    def _run(self) -> None:
        try:
            self._value = self._call()
        # A vendor's library may raise anything, and whoever asked is told of it.
        except Exception as e:
            self._error = e


class Cloud:
    """One of them, and whether it answers."""

    def __init__(
        self,
        name: str,
        make: Callable[[], Fleet],
        most: int,
        clock: Callable[[], float],
        chance: Callable[[], float],
        patience: float = PATIENCE,
    ) -> None:
        self.name, self._make, self._most = name, make, most
        self._clock, self._chance, self._patience = clock, chance, patience
        self._failures, self._until = 0, 0.0
        self._listing: Asked | None = None

    @cached_property
    def fleet(self) -> Fleet:
        """Made when it is first asked for: who only sends and receives needs no cloud's library, nor its password."""
        return self._make()

    @property
    def is_away(self) -> bool:
        return self._failures > 0

    @property
    def is_due(self) -> bool:
        """Whether it is to be asked for a list: it answers, or was left alone for long enough."""
        return not self.is_away or self._clock() >= self._until

    @property
    def share(self) -> Share:
        return Share(self.name, self._most, self.named(self.fleet.offers), self.is_away)

    def named(self, offers: Iterable[str]) -> tuple[str, ...]:
        return tuple(f"{self.name}{OF}{offer}" for offer in offers)

    def listing(self) -> Asked:
        """The list asked for; one that hangs still is not asked for once more."""
        if self._listing is None or self._listing.is_over:
            self._listing = Asked(self.fleet.instances)
        return self._listing

    def answers(self) -> None:
        if self.is_away:
            log.info("%s answers again", self.name)
        self._failures = 0

    def fails(self, error: Exception) -> None:
        """It is left alone for a while."""
        if not self.is_away:
            known = isinstance(error, Unavailable)
            log.warning("%s does not answer: %s", self.name, error, exc_info=None if known else error)
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(self._failures, MOST_DOUBLINGS))
        self._failures += 1
        self._until = self._clock() + pause * (1 + self._chance()) / 2

    def ask(self, call: Callable[[], Any]) -> Any:
        """What it answers; raises as it does, and `Unavailable` where it hangs, or is not even asked."""
        if self.is_away:
            raise Unavailable(f"{self.name} does not answer")
        asked = Asked(call)
        try:
            return asked.answer(self._patience)
        except Unavailable as e:
            # What it answers may be of this one instance alone.
            if not asked.is_over:
                self.fails(e)
            raise

    def launch(self, what: str, call: Callable[[], Any]) -> Any:
        """As `have`, no more at the same time than the cloud bears; raises `Throttled` where its turn does not come."""
        # Each may be answered late: of a dozen, one after the other, no tick would see the end.
        if not self._lanes.acquire(timeout=self._patience):
            raise Throttled(f"{what}: {self.name} is busy launching others: ask again")
        try:
            return self.have(what, call)
        finally:
            self._lanes.release()

    @cached_property
    def _lanes(self) -> threading.Semaphore:
        return threading.Semaphore(self.fleet.at_once)

    def have(self, what: str, call: Callable[[], Any]) -> Any:
        """As `ask`, of what others have, too: whatever keeps this one from it, they are to be asked."""
        try:
            return self.ask(call)
        except (Conflict, NoCapacity):
            raise
        except Throttled as e:
            raise NoCapacity(f"{what}: {e}") from e
        except Exception as e:
            if isinstance(e, Unavailable) and not self.is_away:
                self.fails(e)
            raise Away(f"{what}: {e}") from e
