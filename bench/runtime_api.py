"""Lambda's side of a function, on this machine: what its runtime asks for.

The runtime, AWS's own, asks `GET /2018-06-01/runtime/invocation/next` for events and posts what the function made of
them: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html. One process of the function is one environment,
which has one event at a time.
"""

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

HANDLER = "lambda_tier.handler.handler"
COMMAND = (sys.executable, "-m", "awslambdaric", HANDLER)
ROOT = "/2018-06-01/runtime"
#: Seconds that a function has, and that its process has to ask for its first event.
TIMEOUT, PATIENCE = 60.0, 60.0
#: How often somebody who waits looks whether the process is there still.
LOOK = 0.5
#: Of a request or an answer: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
MAX_PAYLOAD = 6 * 1024 * 1024
ARN = "arn:aws:lambda:us-east-1:123456789012:function:facefleet"
#: What Lambda tells of a process that ended over an event.
EXITED = {"errorType": "Runtime.ExitError", "errorMessage": "Runtime exited without providing a reason"}


class Crashed(RuntimeError):
    """The function's process has ended, or says nothing."""


@dataclass(frozen=True)
class Invocation:
    """What became of an event: the function's answer, or its error as the runtime tells it; and how long that took."""

    answer: Any
    error: dict[str, Any] | None
    seconds: float


@dataclass
class _Event:
    payload: bytes
    timeout: float
    id: str = field(default_factory=lambda: str(uuid4()))
    begun: float = 0.0
    seconds: float = 0.0
    answer: bytes = b""
    is_error: bool = False
    done: threading.Event = field(default_factory=threading.Event)


class Server(ThreadingHTTPServer):
    """Somebody who hangs up, or is killed, in the middle of a call is no error here."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class RuntimeApi:
    """Events go in by `invoke`; the function's process, told the `address`, takes them out."""

    def __init__(self) -> None:
        self._waiting: queue.Queue[_Event | None] = queue.Queue()
        self._given: dict[str, _Event] = {}
        self._ready = threading.Event()
        self._is_over = False
        #: When the function asked for its first event.
        self.ready_at = 0.0
        #: What kept it from coming up.
        self.init_error: dict[str, Any] | None = None
        self._server = Server(("127.0.0.1", 0), self._handler())
        self.address = f"127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "RuntimeApi":
        threading.Thread(target=self._server.serve_forever, args=(0.01,), name="runtime api", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        # Whoever waits for the next event is told that there is none.
        self._waiting.put(None)
        self._server.shutdown()
        self._server.server_close()

    def await_ready(self, *, patience: float = PATIENCE) -> None:
        """Until the function asks for its first event; raises `Crashed`."""
        if not self._ready.wait(patience) or self.init_error is not None:
            raise Crashed(f"the function did not come up: {self.init_error or 'it says nothing'}")

    def invoke(self, event: Any, *, timeout: float = TIMEOUT) -> Invocation:
        """One event, whole; raises `Crashed` where nothing came of it within a moment more than its time."""
        payload = json.dumps(event).encode()
        if len(payload) > MAX_PAYLOAD:
            raise ValueError(f"an event of {len(payload)} bytes, Lambda takes {MAX_PAYLOAD}")
        one = _Event(payload, timeout)
        self._waiting.put(one)
        deadline = time.monotonic() + timeout + PATIENCE
        while not one.done.wait(LOOK):
            if self._is_over or time.monotonic() > deadline:
                raise Crashed("the function has ended, or took an event and did not answer")
        told = json.loads(one.answer or b"null")
        return Invocation(None if one.is_error else told, told if one.is_error else None, one.seconds)

    @property
    def is_at_work(self) -> bool:
        """Whether the function has an event in hand."""
        return bool(self._given)

    def ended(self) -> None:
        """The function's process is gone: what it was at is over."""
        for id in tuple(self._given):
            self._end(id, json.dumps(EXITED).encode(), is_error=True)
        self._is_over = True

    def _next(self) -> _Event | None:
        if not self._ready.is_set():
            self.ready_at = time.perf_counter()
            self._ready.set()
        return self._waiting.get()

    def _end(self, id: str, answer: bytes, *, is_error: bool) -> None:
        one = self._given.pop(id)
        one.seconds = time.perf_counter() - one.begun
        one.answer, one.is_error = answer, is_error
        one.done.set()

    def _handler(api) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1

            def do_GET(self) -> None:
                one = api._next()
                if one is None:
                    self.close_connection = True
                    return
                api._given[one.id] = one
                deadline = int((time.time() + one.timeout) * 1000)
                one.begun = time.perf_counter()
                self._say(200, one.payload, one.id, str(deadline))

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                path = self.path.removeprefix(ROOT).strip("/").split("/")
                if path == ["init", "error"]:
                    api.init_error = json.loads(body)
                    api._ready.set()
                else:
                    api._end(path[1], body, is_error=path[-1] == "error")
                self._say(202, b'{"status":"OK"}')

            def _say(self, status: int, body: bytes, id: str = "", deadline: str = "") -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                if id:
                    self.send_header("Lambda-Runtime-Aws-Request-Id", id)
                    self.send_header("Lambda-Runtime-Deadline-Ms", deadline)
                    self.send_header("Lambda-Runtime-Invoked-Function-Arn", ARN)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        return Handler


@dataclass(frozen=True)
class Running:
    """A function's process. `init_seconds`: from its start until it asked for an event."""

    api: RuntimeApi
    process: "subprocess.Popen[bytes]"
    init_seconds: float


@contextmanager
def running(
    env: Mapping[str, str], *, command: tuple[str, ...] = COMMAND, stdout: Any = subprocess.DEVNULL
) -> Iterator[Running]:
    """A function that is up; `command` starts its runtime, which is told where we are by the environment."""
    with RuntimeApi() as api:
        told = {"AWS_LAMBDA_RUNTIME_API": api.address, "AWS_LAMBDA_FUNCTION_NAME": "facefleet"}
        told |= {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769", "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST"}
        began = time.perf_counter()
        process = subprocess.Popen(  # noqa: S603  # our own command
            command, env={**os.environ, **env, **told}, stdin=subprocess.DEVNULL, stdout=stdout
        )
        threading.Thread(target=_watch, args=(process, api), name="exit", daemon=True).start()
        try:
            api.await_ready()
            yield Running(api, process, api.ready_at - began)
        finally:
            process.kill()
            process.wait(PATIENCE)


def _watch(process: "subprocess.Popen[bytes]", api: RuntimeApi) -> None:
    process.wait()
    api.ended()
