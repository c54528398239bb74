"""OpenStack's metadata service, as Nova's code answers: see `tests/openstack/recorded/metadata-service.json`.

It looks at no method, and has no tokens: a PUT is a question like any other, and what it does not know is 404.
"""

import ctypes
import json
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from bench.netns import METADATA
from bench.server_states import Server

CLONE_NEWNET = 0x40000000
TEXT, HTML, JSON = "text/plain; charset=UTF-8", "text/html; charset=UTF-8", "application/json"
#: The newest of each kind that Zed has; older ones are asked for by nobody here.
EC2_VERSIONS, OPENSTACK_VERSIONS = ("latest", "2009-04-04"), ("latest", "2020-10-14")
LISTING = ["meta_data.json", "user_data", "password", "vendor_data.json", "network_data.json", "vendor_data2.json"]
NOT_FOUND = b"<html>\n <head>\n  <title>404 Not Found</title>\n </head>\n</html>"

Answer = tuple[int, str, bytes]


def answer(path: str, server: Server, *, address: str, number: int) -> Answer:
    """Status, type and body. `number`: Nova's own of the server, which is no part of its id."""
    kind, *rest = [part for part in path.split("/") if part] or [""]
    if kind == "":
        return 200, TEXT, "\n".join(reversed(EC2_VERSIONS)).encode()
    if kind == "openstack":
        return _openstack(rest, server)
    tokens = rest if kind == "ec2" else [kind, *rest]
    found: Any = {version: _ec2(server, address, number) for version in EC2_VERSIONS}
    for token in tokens:
        found = found.get(token) if isinstance(found, dict) else None
    if found is None:
        return 404, HTML, NOT_FOUND
    return 200, TEXT, _listed(found)


def _openstack(parts: list[str], server: Server) -> Answer:
    if not parts:
        return 200, TEXT, "\n".join(reversed(OPENSTACK_VERSIONS)).encode()
    files = {
        "meta_data.json": (200, JSON, json.dumps(_told(server)).encode()),
        "vendor_data.json": (200, JSON, b"{}"),
        "vendor_data2.json": (200, JSON, b'{"static": {}}'),
        "network_data.json": (200, TEXT, b"{}"),
        "password": (200, HTML, b""),
        "": (200, TEXT, "\n".join(name for name in LISTING if name != "user_data" or server.user_data).encode()),
    }
    if server.user_data:
        files["user_data"] = (200, TEXT, server.user_data)
    version, name = parts[0], "/".join(parts[1:])
    if version not in OPENSTACK_VERSIONS or name not in files:
        return 404, HTML, NOT_FOUND
    return files[name]


def _told(server: Server) -> dict[str, object]:
    meta = {"meta": dict(server.meta)} if server.meta else {}
    named = {"hostname": f"{server.name}.novalocal", "name": server.name, "launch_index": 0}
    return {
        "uuid": server.id,
        **meta,
        **named,
        "availability_zone": "nova",
        "project_id": server.project,
        "devices": [],
    }


def _ec2(server: Server, address: str, number: int) -> dict[str, Any]:
    hostname = f"{server.name}.novalocal"
    facts = {
        "ami-id": "None",
        "ami-launch-index": "0",
        "hostname": hostname,
        "instance-action": "none",
        "instance-id": f"i-{number:08x}",
        "instance-type": server.flavor,
        "local-hostname": hostname,
        "local-ipv4": address,
        "placement": {"availability-zone": "nova"},
        "public-hostname": hostname,
        "public-ipv4": "",
        "security-groups": "default",
    }
    return {"meta-data": facts} | ({"user-data": server.user_data} if server.user_data else {})


def _listed(found: object) -> bytes:
    if isinstance(found, bytes):
        return found
    if not isinstance(found, dict):
        return str(found).encode()
    return "\n".join(f"{name}/" if isinstance(one, dict) else name for name, one in sorted(found.items())).encode()


class MetadataService:
    """At 169.254.169.254 of a network namespace, for as long as it is not closed. `ask` has an answer to each path."""

    def __init__(self, namespace: str, ask: Callable[[str], Answer]):
        self._server = ThreadingHTTPServer((METADATA, 80), _handler(ask), bind_and_activate=False)
        self._server.daemon_threads = True
        self._server.socket.close()
        self._server.socket = _listener(namespace)
        threading.Thread(target=self._server.serve_forever, name=f"metadata-{namespace}", daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler(ask: Callable[[str], Answer]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_GET(self) -> None:
            status, kind, body = ask(self.path.partition("?")[0])
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_PUT = do_POST = do_HEAD = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            """Nobody reads it."""

    return Handler


def _listener(namespace: str) -> socket.socket:
    """One of that namespace: a socket stays where it was made, a thread goes there to make it."""
    made: list[socket.socket] = []

    def make() -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        with (Path("/run/netns") / namespace).open() as there:
            if libc.setns(there.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), f"no way into the network {namespace}")
        made.append(socket.create_server((METADATA, 80), backlog=64))

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    if not made:
        raise RuntimeError(f"no metadata service in the network {namespace}, see above")
    return made[0]
