"""A private cloud that stands in for OpenStack: keystone, Nova, glance and neutron behind one port.

Its bodies are those of a real one, recorded. `with nova_cloud() as cloud` in a test, or as a process:
`python tests/nova_cloud.py --port 9000`, which prints its address and where `clouds.yaml` lies once it answers.
Beside OpenStack's own there is `/_world` and `/_faults` (POST: fields to be changed), and `/_servers`: all there are
and were.
"""

import argparse
import json
import re
import sys
import tempfile
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import nova_recorded as recorded
from nova_apis import NovaCloud
from nova_servers import World

#: Nova's newest microversion is 2 and this.
NEWEST = 93
#: Where each service answers, below the port; of the recorded address and port in bodies.
PREFIXES = {"5000": "/identity", "8774": "/compute", "9292": "/image", "9696": "/network", "8778": "/placement"}
OLD_HOST = re.compile(r"http://(?:192\.0\.2\.10|127\.0\.0\.1):(5000|8774|8778|9292|9696)(?!\d)")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Header and body would wait for each other's acknowledgement.
    wbufsize = -1
    disable_nagle_algorithm = True
    cloud: NovaCloud

    def do_GET(self) -> None:
        self._do()

    do_POST = do_DELETE = do_PUT = do_GET

    def _do(self) -> None:
        cloud, faults = self.cloud, self.cloud.faults
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urlsplit(self.path)
        ours = url.path.startswith("/_")
        while faults.deaf and not ours:
            cloud.wakes.wait(0.05)
        cloud.calls.append((self.command, url.path))
        cloud.agents.add(self.headers.get("User-Agent", ""))
        if faults.page and not ours:
            return self._send(200, faults.page.encode(), kind="text/html")
        unwell = url.path.startswith(faults.only) and not url.path.startswith("/identity")
        if faults.status and faults.times > 0 and not ours and unwell:
            faults.times -= 1
            more = {"Retry-After": str(faults.retry_after)} if faults.retry_after else {}
            return self._send(faults.status, b"<html><body>no</body></html>", kind="text/html", **more)
        if (asked := self.headers.get("X-OpenStack-Nova-API-Version")) and float(asked[2:]) > NEWEST:
            status, told = recorded.refusal("compute-406-microversion")
            return self._send(status, self._text(told))
        with cloud.lock:
            query = {key: values[-1] for key, values in parse_qs(url.query).items()}
            token = self.headers.get("X-Auth-Token", "")
            status, told = cloud.answer(self.command, url.path, query, token, json.loads(raw) if raw else None)
            more = {}
            if status == 201 and url.path.startswith("/identity"):
                more = {"X-Subject-Token": (new := uuid.uuid4().hex)}
                cloud.tokens[new] = told["token"]["project"]["id"]
        if status == 202 and self.command == "POST" and url.path.endswith("/servers") and faults.lost:
            faults.lost -= 1
            self.close_connection = True
            return None
        return self._send(status, self._text(told), **more)

    def _text(self, told: Any) -> bytes:
        """With our address instead of the recorded one."""
        text = told if isinstance(told, str) else json.dumps(told)
        return (
            OLD_HOST.sub(lambda found: self.cloud.url + PREFIXES[found[1]], text).encode() if told is not None else b""
        )

    def _send(self, status: int, text: bytes, kind: str = "application/json", **more: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(text)), **more}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@contextmanager
def nova_cloud(port: int = 0, **world: Any) -> Iterator[NovaCloud]:
    """It answers as long as the block lasts."""
    cloud = NovaCloud(World(**world))
    handler = type("Handler", (Handler,), {"cloud": cloud})
    server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    server.daemon_threads = True
    cloud.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield cloud
    finally:
        cloud.faults.deaf = False
        server.shutdown()
        server.server_close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--clouds", type=Path, help="folder that clouds.yaml is written into")
    for name in ("schedule", "build", "stop", "start", "shelve", "delete"):
        parser.add_argument(f"--{name}", type=float, default=getattr(World, name))
    chosen = vars(parser.parse_args())
    port, folder = chosen.pop("port"), chosen.pop("clouds") or Path(tempfile.mkdtemp(prefix="nova-cloud-"))
    with nova_cloud(port, **chosen) as cloud:
        sys.stdout.write(f"{cloud.url} {cloud.write_clouds(folder)}\n")
        sys.stdout.flush()
        threading.Event().wait()


if __name__ == "__main__":
    main()
