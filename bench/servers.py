"""What stands behind the servers of an OpenStack without a hypervisor: processes or machines, in step with its API.

It looks at Nova's API all the time, that of `bench/openstack_plane.py` or any other. A server that is ACTIVE has
something running behind it; one that is being stopped has it end in order; one that is gone had its plug pulled.
What runs there: `bench/server_processes.py`, `bench/server_machines.py`.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import requests
from keystoneauth1.exceptions import ClientException
from openstack.connection import Connection
from openstack.exceptions import SDKException

from bench.server_states import Server, Wish, servers_of

log = logging.getLogger(__name__)
#: Seconds between two looks.
LOOK = 0.2
#: Seconds until everything has ended with the block.
PATIENCE = 60.0


class Behind(Protocol):
    """What can stand behind servers. A server's calls come one after another, but for `cut`."""

    def start(self, server: Server) -> None: ...

    def stop(self, id: str) -> None:
        """In order. Returns once it is down."""

    def cut(self, id: str) -> None:
        """Now."""

    def discard(self, id: str) -> None:
        """And what it kept; it never comes back."""

    def tend(self, server: Server) -> bool:
        """Said of each that should be up, at each look. Whether it has ended as a machine that switches itself off."""


Look = Callable[[], Iterable[Server]]
#: What openstacksdk lets through from below is no error of its own.
OUTAGES = (SDKException, ClientException, requests.RequestException)


@dataclass(frozen=True)
class Event:
    """`at`: of the monotonic clock."""

    at: float
    server: str
    wish: Wish


@dataclass
class Place:
    """Behind one server: what was wished last, and its steps, which are taken one after another."""

    server: Server
    wish: Wish = Wish.NONE
    is_up: bool = False
    steps: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(max_workers=1))


class Watcher:
    """Keeps `behind` in step with what `look` says. `held`: see `Plane.held`. `events`: all that it did."""

    def __init__(
        self, look: Look, behind: Behind, *, held: Path | None = None, off: Callable[[str], Any] | None = None
    ):
        self.events: list[Event] = []
        self._look, self._behind, self._held, self._off = look, behind, held, off
        self._places: dict[str, Place] = {}
        self._left: list[Place] = []

    def step(self) -> None:
        """One look, and what follows. Who does not answer changes nothing."""
        try:
            servers = {server.id: server for server in self._look()}
        except OUTAGES as e:
            log.info("no look at the servers: %s", e)
            return
        for id in self._places.keys() - servers.keys():
            self._wish(self._places[id].server, Wish.GONE)
        for server in servers.values():
            self._wish(server, server.wish)
        self._tend()

    def close(self) -> None:
        """Everything is cut, and what it kept is discarded."""
        for place in list(self._places.values()):
            self._wish(place.server, Wish.GONE)
        for place in self._left:
            place.steps.shutdown()

    def _wish(self, server: Server, wish: Wish) -> None:
        place = self._places.get(server.id)
        if place is None:
            if wish is not Wish.UP:
                return
            place = self._places[server.id] = Place(server)
        place.server = server
        if wish in (Wish.NONE, place.wish):
            return
        place.wish = wish
        self.events.append(Event(time.monotonic(), server.id, wish))
        self._act(place, wish)

    def _act(self, place: Place, wish: Wish) -> None:
        id = place.server.id
        if wish is Wish.UP:
            self._hold(id)
            self._then(place, self._start, place)
        elif wish is Wish.DOWN:
            self._then(place, self._behind.stop, id)
            self._then(place, self._free, id)
        else:
            self._behind.cut(id)
            self._free(id)
            self._then(place, self._end, id)
            self._left.append(self._places.pop(id))
            place.steps.shutdown(wait=False)

    def _start(self, place: Place) -> None:
        self._behind.start(place.server)
        place.is_up = True

    def _end(self, id: str) -> None:
        # It may have been about to start.
        self._behind.cut(id)
        self._behind.discard(id)

    def _then(self, place: Place, do: Callable[..., None], *args: Any) -> None:
        place.steps.submit(do, *args).add_done_callback(_complain)

    def _tend(self) -> None:
        """A hypervisor tells Nova of a machine that switched itself off."""
        for id, place in self._places.items():
            if place.wish is not Wish.UP or not place.is_up or not self._behind.tend(place.server):
                continue
            place.is_up = False
            self._free(id)
            if self._off is not None:
                with suppress(*OUTAGES):
                    self._off(id)

    def _hold(self, id: str) -> None:
        if self._held is not None:
            (self._held / id).touch()

    def _free(self, id: str) -> None:
        if self._held is not None:
            (self._held / id).unlink(missing_ok=True)


@contextmanager
def watched(
    cloud: Connection,
    behind: Behind,
    *,
    held: Path | None = None,
    all_projects: bool = True,
    only: Callable[[Server], bool] = lambda server: True,
    every: float = LOOK,
) -> Iterator[Watcher]:
    """Servers of this cloud have something behind them as long as the block lasts; `only` some of them.

    Who may not see the servers of all projects looks at those of its own. `held`: see `Plane.held`.
    """
    done = threading.Event()

    def look() -> list[Server]:
        return [server for server in servers_of(cloud, all_projects=all_projects) if only(server)]

    watcher = Watcher(look, behind, held=held, off=cloud.compute.stop_server)

    def run() -> None:
        try:
            while not done.is_set():
                watcher.step()
                done.wait(every)
        finally:
            watcher.close()

    thread = threading.Thread(target=run, name="servers")
    thread.start()
    try:
        yield watcher
    finally:
        done.set()
        thread.join(PATIENCE)


def _complain(done: "Future[None]") -> None:
    if (error := done.exception()) is not None:
        log.error("behind a server", exc_info=error)
