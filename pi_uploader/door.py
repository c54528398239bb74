"""Requests to the service: one connection for each thread, kept alive; time-outs and bounds on all."""

import json
import ssl
import threading
import time
from dataclasses import dataclass
from http import HTTPStatus
from io import BytesIO
from typing import Any

import requests
from urllib3.exceptions import HTTPError, InvalidHeader
from urllib3.util import Retry

from pi_uploader.addresses import may_take, origin, without_login
from pi_uploader.settings import BadSettings, Settings

#: Seconds to connect, and to wait for the next bytes: above the service's own limit of 60.
TIMEOUT = (5.0, 90.0)
#: Seconds for all of an answer from its first byte on, and its bytes. Real ones have some thousand.
WHOLE, MAX_BYTES = 30.0, 4_000_000
#: Statuses that say of this very request that it will not do, where a problem of the service (RFC 9457) goes with them.
FINAL = frozenset({400, 413, 415, 422})
#: Problems of these statuses that the same request, sent again, may not have.
PASSING = frozenset({"malformed_request", "image_gone", "conflict"})
#: Statuses that may be for one image alone, as of a proxy that takes small ones only. Others may fare better.
OF_ONE = FINAL | {409, 500}
#: Statuses with which others than the service ask for a pause, such as a proxy before it.
PAUSES = frozenset({429, 503})
#: What the type of each problem of the service begins with, and its code ends.
PROBLEM = "urn:facefleet:problem:"
#: Characters of a problem that are told: another service may have a page of them.
MAX_WORDS = 300
#: A service that wants to be left alone for longer is asked after six hours all the same.
MAX_RETRY_AFTER = 21_600.0


class Away(ConnectionError):
    """No answer now: try again later, after `retry_after` seconds if the service says so.

    The words say what to look at. `of_one`: perhaps this request alone gets none. `waited`: it has had its turn, long
    enough for others to go before it now.
    """

    def __init__(
        self, words: str, retry_after: float | None = None, *, of_one: bool = False, waited: bool = False
    ) -> None:
        super().__init__(words)
        self.retry_after = retry_after
        self.of_one = of_one
        self.waited = waited


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
        """Raises `BadSettings` for a `ca_file` that cannot be used."""
        self._url = settings.url
        #: For words.
        self.url = without_login(settings.url)
        self._key = settings.api_key
        self._verify = settings.ca_file or True
        self._own = threading.local()
        if settings.ca_file:
            _check_authority(settings.ca_file)

    def post(self, path: str, *, final: frozenset[int] = FINAL, **body: Any) -> Any:
        """The JSON of a 200 or 201. Raises `Refused`, for a status in `final`, and `Away`."""
        reply = self.ask("POST", path, **body)
        if reply.status in (HTTPStatus.OK, HTTPStatus.CREATED) and reply.body is not None:
            return reply.body
        raise failure(reply, self.url, final)

    def ask(self, method: str, path: str, **body: Any) -> Reply:
        """Whatever it answers. Raises `Away` if nothing whole comes."""
        session = self._session("own")
        if self._key:
            session.headers["x-api-key"] = self._key
        # The authority with each request: else a bundle that the environment names would go before it.
        return _asked(session, method, self._url + path, self.url, verify=self._verify, **body)

    def ask_elsewhere(self, method: str, url: str, **body: Any) -> Reply:
        """Whatever a place answers that the service named; our key stays here.

        Raises `Away` if nothing whole comes, or others might read along.
        An authority of our own is for the service; a place on another host has a certificate for everybody.
        """
        if not may_take(url, self._url):
            raise Away(f"{self.url} sends captures where others may read along: it has to name an https address")
        session, where = self._session("elsewhere"), origin(url)
        # Nor with a login of ours that `.netrc` has for that host: whoever signs a URL wants no other.
        session.auth = _as_it_is
        return _asked(session, method, url, where, verify=self._verify if where == origin(self._url) else True, **body)

    def _session(self, name: str) -> requests.Session:
        """This thread's."""
        if not hasattr(self._own, name):
            setattr(self._own, name, requests.Session())
        session: requests.Session = getattr(self._own, name)
        return session


def _asked(session: requests.Session, method: str, url: str, name: str, **more: Any) -> Reply:
    if isinstance(data := more.get("data"), bytes):
        # Of bytes, all would have to go in the seconds for connecting: sockets count from the first to the last.
        more["data"] = BytesIO(data)
    try:
        # No redirects: the key would go along, and a photo would not.
        with session.request(method, url, timeout=TIMEOUT, allow_redirects=False, stream=True, **more) as response:
            return Reply(response.status_code, _json(response), response.headers)
    except (requests.RequestException, HTTPError, OSError) as e:
        raise Away(f"{name} cannot be reached ({why(e)}): {_what_helps(e)}") from e


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def failure(reply: Reply, url: str, final: frozenset[int] = FINAL) -> Away | Refused:
    """What an answer means that is not the one hoped for."""
    body = reply.body if isinstance(reply.body, dict) else {}
    code, detail = str(body.get("code", "")), told(body.get("detail", ""))
    is_ours = bool(code) and body.get("type") == PROBLEM + code
    of_one = reply.status in OF_ONE
    if is_ours and reply.status in final and code not in PASSING:
        return Refused(detail, code)
    if reply.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return Away(f"{url} does not take our key ({detail or reply.status}): correct api_key")
    if reply.status == HTTPStatus.ACCEPTED:
        return Away(f"{url} has taken it, and is not done yet", retry_after(reply))
    if not is_ours:
        return Away(strange(url, reply.status), retry_after(reply) if reply.status in PAUSES else None, of_one=of_one)
    return Away(f"{url} says {reply.status}: {detail}", retry_after(reply), of_one=of_one)


def strange(url: str, status: int) -> str:
    """What to say of an answer that the service does not give."""
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        # As API Gateway's before a function.
        return f"what stands before {url} takes no capture of this size: set upload to presigned, or have smaller ones"
    return f"{url} gave no answer of facefleet's ({status}): is another service there, or a login page?"


def retry_after(reply: Reply) -> float | None:
    """Seconds to wait as the service asks; None if it does not, or nobody can tell."""
    value = reply.headers.get("Retry-After")
    if not value:
        return None
    try:
        return min(max(Retry().parse_retry_after(value), 0.0), MAX_RETRY_AFTER)
    except (InvalidHeader, ValueError, OverflowError):
        return None


def why(error: BaseException) -> str:
    """The innermost reason, without addresses of objects."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    words = str(error) if type(error) in (OSError, TimeoutError) else ""
    return getattr(error, "strerror", None) or words or type(error).__name__


def _what_helps(error: BaseException) -> str:
    if isinstance(error, requests.exceptions.SSLError):
        return "is the clock right, and does ca_file name the authority that signed its certificate?"
    return "is it running, and is the network there?"


def told(value: Any) -> str:
    """As much as goes into a line, and nothing that a terminal would obey."""
    return "".join(c if c.isprintable() else " " for c in str(value)[:MAX_WORDS])


def _json(response: requests.Response) -> Any:
    """Raises `OSError` for an answer that is too long, or takes too long."""
    body, deadline = bytearray(), time.monotonic() + WHOLE
    # Whatever is there, as it comes: who waits for a certain number of bytes may wait for each of them.
    for chunk in iter(lambda: response.raw.read1(65_536, decode_content=True), b""):
        body += chunk
        if len(body) > MAX_BYTES or time.monotonic() > deadline:
            raise OSError("an answer without end")
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _check_authority(ca_file: str) -> None:
    try:
        ssl.create_default_context(cafile=ca_file)
    except OSError as e:
        raise BadSettings(f"ca_file {ca_file} cannot be used ({why(e)}): name a file of certificates in PEM") from None
