"""What a worker does while a part of the outside world does not answer: it takes nothing that it could not finish.

Each receive is counted, and a job that was received too often is given up: a minute without storage would otherwise
end every job that waits.
"""

import random

#: Seconds before it is tried again: at first, and at the longest; each time twice as long.
RETRY_AFTER, LONGEST_PAUSE = 1.0, 60.0
#: Above the longest pause, whatever the first one is.
DOUBLINGS = 30
#: A pause is cut by chance to this part of it at the least, so that a fleet does not come back at one moment.
SHORTEST_PART = 0.5


def longest_pause(failures: int) -> float:
    """After so many failures without a job done in between, one at least."""
    return float(min(LONGEST_PAUSE, RETRY_AFTER * 2 ** min(failures - 1, DOUBLINGS)))


def parted(pause: float) -> float:
    """As long, or by chance a little shorter."""
    return pause * random.uniform(SHORTEST_PART, 1.0)  # noqa: S311  # to part, not to hide


class Outage:
    """What one worker knows of it."""

    def __init__(self) -> None:
        self._failures = 0
        #: Whether something failed, and has not been asked since.
        self.in_doubt = False

    def failed(self) -> float:
        """Something did not answer; returns how long to wait before it is asked."""
        self._failures += 1
        self.in_doubt = True
        return parted(longest_pause(self._failures))

    def answered(self) -> None:
        """What failed answers again, which does not say yet that a job can be done."""
        self.in_doubt = False

    def is_over(self) -> None:
        """A job was done."""
        self._failures, self.in_doubt = 0, False

    def rest(self, receive_count: int) -> float:
        """How long a message rests that was received so often, and could not be finished."""
        return longest_pause(self._failures + receive_count)
