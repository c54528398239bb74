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


def of_clip(*people: str | None, at: float = 0.2) -> Said:
    """As `/v1/videos` answers."""
    body = json.loads(result(*people).body)
    video = {"seconds": 0.5, "frames": 5, "until": 0.5, "cut": False, "at": at if people else None, "appearances": []}
    return json_said(200, body | {"video": video})


def problem(status: int, code: str, detail: str = "do something", **headers: str) -> Said:
    """As the service has them: RFC 9457."""
    body = {"type": f"urn:facefleet:problem:{code}", "status": status, "code": code, "detail": detail}
    return json_said(status, body, **{name.replace("_", "-"): value for name, value in headers.items()})


def json_said(status: int, body: Any, **headers: str) -> Said:
    return Said(status, json.dumps(body).encode(), {"Content-Type": "application/json", **headers})


class Entrance:
    """A service that answers later: a capture is put where it says, or sent, and its result is there after some looks.

    `gone`: ids of uploads that are no good any more. What was put is in `put`, by id; `results` are of captures by id.
    """

    def __init__(self, looks: int = 1, answer: Callable[[bytes], Said] = lambda _: of_clip("Mary")) -> None:
        self.url, self.looks, self.answer = "", looks, answer
        self.put: dict[str, bytes] = {}
        self.gone: set[str] = set()
        self.uploads = 0
        self._left: dict[str, int] = {}

    def __call__(self, asked: Asked) -> Said:
        path = asked.path.partition("?")[0]
        if asked.method == "PUT":
            return self._take(path.removeprefix("/bucket/"), asked)
        if path == "/v1/uploads":
            return self._sign(json.loads(asked.body))
        if asked.method == "POST" and path in ("/v1/videos", "/v1/recognitions"):
            return self._queue(path, asked)
        return self._look(path.rpartition("/")[2])

    def _sign(self, wanted: dict[str, Any]) -> Said:
        self.uploads += 1
        upload = {
            "id": f"{self.uploads:032x}",
            "method": "PUT",
            "headers": {"Content-Type": "video/mp4", "x-amz-a": "b"},
        }
        upload["url"] = f"{self.url}/bucket/{upload['id']}?X-Amz-Signature=secret"
        return json_said(201, {"upload": upload, "result": f"/v1/videos/{upload['id']}", "asked": wanted})

    def _take(self, upload: str, asked: Asked) -> Said:
        if upload in self.gone or "x-api-key" in asked.headers or asked.headers.get("x-amz-a") != "b":
            return Said(403, b"<Error><Code>AccessDenied</Code></Error>")
        self.put[upload] = asked.body
        return Said(200)

    def _queue(self, path: str, asked: Asked) -> Said:
        is_upload = asked.headers.get("Content-Type") == "application/json"
        job = json.loads(asked.body)["upload"] if is_upload else asked.headers["Idempotency-Key"]
        if is_upload and job not in self.put:
            return problem(404, "no_such_upload")
        self.put.setdefault(job, asked.body)
        self._left.setdefault(job, self.looks)
        return json_said(202, {"id": job, "status": "queued"}, Location=f"{path}/{job}")

    def _look(self, job: str) -> Said:
        if job not in self._left:
            return problem(404, "not_found")
        self._left[job] -= 1
        if self._left[job] > 0:
            return json_said(202, {"id": job, "status": "queued"}, **{"Retry-After": "1"})
        return self.answer(self.put[job])

    def forget(self) -> None:
        """As if days had gone by."""
        self.put.clear()
        self._left.clear()


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
        for reply in replies:
            if isinstance(reply, Entrance):
                reply.url = self.url

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

            do_GET = do_PUT = do_POST

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
