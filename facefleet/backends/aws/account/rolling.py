"""Goes the way that `rollout` decides, a step at a time; and back, where what is new does not come to answer."""

import logging
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from facefleet.backends.aws.account.looks import FIRST_PAUSE, GROWTH, LONGEST_PAUSE
from facefleet.backends.aws.account.rollout import Action, Stage, Verb, Way, World, decide
from facefleet.backends.aws.account.stack_told import Unchanged
from facefleet.backends.aws.faults import Expired
from facefleet.errors import Conflict, ServiceError, Unavailable

log = logging.getLogger(__name__)

#: Seconds that each stage may be waited for: a machine boots in one minute, and its group may have to look for another.
PATIENCE = 600.0
#: A whole way has about ten steps that change something.
MOST_DEEDS = 50


class Site(Protocol):
    """Where machines stand, and are changed."""

    def look(self) -> World: ...

    def do(self, action: Action) -> None:
        """Twice is harmless; what it brings about is seen by looking."""

    def turn_back(self) -> str:
        """From now on what was before is wanted; in words, how one goes on with that. Empty: there was nothing."""


class TakenBack(Unavailable):
    """What was new did not work, and all is as it was before: the words say why."""

    code = "taken_back"


class Overdue(Unavailable):
    """What was waited for did not come in time."""

    code = "overdue"


Tell = Callable[[Action], object]


@dataclass(frozen=True, slots=True)
class Pace:
    """`patience`: seconds for each stage. Time is an argument, so that a test need not wait."""

    patience: float = PATIENCE
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], object] = time.sleep


def roll(site: Site, way: Way, *, pace: Pace = Pace(), tell: Tell = lambda _: None) -> None:
    """Returns once all machines are as wanted, and answer; raises `TakenBack` where they are as before instead."""
    try:
        _go(site, way, pace, tell)
    except (Conflict, Expired):
        # Somebody else's to go on with, or nothing that could be done: the same command again goes on where this ends.
        raise
    except ServiceError as e:
        if way.back or not (how := site.turn_back()):
            raise
        log.warning("%s: going back", e)
        _go_back(site, e, how, pace, tell)
        raise TakenBack(f"{e}. All is as it was before") from e


def _go_back(site: Site, why: ServiceError, how: str, pace: Pace, tell: Tell) -> None:
    try:
        # Whoever wants to know soon that what is new does not work has no reason to give the way back up as soon.
        _go(site, Way(back=True), replace(pace, patience=max(pace.patience, PATIENCE)), tell)
    except ServiceError as e:
        raise Unavailable(f"{why}. And the way back did not come to its end ({e}): go on with {how}") from e


def _go(site: Site, way: Way, pace: Pace, tell: Tell) -> None:
    waits = Waits(pace)
    while (action := _next(site, way)).verb is not Verb.DONE:
        tell(action)
        if action.verb is Verb.GIVE_UP:
            raise Unavailable(action.why)
        if action.verb is Verb.WAIT or (action := _done(site, action)).verb is Verb.WAIT:
            waits.wait(action)
        else:
            waits.moved()


def _next(site: Site, way: Way) -> Action:
    try:
        return decide(site.look(), way)
    except Expired:
        raise
    except Unavailable as e:
        return Action(Verb.WAIT, Stage.END, why=f"AWS can be asked again ({e})")


def _done(site: Site, action: Action) -> Action:
    """The action; or a wait, where it could not be done now and may be soon, as while a group is about another."""
    try:
        site.do(action)
    except (Expired, Unchanged):
        # The latter was taken back, and would be again.
        raise
    except Unavailable as e:
        return replace(action, verb=Verb.WAIT, why=f"that can be done ({e})")
    return action


class Waits:
    """The seconds that each stage was waited for, all its waits together: one that goes round in circles ends, too."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._waited: dict[Stage, float] = defaultdict(float)
        self._pause = FIRST_PAUSE
        self._deeds = 0
        self._since = pace.clock()

    def wait(self, action: Action) -> None:
        """Raises `Overdue` if that was long enough."""
        if self._waited[action.stage] >= self._pace.patience:
            raise Overdue(
                f"{action.stage}: not within {self._pace.patience:.0f} s until {action.why}"
                f"{f' ({action.subject})' if action.subject else ''}"
            )
        self._pace.sleep(self._pause)
        # With the time that it took to look.
        now = self._pace.clock()
        self._waited[action.stage] += now - self._since
        self._since = now
        self._pause = min(self._pause * GROWTH, LONGEST_PAUSE)

    def moved(self) -> None:
        """Something was done; raises `Overdue` where that goes on without end."""
        self._pause, self._since = FIRST_PAUSE, self._pace.clock()
        self._deeds += 1
        if self._deeds > MOST_DEEDS:
            raise Overdue(f"{MOST_DEEDS} steps, and no end: machines come and go again")
