"""What is asked for where more are wanted: of one's own cloud what rests there, then what it offers; then of the next.

A cloud that has as many up as it may is passed over, and asked again once there is room.
"""

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from controller.ledger import Intent, Ledger
from controller.policy import Terms
from controller.status import OfCloud
from controller.steps import Limits, launch_intents, start_intents, to_start
from facefleet.model import Instance, InstanceState
from facefleet.ports import Fleet, Share


@dataclass(frozen=True, slots=True)
class Choice:
    """At a look. `up`: how many of each cloud are up, by rank, but for those that the ledger has asked for.

    `excluded`: offers, and stopped instances, that nobody asks for now.
    """

    terms: Terms
    limits: Limits
    shares: tuple[Share, ...] = ()
    can_rest: tuple[str, ...] = ()
    seen: Sequence[Instance] = ()
    up: Mapping[int, int] = field(default_factory=dict)
    excluded: frozenset[str] = frozenset()

    def by_cloud(self) -> dict[str, OfCloud]:
        """As they were at the look; nothing where there is one cloud alone."""
        up = Counter(one.rank for one in self.seen if one.state is not InstanceState.STOPPED)
        named = ((rank, share) for rank, share in enumerate(self.shares) if share.cloud)
        return {share.cloud: OfCloud(up[rank], share.most, not share.is_away) for rank, share in named}

    def homes(self) -> dict[str, str]:
        """In which cloud each instance is, where there are several."""
        names = {rank: share.cloud for rank, share in enumerate(self.shares) if share.cloud}
        return {one.id: names[one.rank] for one in self.seen if one.rank in names}

    @property
    def has_offer(self) -> bool:
        """Whether there is one that is not excluded, with room or without."""
        return any(self._offer(rank) is not None for rank in range(len(self.shares)))

    def is_any(self, ledger: Ledger) -> bool:
        """Whether there is anything to ask for."""
        return any(
            self._offer(rank) is not None or bool(self._resting(rank, ledger, 1)) for rank, _ in self._roomy(ledger, 1)
        )

    def asking(
        self, ledger: Ledger, count: int, new: int, now: float, *, refused: frozenset[int] = frozenset(), turn: int = 0
    ) -> Ledger:
        """With so many more asked for, as far as there is room; `turn`: that cloud first, and the first after the last.

        `new`: so many of them are rather launched than stale, where anything is on offer. `refused`: clouds that lacked
        what they were asked for; of them something else is launched, rather than another one of the pool started.
        """
        for rank, room in sorted(self._roomy(ledger, count), key=lambda one: (one[0] - turn) % len(self.shares)):
            offer, wanted = self._offer(rank), min(count, room)
            if not wanted:
                break
            rather = min(new, wanted) if offer is not None else 0
            chosen = [] if rank in refused else self._resting(rank, ledger, wanted, rather)
            ledger = _with(ledger, start_intents(chosen, ledger, now))
            launched = self._launches(ledger, rank, offer, wanted - len(chosen), now)
            ledger = _with(ledger, launched)
            count, new = count - len(chosen) - len(launched), max(0, new - len(launched))
        return ledger

    def making(self, ledger: Ledger, count: int, now: float, *, tries: bool) -> Ledger:
        """With so many spare ones asked for, as far as there is room. `tries`: a fresh one that rests does as well."""
        for rank, room in self._roomy(ledger, count):
            wanted = min(count, room)
            fresh = [one for one in self._resting(rank, ledger, wanted) if not one.is_stale] if tries else []
            made = start_intents(fresh, ledger, now)
            made += self._launches(ledger, rank, self._offer(rank, spare=True), wanted - len(made), now)
            ledger, count = _with(ledger, [replace(one, spare=True) for one in made]), count - len(made)
        return ledger

    def _roomy(self, ledger: Ledger, count: int) -> list[tuple[int, int]]:
        """Clouds that have room for more, by rank, and for how many; none where none is wanted."""
        asked = Counter(intent.rank for intent in ledger.intents)
        rooms = (
            (rank, share.most - self.up.get(rank, 0) - asked[rank])
            for rank, share in enumerate(self.shares)
            if not share.is_away
        )
        return [(rank, room) for rank, room in rooms if count > 0 and room > 0]

    def _offer(self, rank: int, *, spare: bool = False) -> str | None:
        """A cloud's best that is not excluded; None where there is none. `spare`: the best of which one can rest."""
        offers = self.shares[rank].offers
        if spare and self.can_rest:
            offers = tuple(offer for offer in offers if offer in self.can_rest)
        return next((offer for offer in offers if offer not in self.excluded), None)

    def _resting(self, rank: int, ledger: Ledger, count: int, new: int = 0) -> list[Instance]:
        asked = {intent.id for intent in ledger.intents}
        here = (one for one in self.seen if one.rank == rank and one.id not in asked)
        return to_start(here, self.excluded, count, new)

    def _launches(self, ledger: Ledger, rank: int, offer: str | None, count: int, now: float) -> list[Intent]:
        if offer is None or count <= 0:
            return []
        return launch_intents(ledger, offer, count, self.terms, self.limits, now, rank)


def choice_of(fleet: Fleet, seen: Sequence[Instance], ledger: Ledger, terms: Terms, limits: Limits) -> Choice:
    """With one cloud alone there is room for all that the whole may have."""
    asked = {intent.name for intent in ledger.intents}
    up = Counter(one.rank for one in seen if one.state is not InstanceState.STOPPED and one.id not in asked)
    shares = fleet.shares or (Share("", sys.maxsize, fleet.offers),)
    return Choice(terms, limits, shares, fleet.can_rest, seen, up)


def _with(ledger: Ledger, intents: Sequence[Intent]) -> Ledger:
    return replace(ledger, intents=(*ledger.intents, *intents)) if intents else ledger
