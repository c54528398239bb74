"""How what came is done: what each of the three ways is given, and what it says of it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from facefleet.errors import Unavailable
from openstack_relay.incoming import Event


class Fate(StrEnum):
    """What became of an event. Handed over: Lambda has it, and tries again by itself where the function fails."""

    DONE = "done"
    HANDED_OVER = "handed over"
    GONE = "gone"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """`letters`: what is to lie with the dead letters before the event is acked, as `arrivals.dead_letter` makes it."""

    fate: Fate = Fate.DONE
    letters: tuple[str, ...] = ()


class Failed(Unavailable):
    """This event failed, and may not the next time: it is tried again some times, then lies with the dead letters."""

    code = "failed"


class Unburied(Failed):
    """The dead letters take no letter now. What it is about waits, and comes again; nothing else need."""

    code = "unburied"


class Way(Protocol):
    """Has events done, many at the same time, though never twice at the same time the same one."""

    def __call__(self, event: Event) -> Outcome:
        """What became of it, within the time that the settings allow.

        Raises `Failed`, which is counted; `BadMessage`, which ends with the dead letters at once; or `Unavailable`
        while nothing can be done at all, which is nobody's fault: it comes again, as often as need be.
        """

    def ask(self) -> None:
        """Raises `Unavailable` as long as nothing can be done; has nothing done."""
