"""An HTTP API before a function, on this machine: real requests become its events, one after the other.

`python -m bench.http_front --port 9000` starts a function with the environment that it finds, and an API before it.
"""

import base64
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

import click

from bench.runtime_api import Crashed, RuntimeApi, Server, running

#: What an HTTP API passes on as text; anything else as base64.
TEXT = ("text/", "application/json", "application/javascript", "application/xml")


@contextmanager
def http_front(api: RuntimeApi, *, port: int = 0) -> Iterator[str]:
    """Its address; a process of the function has one event at a time."""
    server = Server(("127.0.0.1", port), _front(api))
    threading.Thread(target=server.serve_forever, args=(0.01,), name="http api", daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def _front(api: RuntimeApi) -> type[BaseHTTPRequestHandler]:
    turn = threading.Lock()

    class Front(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            with turn:
                self._say(*answered(api, event_of(self.command, self.path, dict(self.headers), body)))

        do_GET = do_PUT = do_DELETE = do_PATCH = do_POST

        def _say(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
            self.send_response(status)
            own = {"Content-Type": "application/json", **headers, "Content-Length": str(len(body))}
            for name, value in own.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Front


def answered(api: RuntimeApi, event: Mapping[str, Any]) -> tuple[int, bytes, Mapping[str, str]]:
    """Status, body and headers, as an HTTP API makes them of what a function answers, and of a function that fails."""
    try:
        done = api.invoke(event)
    except (Crashed, ValueError):
        return 503, b'{"message":"Service Unavailable"}', {}
    if done.error is not None:
        return 500, b'{"message":"Internal Server Error"}', {}
    text = done.answer.get("body") or ""
    body = base64.b64decode(text) if done.answer.get("isBase64Encoded") else text.encode()
    return done.answer["statusCode"], body, done.answer.get("headers", {})


def event_of(method: str, target: str, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    """As an HTTP API makes it of a request, payload format 2.0."""
    url = urlsplit(target)
    given = {name.lower(): value for name, value in headers.items()}
    is_text = given.get("content-type", "text/plain").startswith(TEXT)
    http = {"method": method, "path": url.path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1"}
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": url.path,
        "rawQueryString": url.query,
        "headers": given,
        "requestContext": {"accountId": "123456789012", "http": http, "stage": "$default", "requestId": str(uuid4())},
        "isBase64Encoded": bool(body) and not is_text,
    }
    if url.query:
        event["queryStringParameters"] = dict(parse_qsl(url.query, keep_blank_values=True))
    if body:
        event["body"] = body.decode("utf-8", "replace") if is_text else base64.b64encode(body).decode()
    return event


@click.command()
@click.option("--port", type=int, default=9000, show_default=True)
def main(port: int) -> None:
    """A function on this machine, and an HTTP API before it, until Ctrl-C."""
    with running({}, stdout=None) as function, http_front(function.api, port=port) as url:
        click.echo(f"{url}: a function that took {function.init_seconds:.2f} s to come up")
        with suppress(KeyboardInterrupt):
            function.process.wait()


if __name__ == "__main__":
    main()
