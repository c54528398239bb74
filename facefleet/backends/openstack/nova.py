"""Nova's verbs on one server, each harmless again."""

import time
from collections.abc import Callable
from typing import Any

from facefleet.backends.openstack.refusals import Refused, WrongState, lacking, translated
from facefleet.backends.openstack.servers import COMING_UP, LEAVES, LIVED, SHELVED, STARTED, Listed, as_listed
from facefleet.errors import NoCapacity, NotFound, ServiceError
from facefleet.model import InstanceState

PENDING, RUNNING, DRAINING, STOPPING, STOPPED = InstanceState
#: Seconds that a host is waited for, and between two looks: it takes some tenths of a second, and seconds in a queue.
#: Who was not found one by then is in ERROR at a later look.
WATCH_FOR, WATCH_EVERY = 6.0, 0.25
Is = Callable[[Listed], bool]


class Nova:
    """Speaks our words. Threads may share it."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    @property
    def _compute(self) -> Any:
        """Signs in, the first time."""
        with translated("signing in"):
            return self._connection.compute

    def look(self, id: str) -> Listed:
        """Raises `NotFound`."""
        with translated(f"looking at {id}"):
            return as_listed(self._compute.get_server(id))

    def watched(self, id: str, is_over: Is) -> Listed | None:
        """The server once that is so, or as it is when its time is over; None where nobody can tell."""
        deadline, seen = time.monotonic() + WATCH_FOR, None
        while True:
            try:
                seen = self.look(id)
            except NotFound:
                # On its way from the scheduler's list to the cell's, a new one may be in neither.
                seen = None
            except ServiceError:
                return None
            if (seen is not None and is_over(seen)) or time.monotonic() + WATCH_EVERY > deadline:
                return seen
            time.sleep(WATCH_EVERY)

    def create(self, what: str, **asked: Any) -> str:
        """The id; where its answer is lost, it may have been made. Raises `NoCapacity` for what Nova will not do."""
        with lacking(Refused, NotFound, WrongState), translated(what):
            if not (id := self._compute.create_server(**asked).id):
                raise ValueError("an answer without an id")
            return str(id)

    def start(self, one: Listed, at: float) -> None:
        """`at`: written on it, where it was stopped. Raises `NoCapacity`, also for one that is gone."""
        with lacking(Refused, NotFound):
            if one.status in SHELVED:
                return self._unshelve(one.instance.id)
            self._write(one.instance.id, STARTED, f"{at:.3f}")
            return self._ask(f"starting {one.instance.id}", self._compute.start_server, one.instance.id, comes_up)

    def _unshelve(self, id: str) -> None:
        self._ask(f"starting {id}", self._compute.unshelve_server, id, comes_up)
        now = self.watched(id, lambda now: now.task != "unshelving")
        if now is not None and now.instance.state is STOPPED:
            # Nova has it rest again then, and tells nobody.
            raise NoCapacity(f"starting {id}: no host was found for it")

    def stop(self, id: str) -> None:
        self._if_there(f"stopping {id}", self._compute.stop_server, id, goes_down)

    def shelve(self, one: Listed) -> None:
        id = one.instance.id
        self._if_there(f"marking {id}", lambda id: self._write(id, LIVED, one.launched), id, goes_down)
        self._if_there(f"shelving {id}", self._compute.shelve_server, id, goes_down)

    def leave(self, id: str) -> None:
        """Marked as one that does not rest, and stopped."""
        self._if_there(f"marking {id}", lambda id: self._write(id, LEAVES, "1"), id, goes_down)
        self.stop(id)

    def _write(self, id: str, key: str, value: str) -> None:
        with translated(f"marking {id}"):
            self._compute.set_server_metadata(id, **{key: value})

    def delete(self, id: str, *, force: bool = False) -> None:
        """`force`: whatever it is about, and even where deleted servers are kept for a while."""
        nova = self._compute
        self._if_there(f"deleting {id}", lambda id: nova.delete_server(id, force=force), id, lambda now: now.is_deleted)

    def _if_there(self, what: str, verb: Callable[[str], object], id: str, is_so: Is) -> None:
        """Who is gone needs nothing any more."""
        try:
            self._ask(what, verb, id, is_so)
        except NotFound:
            return

    def _ask(self, what: str, verb: Callable[[str], object], id: str, is_so: Is) -> None:
        """Nova refuses what a state does not allow: that is no error where all is as was wished already."""
        try:
            with translated(what):
                verb(id)
        except WrongState:
            if not is_so(self.look(id)):
                raise


def comes_up(one: Listed) -> bool:
    return one.instance.state is RUNNING or one.task in COMING_UP


def goes_down(one: Listed) -> bool:
    return one.instance.state in (STOPPING, STOPPED)
