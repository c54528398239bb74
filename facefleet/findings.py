"""What a check-up found."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    OK = "ok"
    WRONG = "wrong"
    UNKNOWN = "cannot tell"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, how it is, and in words what is there or what to do."""

    about: str
    state: State
    words: str


Look = Callable[[], Iterable[Finding]]


def ok(about: str, words: str) -> Finding:
    return Finding(about, State.OK, words)


def wrong(about: str, words: str) -> Finding:
    return Finding(about, State.WRONG, words)


def unknown(about: str, words: str) -> Finding:
    return Finding(about, State.UNKNOWN, words)
