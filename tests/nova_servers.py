"""Servers of the private cloud that stands in for OpenStack: their states, and how one becomes the next."""

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from typing import Any

import nova_recorded as recorded

NO_HOST = "No valid host was found. "
HUGE = 1_000_000
Refusal = tuple[int, Any]


@dataclass
class World:
    """Seconds that things take. `page`: servers in a page, at most; `held`: see `bench/openstack_plane.py`."""

    schedule: float = 0.0
    build: float = 0.05
    stop: float = 0.05
    start: float = 0.05
    shelve: float = 0.05
    delete: float = 0.0
    page: int = 1000
    held: Path | None = None


@dataclass
class Faults:
    """What goes wrong. Numbers are of calls that meet it.

    `quota`: instances of a project; `no_host`: flavors, or flavors and zones, that there is no host for; `breaks`:
    builds that fail at the host; `lost`: creates whose answer never comes; `status`: what calls get, `times` of them,
    whose path begins with `only`; `denied`: rules that the user lacks; `deaf`: nobody answers; `page`: what all get.
    """

    quota: int = 10
    no_host: set[str] = field(default_factory=set)
    breaks: int = 0
    lost: int = 0
    status: int = 0
    retry_after: int = 0
    times: int = 10**9
    denied: set[str] = field(default_factory=set)
    deaf: bool = False
    page: str = ""
    only: str = "/"


@dataclass
class Server:
    """`steps`: what it becomes next, and when."""

    id: str
    project: str
    user: str
    asked: dict[str, Any]
    flavor: dict[str, Any]
    created: float
    status: str = "BUILD"
    vm: str = "building"
    task: str | None = "scheduling"
    power: int = 0
    updated: float = 0.0
    launched: float | None = None
    fault: dict[str, Any] | None = None
    in_cell0: bool = False
    gone: bool = False
    locked: bool = False
    veiled: bool = False
    steps: list[tuple[float, Callable[["Server"], None]]] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)

    def becomes(self, status: str, vm: str, task: str | None, power: int) -> None:
        self.status, self.vm, self.task, self.power, self.updated = status, vm, task, power, time.time()
        if status == "ACTIVE" and self.launched is None:
            self.launched = time.time()

    def told(self, url: str, *, admin: bool = False, alone: bool = False) -> dict[str, Any]:
        """As Nova tells of it. Of one without a host, a list does not say why."""
        if self.veiled:
            base = {"id": self.id, "created": at(self.created), "tenant_id": self.project}
            return base | {"status": "UNKNOWN", "links": links(f"{url}/servers/{self.id}")}
        told = recorded.server("servers-detail-error" if self.status == "ERROR" else "servers-detail-active")
        if self.status not in ("ACTIVE", "BUILD"):
            told.pop("progress", None)
        told |= self._facts() | {"links": links(f"{url}/servers/{self.id}")}
        if self.fault is not None and (alone or not self.in_cell0):
            told["fault"] = self.fault
        if alone:
            told["server_groups"] = []
        if admin:
            told["OS-EXT-SRV-ATTR:user_data"] = self.asked.get("user_data")
        return told

    def _facts(self) -> dict[str, Any]:
        shown = ("vcpus", "ram", "disk", "ephemeral", "swap")
        flavor = {name: self.flavor.get(name, 0) for name in shown}
        has_host = self.launched is not None and self.vm not in ("error", "shelved_offloaded")
        return {
            "id": self.id,
            "name": self.asked["name"],
            "status": self.status,
            "tenant_id": self.project,
            "user_id": self.user,
            "metadata": dict(self.metadata),
            "hostId": "e8bbc18103b9a9b8" if has_host else "",
            "image": {"id": self.asked["imageRef"], "links": links(f"/images/{self.asked['imageRef']}")},
            "flavor": flavor | {"original_name": self.flavor["name"], "extra_specs": {}},
            "created": at(self.created),
            "updated": at(self.updated or self.created),
            "OS-EXT-AZ:availability_zone": (self.asked.get("availability_zone") or "nova") if has_host else "",
            "key_name": self.asked.get("key_name"),
            "OS-SRV-USG:launched_at": at(self.launched)[:-1] + ".000000" if self.launched else None,
            "OS-EXT-STS:task_state": self.task,
            "OS-EXT-STS:vm_state": self.vm,
            "OS-EXT-STS:power_state": self.power,
            "locked": self.locked,
            "OS-EXT-SRV-ATTR:hostname": self.asked["name"].lower(),
        }


def links(url: str) -> list[dict[str, str]]:
    return [{"rel": "bookmark", "href": url}]


def at(when: float) -> str:
    return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Servers:
    """All of them, of every project. Whoever asks has it that time has passed since."""

    def __init__(self, world: World, faults: Faults) -> None:
        self.world, self.faults = world, faults
        self.all: dict[str, Server] = {}

    def living(self) -> list[Server]:
        """Newest first, as Nova lists them."""
        for server in list(self.all.values()):
            self._advance(server)
        return [server for server in reversed(self.all.values()) if not server.gone]

    def _advance(self, server: Server) -> None:
        while server.steps and server.steps[0][0] <= time.monotonic():
            if server.task in ("powering-off", "shelving") and self._is_held(server):
                return
            server.steps.pop(0)[1](server)

    def _is_held(self, server: Server) -> bool:
        return self.world.held is not None and (self.world.held / server.id).exists()

    def create(self, project: str, user: str, asked: dict[str, Any], flavor: dict[str, Any]) -> Server:
        server = Server(
            str(uuid.uuid4()), project, user, asked, flavor, time.time(), metadata=asked.get("metadata", {})
        )
        self.all[server.id] = server
        place = f"{flavor['name']}/{asked.get('availability_zone', '')}"
        now, world = time.monotonic(), self.world
        if self.faults.no_host & {flavor["name"], place} or flavor["disk"] >= HUGE:
            server.steps = [(now + world.schedule, lambda one: _fails(one, NO_HOST, in_cell0=True))]
            return server
        ready = now + world.schedule + world.build
        last: Callable[[Server], None] = lambda one: one.becomes("ACTIVE", "active", None, 1)  # noqa: E731
        if self.faults.breaks:
            self.faults.breaks -= 1
            exhausted = f"Exhausted all hosts available for retrying build failures for instance {server.id}."
            last = lambda one: _fails(one, f"Exceeded maximum number of retries. {exhausted}")  # noqa: E731
        spawning = lambda one: one.becomes("BUILD", "building", "spawning", 0)  # noqa: E731
        server.steps = [(now + world.schedule, spawning), (ready, last)]
        return server

    def act(self, server: Server, verb: str) -> Refusal | None:
        """Begins it; what Nova answers where the state does not allow it."""
        self._advance(server)
        if server.locked:
            return recorded.refusal("stop-409", f"Instance {server.id} is locked")
        if verb in ("os-start", "os-stop", "shelve") and server.vm in ("error", "shelved_offloaded"):
            return recorded.refusal("start-409-error", f"Instance {server.id} is not ready")
        wanted = WANTED[verb]
        if server.vm not in wanted:
            return _conflict(verb, server, f"vm_state {server.vm}")
        if server.task is not None:
            return _conflict(verb, server, f"task_state {server.task}")
        getattr(self, "_" + verb.removeprefix("os-"))(server)
        return None

    def _start(self, server: Server) -> None:
        server.task, server.updated = "powering-on", time.time()
        self._then(server, self.world.start, "ACTIVE", "active", 1)

    def _stop(self, server: Server) -> None:
        server.task, server.updated = "powering-off", time.time()
        self._then(server, self.world.stop, "SHUTOFF", "stopped", 4)

    def _shelve(self, server: Server) -> None:
        server.task, server.updated = "shelving", time.time()
        self._then(server, self.world.shelve, "SHELVED_OFFLOADED", "shelved_offloaded", 4)

    def _unshelve(self, server: Server) -> None:
        server.task, server.updated = "unshelving", time.time()
        place = f"{server.flavor['name']}/{server.asked.get('availability_zone', '')}"
        if self.faults.no_host & {server.flavor["name"], place}:
            # It rests again, and nobody is told.
            self._then(server, self.world.schedule, server.status, server.vm, 4)
        else:
            self._then(server, self.world.start, "ACTIVE", "active", 1)
            # Brought up anew, as on a real one seconds after the first time.
            server.launched = max(time.time(), (server.launched or 0.0) + 1)

    def _then(self, server: Server, seconds: float, status: str, vm: str, power: int) -> None:
        server.steps = [(time.monotonic() + seconds, lambda one: one.becomes(status, vm, None, power))]

    def delete(self, server: Server) -> None:
        self._advance(server)
        if server.vm == "error" and server.in_cell0:
            server.gone = True
            return
        server.task = "deleting"
        server.steps = [(time.monotonic() + self.world.delete, lambda one: setattr(one, "gone", True))]

    def hang(self, server: Server) -> None:
        """It never gets further by itself."""
        server.steps = [(inf, lambda one: None)]


WANTED = {
    "os-start": ("stopped",),
    "os-stop": ("active", "rescued"),
    "shelve": ("active", "stopped", "paused", "suspended"),
    "unshelve": ("shelved", "shelved_offloaded"),
}


def _conflict(verb: str, server: Server, because: str) -> Refusal:
    said = f"Cannot '{verb.removeprefix('os-')}' instance {server.id} while it is in {because}"
    return recorded.refusal("stop-409", said)


def _fails(server: Server, why: str, *, in_cell0: bool = False) -> None:
    server.becomes("ERROR", "error", None, 0)
    server.in_cell0 = in_cell0
    server.fault = {"code": 500, "created": at(time.time()), "message": why}
