"""Lambda's door on this machine: `Invoke` over HTTP, as boto3 asks for it, with a function of one's own behind it.

https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
"""

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

from bench.runtime_api import Server

FUNCTIONS = "/2015-03-31/functions/"


class Failure(RuntimeError):
    """The function failed with this."""


class Lost(RuntimeError):
    """The function was called, and its answer gets lost on the way."""


class Refusal(RuntimeError):
    """Lambda does not call the function. Its words: a status and a code."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status, self.code = status, code


@dataclass(frozen=True)
class Seen:
    """A call that reached the function: `call`, as its caller named it."""

    request_id: str
    call: str
    event: Any


class LambdaApi:
    """`work` is given each event; it may raise one of the above. `knock`: asked before each call, dry ones as well."""

    def __init__(self, work: Callable[[Any], Any], *, knock: Callable[[], object] = lambda: None) -> None:
        self._work = work
        self._knock = knock
        self.seen: list[Seen] = []
        #: Whoever came to the door; and of those let in, who only asked.
        self.knocks = self.dry = 0
        self._server = Server(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    @contextmanager
    def serving(self) -> Iterator["LambdaApi"]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), name="lambda", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()

    def _answer(self, kind: str, context: str, body: bytes, request_id: str) -> tuple[int, bytes, dict[str, str]]:
        self.knocks += 1
        self._knock()
        if kind == "DryRun":
            self.dry += 1
            return 204, b"", {}
        told = json.loads(base64.b64decode(context) or b"{}")
        event = json.loads(body)
        call = told.get("custom", {}).get("facefleet", {}).get("call", "")
        self.seen.append(Seen(request_id, call, event))
        if kind == "Event":
            threading.Thread(target=self._work, args=(event,), daemon=True).start()
            return 202, b"", {}
        try:
            return 200, json.dumps(self._work(event)).encode(), {}
        except Failure as e:
            error = {"errorType": "Unavailable", "errorMessage": str(e)}
            return 200, json.dumps(error).encode(), {"X-Amz-Function-Error": "Unhandled"}

    def _handler(api) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                if len(body := self.rfile.read(length)) < length:
                    # Its caller was killed over it.
                    self.close_connection = True
                    return
                request_id = str(uuid4())
                kind = self.headers.get("X-Amz-Invocation-Type", "RequestResponse")
                context = self.headers.get("X-Amz-Client-Context", "")
                try:
                    if not unquote(self.path).startswith(FUNCTIONS):
                        raise Refusal(404, "ResourceNotFoundException")
                    status, answer, told = api._answer(kind, context, body, request_id)
                except Refusal as e:
                    said = json.dumps({"Message": e.code, "Type": "User"}).encode()
                    self._say(e.status, said, request_id, {"X-Amzn-ErrorType": e.code})
                except Lost:
                    self.close_connection = True
                else:
                    self._say(status, answer, request_id, told)

            def _say(self, status: int, body: bytes, request_id: str, told: dict[str, str]) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.send_header("x-amzn-RequestId", request_id)
                for name, value in told.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        return Handler
