"""What the private cloud's services answer: keystone, Nova, glance and neutron, in the words of a real one."""

import json
import re
import threading
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nova_recorded as recorded
from nova_project import COMPUTE, Project
from nova_servers import Faults, Server, Servers, World, links

PASSWORD = "made for tests"  # noqa: S105
PROJECTS = {name: uuid.uuid5(uuid.NAMESPACE_DNS, name).hex for name in ("admin", "demo", "other")}
#: What Nova takes in a create, and as a filter: it refuses all else.
KNOWN = {"name", "imageRef", "flavorRef", "networks", "metadata", "user_data", "key_name", "security_groups"} | {
    "availability_zone"
}
FILTERS = {"limit", "marker", "name", "all_tenants", "status", "sort_key", "sort_dir", "metadata"}
Answer = tuple[int, Any]


@dataclass
class NovaCloud:
    """`url` once it answers. Tests change `world` and `faults`, and look into `servers`, as they like."""

    world: World = field(default_factory=World)
    faults: Faults = field(default_factory=Faults)
    url: str = ""
    images: list[dict[str, Any]] = field(default_factory=list)
    flavors: list[dict[str, Any]] = field(default_factory=list)
    networks: list[dict[str, Any]] = field(default_factory=list)
    project: Project = field(default_factory=Project)
    tokens: dict[str, str] = field(default_factory=dict)
    calls: list[tuple[str, str]] = field(default_factory=list)
    agents: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.servers = Servers(self.world, self.faults)
        self.lock, self.wakes = threading.RLock(), threading.Event()
        self.add_image("facefleet-worker")
        (model, *_) = recorded.body("flavors-detail-200")["flavors"]
        for name, ram, disk in (
            ("m1.small", 2048, 10),
            ("m1.medium", 4096, 20),
            ("tiny", 512, 1),
            ("huge", 512, 10**6),
        ):
            self.flavors.append(model | {"id": str(uuid.uuid4()), "name": name, "ram": ram, "disk": disk})

    def add_image(self, name: str, **changes: Any) -> str:
        (model,) = recorded.body("images-200")["images"]
        self.images.append(model | {"id": str(uuid.uuid4()), "name": name} | changes)
        return self.images[-1]["id"]

    def add_network(self, name: str) -> str:
        self.networks.append({"id": str(uuid.uuid4()), "name": name, "status": "ACTIVE", "shared": True})
        return self.networks[-1]["id"]

    def cloud(self, name: str = "demo") -> dict[str, Any]:
        """What clouds.yaml says of it."""
        auth = {
            "auth_url": f"{self.url}/identity/v3",
            "username": name,
            "password": PASSWORD,
            "project_name": name,
            "user_domain_id": "default",
            "project_domain_id": "default",
        }
        return {"auth": auth, "region_name": "RegionOne"}

    def write_clouds(self, folder: Path) -> Path:
        path = folder / "clouds.yaml"
        path.write_text(json.dumps({"clouds": {name: self.cloud(name) for name in PROJECTS}}))
        return path

    def of(self, fleet: str) -> list[Server]:
        with self.lock:
            return [one for one in self.servers.living() if one.metadata.get("facefleet:fleet") == fleet]

    def server(self, id: str) -> Server:
        with self.lock:
            self.servers.living()
            return self.servers.all[id]

    # What is answered

    def answer(self, method: str, path: str, query: dict[str, str], token: str, body: Any) -> Answer:
        service, _, rest = path.removeprefix("/").partition("/")
        if service == "_faults" or service == "_world":
            return self._changed(getattr(self, service[1:]), body or {})
        if service == "_servers":
            living = self.servers.living()
            return 200, [one.told(self.url) | {"gone": one not in living} for one in self.servers.all.values()]
        if service == "identity":
            return self._identity(method, body)
        if token not in self.tokens and rest.strip("/") not in ("", "v2.1", "v2", "v2.0"):
            return recorded.answer("servers-detail-401")
        return getattr(self, f"_{service}")(method, rest.strip("/"), query, token, body)

    def _changed(self, what: Any, changes: dict[str, Any]) -> Answer:
        for name, value in changes.items():
            kind = type(getattr(what, name))
            setattr(what, name, set(value) if kind is set else Path(value) if name == "held" and value else value)
        self.wakes.set()
        return 200, {}

    def _identity(self, method: str, body: Any) -> Answer:
        if method == "GET":
            return recorded.answer("keystone-v3")
        auth = body["auth"]
        if auth["identity"]["password"]["user"]["password"] != PASSWORD:
            return recorded.answer("auth-tokens-401")
        name = auth["scope"]["project"]["name"]
        status, told = recorded.answer("auth-tokens-201")
        later = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(time.time() + 3600))
        told["token"] |= {
            "issued_at": time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime()),
            "expires_at": later,
            "project": told["token"]["project"] | {"id": PROJECTS[name], "name": name},
        }
        return status, told

    def _image(self, method: str, rest: str, query: dict[str, str], token: str, body: Any) -> Answer:
        if not rest:
            return recorded.answer("glance-versions")
        if rest == "v2":
            return recorded.answer("glance-versions")
        found = [
            one for one in self.images if all(one.get(key) == value for key, value in query.items() if key != "limit")
        ]
        if rest == "v2/images":
            return 200, recorded.body("images-200") | {"images": found}
        image = next((one for one in found if one["id"] == rest.rpartition("/")[2]), None)
        return (200, image) if image else recorded.answer("image-404")

    def _network(self, method: str, rest: str, query: dict[str, str], token: str, body: Any) -> Answer:
        if rest in ("", "v2.0"):
            return recorded.answer("neutron-versions")
        if rest == "v2.0/security-groups":
            return 200, self.project.network(self.tokens[token])
        return 200, {"networks": self.networks} if rest == "v2.0/networks" else {}

    def _compute(self, method: str, rest: str, query: dict[str, str], token: str, body: Any) -> Answer:
        if rest in ("", "v2.1"):
            return recorded.answer("nova-v2.1" if rest else "nova-versions")
        parts = rest.removeprefix("v2.1/").split("/")
        if parts[0] == "flavors":
            shown = ("id", "name", "links", "description") if parts[-1] == "flavors" else tuple(self.flavors[0])
            return 200, {"flavors": [{key: one[key] for key in shown} for one in self.flavors]}
        if parts == ["servers"] and method == "POST":
            return self._create(token, body["server"])
        if parts == ["servers", "detail"]:
            return self._list(token, query)
        project = self.tokens[token]
        if parts[0] in COMPUTE:
            own = [one for one in self.servers.living() if one.project == project]
            return 200, self.project.compute(parts[0], own, self.faults.quota)
        server = next(
            (
                one
                for one in self.servers.living()
                if one.id == parts[1] and project in (one.project, PROJECTS["admin"])
            ),
            None,
        )
        if server is None:
            return recorded.refusal("server-get-404", f"Instance {parts[1]} could not be found.")
        return self._one(method, parts[2:], server, body, admin=project == PROJECTS["admin"])

    def _one(self, method: str, verb: list[str], server: Server, body: Any, *, admin: bool) -> Answer:
        if verb == ["metadata"] and method == "POST":
            if server.vm not in ("active", "stopped", "paused", "suspended"):
                said = f"Cannot 'update metadata' instance {server.id} while it is in vm_state {server.vm}"
                return recorded.refusal("stop-409", said)
            server.metadata |= body["metadata"]
            return 200, {"metadata": server.metadata}
        if verb == ["action"]:
            (action,) = body
            if (why := self._rule(f"os_compute_api:{action}")) is not None:
                return why
            if action == "forceDelete":
                self.servers.delete(server)
                return 202, None
            return self.servers.act(server, action) or (202, None)
        if method == "DELETE":
            if server.locked:
                return recorded.refusal("stop-409", f"Instance {server.id} is locked")
            self.servers.delete(server)
            return 204, None
        return 200, {"server": server.told(f"{self.url}/compute/v2.1", admin=admin, alone=True)}

    def _rule(self, rule: str) -> Answer | None:
        if rule not in self.faults.denied:
            return None
        return recorded.refusal("servers-post-403-quota", f"Policy doesn't allow {rule} to be performed.")

    def _list(self, token: str, query: dict[str, str]) -> Answer:
        if unknown := query.keys() - FILTERS:
            return recorded.refusal(
                "servers-detail-filter-400", f"{sorted(unknown)[0]!r} does not match any of the regexes"
            )
        project = self.tokens[token]
        admin, all_of_them = project == PROJECTS["admin"], query.get("all_tenants", "").lower() in ("1", "true")
        found = [one for one in self.servers.living() if (admin and all_of_them) or one.project == project]
        found = [one for one in found if re.search(query.get("name", ""), one.asked["name"])]
        if marker := query.get("marker"):
            found = found[[one.id for one in found].index(marker) + 1 :]
        page = found[: min(int(query.get("limit", 1000)), self.world.page)]
        url = f"{self.url}/compute/v2.1"
        told: dict[str, Any] = {"servers": [one.told(url, admin=admin) for one in page]}
        if len(page) < len(found):
            more = "".join(f"{key}={value}&" for key, value in query.items() if key != "marker")
            told["servers_links"] = [{"rel": "next", "href": f"{url}/servers/detail?{more}marker={page[-1].id}"}]
        return 200, told

    def _create(self, token: str, asked: dict[str, Any]) -> Answer:
        project = self.tokens[token]
        if (why := self._rule("os_compute_api:servers:create")) is not None:
            return why
        if asked.keys() - KNOWN or "networks" not in asked:
            return recorded.refusal("servers-post-400-schema", "Invalid input for field/attribute server.")
        flavor = next((one for one in self.flavors if one["id"] == asked["flavorRef"]), None)
        if flavor is None:
            return recorded.refusal("servers-post-400-flavor", f"Flavor {asked['flavorRef']} could not be found.")
        if asked["imageRef"] not in [one["id"] for one in self.images]:
            return recorded.answer("servers-post-400-image")
        for setting, bad in (("key_name", "key"), ("availability_zone", "zone")):
            if asked.get(setting) == "nosuch":
                return recorded.answer(f"servers-post-400-{bad}")
        used, most = sum(one.project == project for one in self.servers.living()), self.faults.quota
        if used >= most:
            said = f"Quota exceeded for instances: Requested 1, but already used {used} of {most} instances"
            return recorded.refusal("servers-post-403-quota", said)
        server = self.servers.create(project, "user", asked, flavor)
        status, told = recorded.answer("servers-post-202")
        told["server"] |= {"id": server.id, "links": links(f"{self.url}/compute/v2.1/servers/{server.id}")}
        return status, told
