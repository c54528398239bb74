"""Requests and answers over HTTP, of one thread: each within its time, and none larger than an answer is."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError, ReadTimeoutError

from facefleet.cli.loading.answer import MOST_WORDS, STRANGE, TIMEOUT, UNREACHABLE, NoAnswer
from facefleet.cli.loading.patience import Patience
from facefleet.settings import is_loopback
from facefleet.wire import Json

CONNECT_TIMEOUT = 5.0
#: Bytes; the largest results, of clips with everybody in them, are a tenth of this.
MOST_OF_AN_ANSWER = 10_000_000
CHUNK = 65_536
#: Full for now: with `Retry-After`, the same again is welcome then.
BUSY = (429, 503)
#: A server that says "at once" is asked again after this.
LEAST_PAUSE = 0.1


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_good(self) -> bool:
        return 200 <= self.status < 300

    @property
    def was_cached(self) -> bool:
        return "hit" in self.headers.get("Cache-Status", "")

    def json(self) -> Json:
        """Raises `NoAnswer` for anything but an object."""
        try:
            body = json.loads(self.body)
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict):
            raise NoAnswer(STRANGE, f"status {self.status} without a JSON object: {self._words()}")
        return body

    def refusal(self) -> NoAnswer:
        """Of one that is not good: the problem's code and words, or the bare status."""
        try:
            problem = json.loads(self.body)
            return NoAnswer(str(problem["code"]), str(problem["detail"])[:MOST_WORDS])
        except (ValueError, LookupError, TypeError, RecursionError):
            return NoAnswer(f"http_{self.status}", f"status {self.status}: {self._words()}")

    def _words(self) -> str:
        return self.body[:MOST_WORDS].decode(errors="replace").strip()


class Exchange:
    """`fresh`: a connection for each request, as the course's load generators make them."""

    def __init__(self, url: str, api_key: str = "", *, fresh: bool = False) -> None:
        self.url = url.rstrip("/")
        self._session = requests.Session()
        # A company's proxy does not know our loopback.
        self._session.trust_env = not is_loopback(urlsplit(url).hostname or "")
        if api_key:
            self._session.headers["x-api-key"] = api_key
        self._fresh = fresh
        if fresh:
            self._session.headers["Connection"] = "close"

    def close(self) -> None:
        self._session.close()

    def ask(self, method: str, path: str, patience: Patience, **body: Any) -> Reply:
        """The reply, good or not. One that says when to come again is not told: the same is sent then."""
        while True:
            reply = self._once(method, self._within(path), patience, body)
            pause = retry_after(reply.headers, time.time()) if reply.status in BUSY else None
            if pause is None or not patience.lasts(pause):
                return reply
            patience.retries += 1
            patience.pause(max(pause, LEAST_PAUSE))

    def _within(self, path: str) -> str:
        """The whole address; raises `NoAnswer` for one elsewhere, which shall not be told our key."""
        origin, base = urlsplit(self.url)[:2], urlsplit(self.url).path
        if not path.startswith("/"):
            if path and urlsplit(path)[:2] != origin:
                raise NoAnswer(STRANGE, f"the service sends us elsewhere, to {urlsplit(path).netloc or path!r}")
            return path or self.url
        # Behind a gateway with stages the service does not know what stands before its own paths.
        return self.url.removesuffix(base) + path if base and path.startswith(f"{base}/") else self.url + path

    def _once(self, method: str, url: str, patience: Patience, body: Mapping[str, Any]) -> Reply:
        left = patience.left()
        try:
            # A redirected POST would become a GET, and carry our key to wherever it leads.
            with self._session.request(
                method, url, timeout=(min(CONNECT_TIMEOUT, left), left), stream=True, allow_redirects=False, **body
            ) as response:
                return Reply(response.status_code, response.headers, _body(response, patience))
        except (requests.ReadTimeout, ReadTimeoutError) as e:
            raise NoAnswer(TIMEOUT, "no answer in time: allow more with --timeout") from e
        except (requests.RequestException, HTTPError, OSError) as e:
            # Its words hold the address, and with S3 what signs it.
            words = (
                f"{urlsplit(url).netloc} does not answer ({type(e).__name__}): is that the address, and does it run?"
            )
            raise NoAnswer(UNREACHABLE, words) from e
        finally:
            if self._fresh:
                # Else it is kept for the next one, in the middle of which the server closes it, as it was told.
                self._session.close()


def _body(response: requests.Response, patience: Patience) -> bytes:
    body = bytearray()
    # As it comes: a server that sends a byte now and then keeps us no longer than allowed.
    while chunk := response.raw.read1(CHUNK, decode_content=True):
        body += chunk
        patience.left()
        if len(body) > MOST_OF_AN_ANSWER:
            raise NoAnswer(STRANGE, f"an answer of more than {MOST_OF_AN_ANSWER / 1e6:g} MB")
    return bytes(body)


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds, from a number or a date (RFC 9110, 10.2.3); None where there is neither."""
    text = headers.get("Retry-After", "")
    if text.isascii() and text.isdecimal():
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - now)
