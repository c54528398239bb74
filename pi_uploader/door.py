"""Requests to the service: one connection for each thread, kept alive; time-outs and bounds on all."""

import json
import threading
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import requests
from urllib3.exceptions import HTTPError, InvalidHeader
from urllib3.util import Retry

from pi_uploader.settings import Settings

#: Seconds to connect, and to wait for the next bytes: above the service's own limit of 60.
TIMEOUT = (5.0, 90.0)
#: Seconds for all of an answer from its first byte on, and its bytes. Real ones have some thousand.
WHOLE, MAX_BYTES = 30.0, 4_000_000
#: Statuses that say of this very request that it will not do, where a problem of the service (RFC 9457) goes with them.
FINAL = frozenset({400, 409, 413, 415, 422})
#: A service that wants to be left alone for longer is asked after a day all the same.
MAX_RETRY_AFTER = 86_400.0


class Away(ConnectionError):
    """No answer now: try again later, after `retry_after` seconds if the service says so.

    The words say what to look at.
    """

    def __init__(self, words: str, retry_after: float | None = None) -> None:
        super().__init__(words)
        self.retry_after = retry_after


class Refused(ValueError):
    """The service will not have this request, however often it comes; `code` is stable, the words say what to do."""

    def __init__(self, words: str, code: str) -> None:
        super().__init__(words)
        self.code = code


@dataclass(frozen=True, slots=True)
class Reply:
    """`body`: its JSON, None if it is none."""

    status: int
    body: Any
    headers: "requests.structures.CaseInsensitiveDict[str]"


class Door:
    """The service at `url`."""

    def __init__(self, settings: Settings) -> None:
        self.url = settings.url
        self._key = settings.api_key
        self._verify = settings.ca_file or True
        self._own = threading.local()

    def post(self, path: str, **body: Any) -> Any:
        """The JSON of a 200 or 201. Raises `Refused` and `Away`."""
        reply = self.ask("POST", path, **body)
        if reply.status in (HTTPStatus.OK, HTTPStatus.CREATED) and reply.body is not None:
            return reply.body
        raise failure(reply, self.url)

    def ask(self, method: str, path: str, **body: Any) -> Reply:
        """Whatever it answers. Raises `Away` if nothing whole comes."""
        try:
            # No redirects: the key would go along, and a photo would not.
            with self._session().request(
                method, self.url + path, timeout=TIMEOUT, allow_redirects=False, stream=True, **body
            ) as response:
                return Reply(response.status_code, _json(response), response.headers)
        except (requests.RequestException, HTTPError, OSError) as e:
            raise Away(f"{self.url} cannot be reached ({_why(e)}): is it running, and is the network there?") from e

    def _session(self) -> requests.Session:
        if not hasattr(self._own, "session"):
            self._own.session = requests.Session()
            self._own.session.verify = self._verify
            if self._key:
                self._own.session.headers["x-api-key"] = self._key
        session: requests.Session = self._own.session
        return session


def failure(reply: Reply, url: str) -> Away | Refused:
    """What an answer means that is not the one hoped for."""
    told = reply.body if isinstance(reply.body, dict) else {}
    code, detail = str(told.get("code", "")), str(told.get("detail", ""))
    if reply.status in FINAL and code:
        return Refused(detail, code)
    if reply.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return Away(f"{url} does not take our key ({detail or reply.status}): correct api_key")
    if not code:
        return Away(f"{url} gave no answer of facefleet's ({reply.status}): is another service there, or a login page?")
    return Away(f"{url} says {reply.status}: {detail}", retry_after(reply))


def retry_after(reply: Reply) -> float | None:
    """Seconds to wait as the service asks; None if it does not, or nobody can tell."""
    value = reply.headers.get("Retry-After")
    if not value:
        return None
    try:
        return min(max(Retry().parse_retry_after(value), 0.0), MAX_RETRY_AFTER)
    except (InvalidHeader, ValueError, OverflowError):
        return None


def _json(response: requests.Response) -> Any:
    """Raises `OSError` for an answer that is too long, or takes too long."""
    body, deadline = bytearray(), time.monotonic() + WHOLE
    for chunk in response.iter_content(65_536):
        body += chunk
        if len(body) > MAX_BYTES or time.monotonic() > deadline:
            raise OSError("an answer without end")
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _why(error: BaseException) -> str:
    """The innermost reason, without addresses of objects."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return getattr(error, "strerror", None) or type(error).__name__
