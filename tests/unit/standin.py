"""A service that says what a test has it say, over real sockets."""

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "secret-key"


@dataclass(frozen=True)
class Said:
    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


Reply = Said | Callable[[Asked], Said]


def result(*people: str | None) -> Said:
    """As `/v1/recognitions` answers; nobody known: None."""
    faces = [
        {"person": person and person.lower(), "name": person, "similarity": person and 0.97, "candidates": []}
        for person in people
    ]
    answer = next((person.lower() for person in people if person), "unknown")
    return json_said(200, {"id": "f" * 32, "answer": answer, "faces": faces, "error": None})


def problem(status: int, code: str, detail: str = "do something", **headers: str) -> Said:
    """As the service has them: RFC 9457."""
    body = {"type": f"urn:facefleet:problem:{code}", "status": status, "code": code, "detail": detail}
    return json_said(status, body, **{name.replace("_", "-"): value for name, value in headers.items()})


def json_said(status: int, body: Any, **headers: str) -> Said:
    return Said(status, json.dumps(body).encode(), {"Content-Type": "application/json", **headers})


class StandIn:
    """Gives its replies one by one, the last for good."""

    def __init__(self, *replies: Reply, tls: ssl.SSLContext | None = None) -> None:
        self.replies = list(replies)
        self.asked: list[Asked] = []
        self.connections = 0
        self._answering = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        if tls is not None:
            # Shaken hands in the connection's own thread: who refuses ours does not stop us.
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
            self._server.handle_error = lambda *_: None
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self._server.server_port}"

    def _handler(standin) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self) -> None:
                standin.connections += 1
                super().setup()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                said = standin.reply(Asked(self.command, self.path, dict(self.headers), body))
                self.send_response(said.status)
                for name, value in {**said.headers, "Content-Length": str(len(said.body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(said.body)

            do_GET = do_POST

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def reply(self, asked: Asked) -> Said:
        with self._answering:
            self.asked.append(asked)
            reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        return reply(asked) if callable(reply) else reply

    def __enter__(self) -> "StandIn":
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextmanager
def raw(speak: Callable[[socket.socket], object]) -> Iterator[str]:
    """The address of a service that does with each connection whatever `speak` does."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_accept, args=(listener, speak), daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        # Wakes who waits in `accept`, which closing does not.
        listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, speak: Callable[[socket.socket], object]) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            try:
                speak(connection)
            except OSError:
                # Whom it spoke to has gone.
                continue
