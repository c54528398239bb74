"""A network that fails, between a client and a real service: a proxy that does to each request what chance draws."""

import random
import socket
import struct
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from enum import StrEnum
from http.client import HTTPConnection, HTTPException, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import ceil
from typing import Any

#: Nothing here takes so many seconds, unless it hangs.
PATIENCE = 60.0
#: Seconds that an answer is kept back at most; and that whoever is turned away has to stay away, at least.
MAX_DELAY, STAY_AWAY = 0.5, 1
LOGIN = b"<html><title>Guest Wi-Fi</title>Please accept our terms.</html>"
#: Of one hop: https://datatracker.ietf.org/doc/html/rfc9110#section-7.6.1
OF_A_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server", "host"})


class Fault(StrEnum):
    NONE = "passed on"
    DELAYED = "answer kept back for a while"
    REFUSED = "connection dropped before anything went on"
    HALVED = "half of the request passed on, then both connections dropped"
    LOST = "request passed on whole, its answer lost"
    CUT = "request passed on whole, its answer cut in the middle"
    BUSY = "429"
    AWAY = "503"
    PORTAL = "a login page with 200"
    REDIRECT = "a redirect"


FAULTS = tuple(fault for fault in Fault if fault is not Fault.NONE)


class Proxy(ThreadingHTTPServer):
    """Before the service at `port`: the share `calm` of all requests is passed on, the rest fails in some way.

    `happened`: how often what was done. `connections`: how many clients made. `hasty`: requests over a connection that
    was told to stay away for longer. `strayed`: requests that followed a redirect to elsewhere.
    """

    request_queue_size = 64

    def __init__(self, port: int, *, seed: int, calm: float) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.service_port = port
        self.happened: Counter[Fault] = Counter()
        self.connections = self.hasty = self.strayed = 0
        self._chance, self._calm = random.Random(seed), calm
        self._changing = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def draw(self) -> tuple[Fault, float]:
        """What happens to the next request, and a number from 0 to 1 for its details."""
        with self._changing:
            fault = Fault.NONE if self._chance.random() < self._calm else self._chance.choice(FAULTS)
            self.happened[fault] += 1
            return fault, self._chance.random()

    def count(self, name: str) -> None:
        with self._changing:
            setattr(self, name, getattr(self, name) + 1)

    def handle_error(self, request: Any, address: Any) -> None:
        """Clients that die in the middle are what this is for; anything else is told."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, address)


class _Connection(BaseHTTPRequestHandler):
    """One of a client's, kept alive from request to request."""

    protocol_version = "HTTP/1.1"
    timeout = PATIENCE
    # Or the client's delayed ack holds back each body for 40 ms.
    disable_nagle_algorithm = True
    server: Proxy
    _stays_away_until = 0.0

    def setup(self) -> None:
        super().setup()
        self.server.count("connections")

    def do_POST(self) -> None:
        self._look()
        fault, number = self.server.draw()
        if fault is Fault.REFUSED:
            return self._drop()
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        if len(body) < length:
            # The client died: what it did not send must not go on as if it were all.
            return self._drop()
        if fault is Fault.HALVED:
            self._pass_on_half(body)
            return self._drop()
        if fault in (Fault.NONE, Fault.DELAYED, Fault.LOST, Fault.CUT):
            return self._pass_on(body, fault, number)
        return self._answer_ourselves(fault, number)

    do_GET = do_POST

    def _look(self) -> None:
        if time.time() < self._stays_away_until:
            self.server.count("hasty")
        if self.path == "/login":
            self.server.count("strayed")

    def _pass_on(self, body: bytes, fault: Fault, number: float) -> None:
        try:
            response, answer = self._asked(body)
        except (OSError, HTTPException):
            # The service is gone, and its connection with it.
            return self._drop()
        if fault is Fault.LOST:
            return self._drop(with_reset=number < 0.5)
        if fault is Fault.DELAYED:
            time.sleep(number * MAX_DELAY)
        headers = [(name, value) for name, value in response.getheaders() if name.lower() not in OF_A_HOP]
        self._send(response.status, headers, answer, upto=int(number * len(answer)) if fault is Fault.CUT else None)

    def _asked(self, body: bytes) -> tuple[HTTPResponse, bytes]:
        service = HTTPConnection("127.0.0.1", self.server.service_port, timeout=PATIENCE)
        try:
            service.request(self.command, self.path, body, self._headers())
            response = service.getresponse()
            return response, response.read()
        finally:
            service.close()

    def _pass_on_half(self, body: bytes) -> None:
        service = HTTPConnection("127.0.0.1", self.server.service_port, timeout=PATIENCE)
        try:
            service.request(
                self.command, self.path, body[: len(body) // 2], self._headers() | {"Content-Length": str(len(body))}
            )
        except (OSError, HTTPException):
            pass
        finally:
            service.close()

    def _headers(self) -> dict[str, str]:
        return {name: value for name, value in self.headers.items() if name.lower() not in OF_A_HOP}

    def _answer_ourselves(self, fault: Fault, number: float) -> None:
        if fault is Fault.PORTAL:
            return self._send(200, [("Content-Type", "text/html")], LOGIN)
        if fault is Fault.REDIRECT:
            return self._send(302, [("Location", f"{self.server.url}/login")], LOGIN)
        # Half of them as a date, which has whole seconds.
        as_date, until = number < 0.5, time.time() + STAY_AWAY
        if as_date:
            until = float(ceil(until))
        self._stays_away_until = until
        told = format_datetime(datetime.fromtimestamp(until, UTC), usegmt=True) if as_date else str(STAY_AWAY)
        return self._send(429 if fault is Fault.BUSY else 503, [("Retry-After", told)], LOGIN)

    def _send(self, status: int, headers: list[tuple[str, str]], body: bytes, *, upto: int | None = None) -> None:
        """The answer, whole; or as many bytes of its body, and then the connection is dropped."""
        self.send_response(status)
        for name, value in (*headers, ("Content-Length", str(len(body)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[:upto])
        if upto is not None:
            self._drop()

    def _drop(self, *, with_reset: bool = False) -> None:
        if with_reset:
            # Nobody says goodbye: https://man7.org/linux/man-pages/man7/socket.7.html, SO_LINGER of no seconds.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Counted, not told."""


@contextmanager
def failing_network(port: int, *, seed: int, calm: float) -> Iterator[Proxy]:
    """A proxy at work before the service at this port."""
    with Proxy(port, seed=seed, calm=calm) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
            thread.join(PATIENCE)
