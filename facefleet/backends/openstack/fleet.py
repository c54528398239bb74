"""A fleet of Nova's servers. Their metadata says that they are ours: nobody else's is ever touched."""

import logging
import re
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from facefleet.backends.openstack.nova import Nova
from facefleet.backends.openstack.offers import offers_of
from facefleet.backends.openstack.recipe import Recipe
from facefleet.backends.openstack.refusals import each
from facefleet.backends.openstack.servers import (
    FLEET,
    OFFER,
    SHELVED,
    TOKEN,
    VERSION,
    Listed,
    as_made,
    find,
    how_to_leave,
    one_each,
    too_many,
)
from facefleet.errors import Conflict, NoCapacity, ServiceError
from facefleet.model import Instance, InstanceState
from facefleet.settings import Settings

log = logging.getLogger(__name__)

#: Nova lists from its database what it has answered. Where that is a cluster, another of its machines may be a moment
#: behind: https://galeracluster.com/library/documentation/mysql-wsrep-options.html#wsrep-sync-wait
SETTLES_AFTER = 5.0
#: As many connections as the library keeps open to one host; Nova's scheduler places one server after another anyway.
AT_ONCE = 10
#: Seconds until one that is to be deleted, and is there all the same, is asked for again.
CLEAR_EVERY = 30.0
STOPPED = InstanceState.STOPPED


class NovaFleet:
    """Remembers what Nova told last: a verb acts on that, and looks again where an id is not in it."""

    settles_after = SETTLES_AFTER
    #: How many launches may be asked for at the same time.
    at_once = AT_ONCE
    shares = ()

    def __init__(self, connection: Any, settings: Settings, *, clock: Callable[[], float] = time.time) -> None:
        """`clock`: the time that is written on a server which is started."""
        self._connection, self._nova, self._clock = connection, Nova(connection), clock
        self._recipe = Recipe(connection, settings)
        self._name, self._pool = settings.instance_name, settings.warm_pool
        self._shelves = settings.openstack_rest == "shelve"
        self._offers = offers_of(settings)
        self._listed: dict[str, Listed] = {}
        #: When each, with what status, was asked to be gone; and of an offer, why the last one came to nothing.
        self._cleared: dict[tuple[str, str], float] = {}
        self._failed: dict[str, str] = {}

    @property
    def offers(self) -> tuple[str, ...]:
        """`m1.small`, or where zones are named, `m1.small/zone-a`."""
        return tuple(self._offers)

    @property
    def can_rest(self) -> tuple[str, ...]:
        """All; nothing without a warm pool."""
        return self.offers if self._pool else ()

    def instances(self) -> list[Instance]:
        """What is in ERROR, has left, or came twice for one token, is not listed, and deleted."""
        return [one.instance for one in self._look().values()]

    def _look(self) -> dict[str, Listed]:
        found = self._unveiled(find(self._connection, self._name))
        kept, doubles = one_each(one for one in found if not one.is_lost)
        made_now = self._recipe.versions() if kept else None
        self._listed = {one.instance.id: as_made(one, made_now) for one in kept}
        self._clear([one for one in found if one.is_lost or (one.leaves and one.is_down) or one in doubles])
        return self._listed

    def _unveiled(self, found: Iterable[Listed]) -> list[Listed]:
        """With those as they were that nobody can see now, and that we have seen."""
        known = (self._listed.get(one.instance.id) if one.is_veiled else one for one in found)
        return [one for one in known if one is not None]

    def _clear(self, found: Sequence[Listed]) -> None:
        """Away with them; what cannot go now goes at a later look."""
        now = time.monotonic()
        self._cleared = {what: at for what, at in self._cleared.items() if now - at < CLEAR_EVERY}
        due = {one.instance.id: one for one in found if one.key not in self._cleared and not one.is_on_its_way_out}
        self._cleared |= {one.key: now for one in due.values()}
        try:
            each(lambda id: self._away(due[id]), due, AT_ONCE)
        except ServiceError as e:
            log.warning("servers that are of no use stay for a while: %s", e)

    def _away(self, one: Listed) -> None:
        """One that works shuts down first."""
        id = one.instance.id
        if one.is_lost:
            log.warning("%s is in ERROR, and deleted: %s", id, why := self._fault_of(one))
            if not one.launched:
                self._failed[one.offer] = why
        elif one.instance.state is not STOPPED and not one.is_down and one.status != "BUILD":
            return self._nova.leave(id)
        self._nova.delete(id)

    def _fault_of(self, one: Listed) -> str:
        """Of one that no host was found for, Nova's list does not tell it."""
        try:
            why = one.fault or self._nova.look(one.instance.id).fault
        except ServiceError as e:
            why = str(e)
        return why.strip() or "Nova does not say why"

    def launch(self, token: str, offer: str) -> str:
        """Nova keeps no tokens: the server that has this one is looked for. Where that is gone, another comes."""
        if offer not in self._offers:
            raise Conflict(f"{offer} is not offered any more: ask for another")
        if (there := self._there_for(token)) is not None:
            return there
        if (why := self._failed.pop(offer, None)) is not None:
            raise NoCapacity(f"launching {offer}: the last one came to nothing: {why}")
        version = self._recipe.version(self._offers[offer])
        metadata = {FLEET: self._name, TOKEN: token, OFFER: offer, VERSION: version}
        asked = {"name": f"{self._name}-{token[:8]}", "metadata": metadata, **self._recipe.of(self._offers[offer])}
        id = self._nova.create(f"launching {offer}", **asked)
        return self._come(id, self._nova.watched(id, lambda now: now.is_placed))

    def _there_for(self, token: str) -> str | None:
        """By its name first, as which Nova takes a pattern: so it tells of few."""
        pattern = re.sub(r"[^A-Za-z0-9]", ".", token[:8])
        found = (one for one in find(self._connection, self._name, name=pattern) if one.instance.token == token)
        kept, _ = one_each(found)
        for one in kept:
            if one.is_going:
                raise Conflict(f"{one.instance.id}, which came for this token, is on its way out: take another")
            return self._come(one.instance.id, one)
        return None

    def _come(self, id: str, one: Listed | None) -> str:
        """The id. One that came to nothing is deleted, and `NoCapacity` raised."""
        if one is None:
            return id
        if not one.is_lost:
            self._listed.setdefault(id, one)
            return id
        self._cleared[one.key], why = time.monotonic(), self._fault_of(one)
        try:
            self._nova.delete(id)
        except ServiceError as e:
            log.warning("a later look deletes it: %s", e)
        raise NoCapacity(f"launching {one.offer}: {why}")

    def start(self, ids: list[str]) -> None:
        """Nova starts one at a time: of several, those that it can. What was stopped comes before what was shelved."""
        stopped = {id: one for id, one in self._known(ids).items() if one.instance.state is STOPPED}
        order = sorted(stopped, key=lambda id: stopped[id].status in SHELVED)
        each(lambda id: self._start(stopped[id]), order, AT_ONCE)

    def _start(self, one: Listed) -> None:
        # Later than the last time, whatever our clock says: it is another start.
        self._nova.start(one, max(self._clock(), one.instance.launched_at + 1))
        self._note(one.instance.id, "powering-on")

    def retire(self, ids: list[str]) -> None:
        """Nova shuts the system down, which tells the worker to drain. One on its way up is to be asked again."""
        self._known(ids)
        leaving = how_to_leave(self._listed, ids, self._pool)
        ways = dict.fromkeys(leaving.rest, self._rest) | dict.fromkeys(leaving.stop, self._leave)
        ways |= dict.fromkeys(leaving.delete, self._delete)
        each(lambda id: ways[id](id), ways, AT_ONCE)

    def _rest(self, id: str) -> None:
        if self._shelves:
            self._nova.shelve(self._listed[id])
        else:
            self._nova.stop(id)
        self._note(id, "powering-off")

    def _leave(self, id: str) -> None:
        self._nova.leave(id)
        self._note(id, "powering-off", leaves=True)

    def _delete(self, id: str) -> None:
        """By force, where it was to be deleted already and hangs at it."""
        known = self._listed.get(id)
        self._nova.delete(id, force=known is not None and known.is_deleted)
        self._note(id, "deleting")

    def _note(self, id: str, task: str, *, leaves: bool = False) -> None:
        if (known := self._listed.get(id)) is not None:
            self._listed[id] = known.about(task, leaves=leaves)

    def end(self, ids: list[str]) -> None:
        each(self._delete, self._known(ids), AT_ONCE)

    def tidy(self) -> None:
        """Deletes stopped servers beyond the warm pool, those first that have rested longest."""
        each(self._delete, too_many(self._look(), self._pool), AT_ONCE)

    def _known(self, ids: Iterable[str]) -> dict[str, Listed]:
        """Those of them that are ours."""
        wanted = dict.fromkeys(ids)
        listed = self._listed if wanted.keys() <= self._listed.keys() else self._look()
        return {id: listed[id] for id in wanted if id in listed}
