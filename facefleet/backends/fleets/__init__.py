"""A fleet over several clouds, one's own first. One that does not answer keeps nobody from the others.

Each is asked in a thread of its own and waited for within bounds; one that failed is left alone, longer each time.
"""

import random
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial

from facefleet.backends.fleets.cloud import OF, PATIENCE, Asked, Cloud
from facefleet.errors import Conflict
from facefleet.model import Instance
from facefleet.ports import Fleet, Share

#: Seconds that one waits for a list.
LIST_PATIENCE = 5.0


class Fleets:
    """The clouds in the order of `mosts`, which says how many instances each may have at once.

    An offer is called by its cloud, `openstack:m1.small`; an instance as its cloud calls it. With one cloud alone, all
    that goes wrong is that cloud's, and told as it tells it.
    """

    def __init__(
        self,
        fleets: Mapping[str, Callable[[], Fleet]],
        mosts: Mapping[str, int],
        *,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
        patience: float = LIST_PATIENCE,
        long_patience: float = PATIENCE,
    ) -> None:
        """`patience`: seconds that one waits for a list; `long_patience`: for all else, and for its turn."""
        made = (Cloud(name, fleets[name], most, clock, chance, long_patience) for name, most in mosts.items())
        self._clouds = {cloud.name: cloud for cloud in made}
        self._patience, self._long_patience = patience, long_patience
        #: Whose an instance is, as far as lists and launches told.
        self._homes: dict[str, str] = {}

    @property
    def offers(self) -> tuple[str, ...]:
        return tuple(offer for cloud in self._clouds.values() for offer in cloud.named(cloud.fleet.offers))

    @property
    def can_rest(self) -> tuple[str, ...]:
        return tuple(offer for cloud in self._clouds.values() for offer in cloud.named(cloud.fleet.can_rest))

    @property
    def shares(self) -> tuple[Share, ...]:
        return tuple(cloud.share for cloud in self._clouds.values())

    @property
    def settles_after(self) -> float:
        return max(cloud.fleet.settles_after for cloud in self._clouds.values())

    @property
    def at_once(self) -> int:
        """Each cloud sees to it that it is asked for no more than it bears: none waits for another."""
        return sum(cloud.fleet.at_once for cloud in self._clouds.values())

    def instances(self) -> list[Instance]:
        """Of those clouds that answer; raises as the first does where none answers."""
        clouds = list(self._clouds.values())
        if len(clouds) == 1:
            return self._noted({clouds[0].name: clouds[0].fleet.instances()})
        # While none answers there is nothing to be gained by waiting.
        nobody = all(cloud.is_away for cloud in clouds)
        asked = [(cloud, cloud.listing()) for cloud in clouds if nobody or cloud.is_due]
        deadline = time.monotonic() + self._patience
        lists: dict[str, list[Instance]] = {}
        errors: list[Exception] = []
        for cloud, call in asked:
            if (error := call.error(deadline - time.monotonic())) is not None:
                cloud.fails(error)
                errors.append(error)
            else:
                cloud.answers()
                lists[cloud.name] = call.answer(0.0)
        if not lists:
            raise errors[0]
        return self._noted(lists)

    def _noted(self, lists: Mapping[str, list[Instance]]) -> list[Instance]:
        kept = {id: name for id, name in self._homes.items() if name not in lists}
        self._homes = kept | {one.id: name for name, listed in lists.items() for one in listed}
        ranks = {name: rank for rank, name in enumerate(self._clouds)}
        return [replace(one, rank=ranks[name]) for name, listed in lists.items() for one in listed]

    def launch(self, token: str, offer: str) -> str:
        name, _, own = offer.partition(OF)
        if name not in self._clouds:
            raise Conflict(f"{offer} is not offered any more: ask for another")
        cloud = self._clouds[name]
        launch = partial(cloud.fleet.launch, token, own)
        id: str = launch() if len(self._clouds) == 1 else cloud.launch(f"launching {offer}", launch)
        self._homes[id] = name
        return id

    def start(self, ids: list[str]) -> None:
        """All or none of each cloud."""
        self._each(ids, lambda fleet: fleet.start, lambda cloud, call: cloud.have("starting", call))

    def retire(self, ids: list[str]) -> None:
        """A cloud that does not answer keeps nobody else; it is told of at the end, when all were asked."""
        self._each(ids, lambda fleet: fleet.retire, lambda cloud, call: cloud.ask(call))

    def end(self, ids: list[str]) -> None:
        """As `retire`."""
        self._each(ids, lambda fleet: fleet.end, lambda cloud, call: cloud.ask(call))

    def _each(
        self,
        ids: list[str],
        verb: Callable[[Fleet], Callable[[list[str]], None]],
        ask: Callable[[Cloud, Callable[[], None]], object],
    ) -> None:
        clouds = list(self._clouds.values())
        if len(clouds) == 1:
            verb(clouds[0].fleet)(ids)
            return
        of = {cloud.name: self._of(cloud, ids) for cloud in clouds}
        asked = [
            Asked(partial(ask, cloud, partial(verb(cloud.fleet), of[cloud.name]))) for cloud in clouds if of[cloud.name]
        ]
        patience = self._long_patience + self._patience
        if errors := [error for call in asked if (error := call.error(patience)) is not None]:
            raise errors[0]

    def _of(self, cloud: Cloud, ids: Iterable[str]) -> list[str]:
        """Those that are this cloud's; one that nobody knows may be anybody's who answers."""
        unknown = "" if cloud.is_away else cloud.name
        return [id for id in dict.fromkeys(ids) if self._homes.get(id, unknown) == cloud.name]
