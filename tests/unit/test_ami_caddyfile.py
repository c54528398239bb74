"""Caddy with what it is told: which answers a client gets that are not the web tier's."""

import shutil
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ami.caddyfile import STORAGE, caddyfile
from ami.userdata import Address
from bench.local import awaited, free_port

pytestmark = pytest.mark.skipif(shutil.which("caddy") is None, reason="no caddy: apt-get install caddy")

HOST = "127.0.0.1"
UPLOAD = b"a photo"


class Web(BaseHTTPRequestHandler):
    """A web tier that closes a connection just as its second request comes."""

    protocol_version = "HTTP/1.1"
    had = False

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.had:
            self.close_connection = True
            return
        self.had = True
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Not into the tests' output."""


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def web(port: int) -> Iterator[None]:
    with ThreadingHTTPServer((HOST, port), Web) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield
        server.shutdown()
        thread.join(10)


@pytest.fixture
def post(tmp_path: Path, port: int) -> Iterator[Callable[..., HTTPResponse]]:
    """Uploads by TLS, all by one connection as long as Caddy leaves it open; and `plain`, by port 80."""
    http, https = free_port(), free_port()
    context = ssl.create_default_context()
    # Of this test's own Caddy nobody has the root.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = HTTPSConnection(HOST, https, timeout=20, context=context)

    def run(host: str = HOST, *, plain: bool = False) -> HTTPResponse:
        by = HTTPConnection(HOST, http, timeout=20) if plain else connection
        by.request("POST", "/", UPLOAD, {"Host": host})
        return by.getresponse()

    with running(tmp_path, told(port, http, https, tmp_path)):
        awaited(lambda: can_connect(connection), "Caddy answers")
        yield run
        connection.close()


def told(port: int, http: int, https: int, folder: Path) -> str:
    """As on an instance, but for ports that root alone may have, and for patience."""
    text = caddyfile(Address("eipalloc-1", HOST), str(port))
    ports = f"admin off\n\thttp_port {http}\n\thttps_port {https}"
    for usual, here in (("admin off", ports), (STORAGE, str(folder)), ("lb_try_duration 10s", "lb_try_duration 300ms")):
        assert usual in text
        text = text.replace(usual, here)
    return text


@contextmanager
def running(folder: Path, text: str) -> Iterator[None]:
    (folder / "Caddyfile").write_text(text)
    env = {"HOME": str(folder), "PATH": "/usr/bin:/usr/local/bin"}
    with (folder / "log").open("w") as log:
        caddy = subprocess.Popen(["caddy", "run", "--config", folder / "Caddyfile"], env=env, stdout=log, stderr=log)  # noqa: S607
    try:
        yield
    finally:
        caddy.terminate()
        caddy.wait(20)


def can_connect(connection: HTTPSConnection) -> bool:
    """Its certificate is there behind its port."""
    try:
        connection.connect()
    except OSError:
        return False
    return True


def test_an_upload_meets_no_connection_that_the_web_tier_closes(web: None, post: Callable[..., HTTPResponse]) -> None:
    for _ in range(3):
        answer = post()
        assert (answer.status, answer.read()) == (200, UPLOAD)


def test_a_client_of_a_web_tier_that_stops_is_told_to_connect_anew(post: Callable[..., HTTPResponse]) -> None:
    answer = post()
    assert b'"code": "unavailable"' in answer.read()
    assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
    assert answer.headers["Connection"] == "close"


def test_an_upload_for_another_host_is_not_taken_for_answered(web: None, post: Callable[..., HTTPResponse]) -> None:
    answer = post("faces.example.org")
    assert (answer.status, answer.read()) == (421, b"here is https://127.0.0.1/ and nobody else")


def test_without_tls_an_upload_is_sent_there_and_not_answered(web: None, post: Callable[..., HTTPResponse]) -> None:
    answer = post(plain=True)
    assert (answer.status, answer.headers["Location"]) == (308, "https://127.0.0.1/")
