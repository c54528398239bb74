"""A private cloud for a site: keystone, neutron, glance and what a site asks of nova, in the words of real ones.

Each answer begins as one that a real control plane gave (`tests/openstack/recorded`: OpenStack Zed, as Debian 12 has),
and takes over what was asked for. `quotas`: kinds of which there is no more; `fails`: servers come to nothing.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

RECORDED = Path(__file__).parents[1] / "openstack/recorded"
SITE = json.loads((RECORDED / "site.json").read_text())
#: Collections of neutron, and how one of it is called in an answer and in the recording.
KINDS = {
    "networks": ("network", "network"),
    "subnets": ("subnet", "subnet"),
    "routers": ("router", "router"),
    "ports": ("port", "port"),
    "floatingips": ("floatingip", "address"),
    "security-groups": ("security_group", "group"),
    "security-group-rules": ("security_group_rule", "rule"),
}
FAULT = {"code": 500, "message": "No valid host was found. ", "created": "2026-11-22T12:00:00Z"}


def recorded(name: str) -> Any:
    return json.loads((RECORDED / f"{name}.json").read_text())["response"]["body"]


class Cloud(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Doors)
        self.lock = threading.Lock()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.things: dict[str, dict[str, Any]] = {kind: {} for kind in (*KINDS, "servers", "os-keypairs")}
        self.quotas: set[str] = set()
        self.fails = False
        #: Which calls that change something, from 0, are done and not answered.
        self.loses: set[int] = set()
        self.project = recorded("auth-tokens-201")["token"]["project"]["id"]
        #: (Method, path, body) of what changes something.
        self.asked: list[tuple[str, str, Any]] = []
        self.outside("public")

    @property
    def env(self) -> dict[str, str]:
        signed_in = {"OS_USERNAME": "demo", "OS_PASSWORD": "secret", "OS_PROJECT_NAME": "demo"}
        domains = {"OS_USER_DOMAIN_ID": "default", "OS_PROJECT_DOMAIN_ID": "default", "OS_REGION_NAME": "RegionOne"}
        return {"OS_AUTH_URL": f"{self.url}/5000/v3", "NO_PROXY": "127.0.0.1", **signed_in, **domains}

    def outside(self, name: str) -> str:
        """A network that leads outside, of another project."""
        (public,) = SITE["networks-outside"]["body"]["networks"]
        made = public | {"id": str(uuid4()), "name": name}
        self.things["networks"][made["id"]] = made
        return str(made["id"])

    def of_kind(self, kind: str) -> list[Any]:
        return list(self.things[kind].values())

    def there(self) -> dict[str, int]:
        """How many there are of each kind, but for what the cloud itself has."""
        mine = {kind: [one for one in found.values() if self.is_mine(one)] for kind, found in self.things.items()}
        return {kind: len(found) for kind, found in mine.items() if found}

    def is_mine(self, one: Any) -> bool:
        return one.get("project_id", self.project) == self.project

    # Neutron

    def make(self, kind: str, given: dict[str, Any]) -> tuple[int, Any]:
        word, name = KINDS[kind]
        if kind in self.quotas:
            told = deepcopy(SITE["network-quota-409"]["body"])
            told["NeutronError"]["message"] = f"Quota exceeded for resources: ['{word}']."
            return 409, told
        made = deepcopy(SITE[name]["body"][word]) | given | {"id": str(uuid4()), "project_id": self.project}
        if kind == "security-groups":
            made["security_group_rules"] = []
        if kind == "ports":
            made["fixed_ips"] = [{"subnet_id": one, "ip_address": "10.77.0.5"} for one in self.subnets_of(made)]
            made["device_id"] = given.get("device_id", "")
        if kind == "routers":
            made["external_gateway_info"] = given.get("external_gateway_info")
        if kind == "security-group-rules":
            self.things["security-groups"][given["security_group_id"]]["security_group_rules"].append(made)
        self.things[kind][made["id"]] = made
        return 201, {word: made}

    def subnets_of(self, port: Any) -> list[str]:
        return [one["id"] for one in self.of_kind("subnets") if one["network_id"] == port["network_id"]]

    def join(self, router: str, subnet: str) -> tuple[int, Any]:
        network = self.things["subnets"][subnet]["network_id"]
        owner = {"device_id": router, "device_owner": "network:router_interface", "description": "", "name": ""}
        self.make("ports", {"network_id": network, "security_groups": [], **owner})
        return 200, {"id": router, "subnet_id": subnet}

    def users(self, kind: str, id: str) -> bool:
        ports = self.of_kind("ports")
        of = {
            "routers": lambda port: port["device_id"] == id,
            "networks": lambda port: port["network_id"] == id,
            "subnets": lambda port: any(one["subnet_id"] == id for one in port["fixed_ips"]),
            "security-groups": lambda port: id in port["security_groups"],
        }
        return kind in of and any(of[kind](port) for port in ports)

    def remove(self, kind: str, id: str) -> tuple[int, Any]:
        if id not in self.things[kind]:
            return 404, SITE["no-such-404"]["body"]
        if self.users(kind, id):
            name = KINDS[kind][1]
            return 409, SITE[f"{name}-in-use-409"]["body"]
        del self.things[kind][id]
        rules = self.things["security-group-rules"]
        for one in [one for one in rules.values() if one["security_group_id"] == id]:
            del rules[one["id"]]
        for group in self.of_kind("security-groups"):
            group["security_group_rules"] = [one for one in group["security_group_rules"] if one["id"] != id]
        if kind == "servers":
            for port in self.of_kind("ports"):
                port.update({"device_id": "", "device_owner": ""} if port["device_id"] == id else {})
        return 204, None

    # Nova

    def boot(self, given: dict[str, Any]) -> tuple[int, Any]:
        (like,) = recorded("servers-detail-active")["servers"][:1]
        made = like | {"id": str(uuid4()), "name": given["name"], "metadata": given.get("metadata", {})}
        made |= {"status": "ERROR", "fault": FAULT} if self.fails else {"status": "ACTIVE"}
        for one in given["networks"]:
            self.things["ports"][one["port"]].update({"device_id": made["id"], "device_owner": "compute:nova"})
        self.things["servers"][made["id"]] = made
        return 202, {"server": {"id": made["id"], "links": [], "adminPass": "x"}}

    def take_key(self, given: dict[str, Any]) -> tuple[int, Any]:
        if given["name"] in self.things["os-keypairs"]:
            return 409, SITE["keypair-again-409"]["body"]
        made = SITE["keypair"]["body"]["keypair"] | given
        self.things["os-keypairs"][given["name"]] = made
        return 201, {"keypair": made}


class Doors(BaseHTTPRequestHandler):
    """Every service below its port, as in `/9696/v2.0/networks`."""

    server: Cloud
    protocol_version = "HTTP/1.1"
    #: Written at once: two small writes would wait for each other's acknowledgement.
    wbufsize = -1

    def do_GET(self) -> None:
        path, query = urlsplit(self.path).path.rstrip("/"), dict(parse_qsl(urlsplit(self.path).query))
        *_, kind, id = path.split("/")
        versions = {
            "/5000/v3": "keystone-v3",
            "/8774/v2.1": "nova-v2.1",
            "/8774": "nova-versions",
            "/9696": "neutron-versions",
            "/9292": "glance-versions",
            "/9292/v2/images": "images-200",
            "/8774/v2.1/flavors": "flavors-detail-200",
        }
        if path in versions:
            return self.answer(200, recorded(versions[path]))
        if path == "/8774/v2.1/servers/detail":
            return self.answer(200, {"servers": self.server.of_kind("servers")})
        if path == "/8774/v2.1/os-keypairs":
            return self.answer(200, {"keypairs": [{"keypair": one} for one in self.server.of_kind("os-keypairs")]})
        if kind == "servers":
            found = self.server.things["servers"].get(id)
            return self.answer(*((200, {"server": found}) if found else (404, recorded("server-get-404"))))
        return self.answer(200, {id.replace("-", "_"): [one for one in self.listed(id, query)]})

    def listed(self, kind: str, query: dict[str, str]) -> Iterator[Any]:
        for one in self.server.of_kind(kind):
            wanted = {name: value for name, value in query.items() if name in ("device_id", "project_id", "tenant_id")}
            is_outside = "router:external" not in query or one["router:external"]
            if is_outside and all(
                one.get(name.replace("tenant", "project")) == value for name, value in wanted.items()
            ):
                yield one

    def do_POST(self) -> None:
        body, kind = self.body(), self.path.rsplit("/", 1)[-1]
        if kind == "tokens":
            return self.answer(201, recorded("auth-tokens-201"), {"X-Subject-Token": "a-token"})
        with self.server.lock:
            if kind == "servers":
                return self.answer(*self.server.boot(body["server"]))
            if kind == "os-keypairs":
                return self.answer(*self.server.take_key(body["keypair"]))
            return self.answer(*self.server.make(kind, body[KINDS[kind][0]]))

    def do_PUT(self) -> None:
        body, (*_, kind, id) = self.body(), self.path.split("/")
        with self.server.lock:
            if id == "add_router_interface":
                return self.answer(*self.server.join(kind, body["subnet_id"]))
            if id == "remove_router_interface":
                return self.answer(200, self.server.things["ports"].pop(body["port_id"]))
            found = self.server.things[kind][id]
            found.update(body[KINDS[kind][0]])
            return self.answer(200, {KINDS[kind][0]: found})

    def do_DELETE(self) -> None:
        self.server.asked.append(("DELETE", self.path, None))
        *_, kind, id = self.path.split("/")
        with self.server.lock:
            self.answer(*self.server.remove(kind, id))

    def body(self) -> Any:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self.path.endswith("/tokens"):
            self.server.asked.append((self.command, self.path, body))
        return body

    def answer(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        if self.command != "GET" and (number := len(self.server.asked) - 1) in self.server.loses:
            self.server.loses.discard(number)
            self.close_connection = True
            return
        text = "" if body is None else json.dumps(body)
        # Addresses of the recording, whose ports are folders here.
        text = text.replace("http://192.0.2.10:", f"{self.server.url}/")
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:
        """Not into the tests' output."""


@contextmanager
def private_cloud() -> Iterator[Cloud]:
    with Cloud() as cloud:
        thread = threading.Thread(target=cloud.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield cloud
        finally:
            cloud.shutdown()
            thread.join(10)
