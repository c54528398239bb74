"""What the command line makes of answers, the service's own and others'."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from facefleet.cli.client import Client, Refused
from facefleet.settings import Settings


@contextmanager
def answering(body: bytes, status: int = 200) -> Iterator[Client]:
    """A client of a server that says this to everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Client(Settings(url=f"http://127.0.0.1:{server.server_port}"))
        server.shutdown()


@pytest.mark.parametrize(
    "body",
    [b"<html>Welcome!</html>", b"[1]", b"7", b'{"hello": 1}', b"\xff", b"[" * 100_000],
    ids=lambda body: body[:9],
)
def test_who_asks_somebody_else_is_told_that_it_is_no_facefleet(body: bytes) -> None:
    with answering(body) as client, pytest.raises(Refused, match="is it a facefleet") as refused:
        list(client.people())
    assert refused.value.code == "no_facefleet"


def test_a_page_for_people_is_a_refusal_by_its_status() -> None:
    with answering(b"<html>No such page</html>", 404) as client, pytest.raises(Refused, match="status 404: <html>"):
        list(client.people())


def test_an_answer_of_ours_is_told_as_it_is() -> None:
    with answering(b'{"people": [{"id": "paul"}], "next": null}') as client:
        assert list(client.people()) == [{"id": "paul"}]
    with answering(b"") as client:
        assert client.call("GET", "/") == {}
