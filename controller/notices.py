"""What an alarm looks for in the log: that the fleet may not grow, and why.

The first words of each line stand in `deploy/store.yaml` too, as the patterns of metric filters: change both.
"""

import logging
from collections.abc import Iterator, Mapping

from controller.policy import Terms
from controller.steps import OVER_BUDGET, Clamped
from facefleet.model import Depth, InstanceState

log = logging.getLogger(__name__)

#: Seconds between two lines of the same, while it lasts.
REPEAT = 60.0
AT_MOST = "the fleet is at its most"


class Notices:
    """Remembers what it said when."""

    def __init__(self) -> None:
        self._said: dict[str, float] = {}

    def say(
        self, depth: Depth, counts: Mapping[InstanceState, int], may_come: Clamped, terms: Terms, now: float
    ) -> None:
        for what, words in notices(depth, counts, may_come, terms):
            if not 0 <= now - self._said.get(what, float("-inf")) < REPEAT:
                log.warning("%s: %s", what, words)
                self._said[what] = now


def notices(
    depth: Depth, counts: Mapping[InstanceState, int], may_come: Clamped, terms: Terms
) -> Iterator[tuple[str, str]]:
    """What keeps work waiting, and what to do about it; that the budget is used up in any case."""
    here = sum(count for state, count in counts.items() if state is not InstanceState.STOPPED)
    if depth.visible and here >= terms.most:
        yield (
            AT_MOST,
            f"{here} instances, and {depth.visible} messages wait; raise FACEFLEET_MAX_INSTANCES if that is too slow",
        )
    if may_come.why == OVER_BUDGET:
        yield (
            OVER_BUDGET,
            f"{may_come.count} instances may come now, and more are wanted; raise FACEFLEET_BUDGET_PER_HOUR, or wait",
        )
