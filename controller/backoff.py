"""How long to wait after what failed: longer each time, and never all at the same moment."""

from collections.abc import Callable
from dataclasses import dataclass, replace

#: A uniform number from 0 to 1.
Chance = Callable[[], float]
#: After a call that was refused for asking too often, or that nobody knows the outcome of. Full jitter, as in
#: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
#: After instances that never came to work.
FIRST_TRIAL, LONGEST_TRIAL = 0.5, 60.0
#: Doubled more often than this, any pause is the longest.
MOST_DOUBLINGS = 30


@dataclass(frozen=True, slots=True)
class Backoff:
    """Calls of one kind wait until `until`, after so many failures in a row."""

    failures: int = 0
    until: float = 0.0

    def failed(self, now: float, chance: Chance) -> "Backoff":
        return Backoff(self.failures + 1, now + chance() * _doubled(FIRST_PAUSE, LONGEST_PAUSE, self.failures))


@dataclass(frozen=True, slots=True)
class FailedStarts:
    """Instances in a row that never came to work. `since`: those asked for before say nothing new."""

    count: int = 0
    step: int = 0
    since: float = 0.0
    pause: float = 0.0
    worked: float = 0.0

    @property
    def until(self) -> float:
        return self.since + self.pause

    def failed(self, asked_at: float, now: float, chance: Chance) -> "FailedStarts":
        """Of many asked for at once, as many fail at once: that is one more step, not as many."""
        if asked_at <= self.worked:
            # Others asked for at that time or later came to work: it is this one's own misfortune.
            return self
        if self.step and asked_at < self.since:
            return replace(self, count=self.count + 1)
        longest = _doubled(FIRST_TRIAL, LONGEST_TRIAL, self.step)
        return replace(self, count=self.count + 1, step=self.step + 1, since=now, pause=longest * (1 + chance()) / 2)

    def succeeded(self, asked_at: float) -> "FailedStarts":
        return FailedStarts(worked=max(self.worked, asked_at))


def _doubled(first: float, longest: float, times: int) -> float:
    return float(min(longest, first * 2 ** min(times, MOST_DOUBLINGS)))
