"""The service over HTTP, as any client sees it: `/v1`, and nothing that a user's own script could not do."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import requests

from facefleet.errors import ServiceError, Unavailable
from facefleet.settings import Settings, is_loopback
from facefleet.wire import Json

#: Seconds to connect, and to wait for an answer: above the service's own limit, 60 unless set otherwise.
TIMEOUT = (5.0, 90.0)
#: Seconds between two looks for the result of a clip, and until its client gives up.
LOOK_EVERY, LONGEST_WAIT = 0.5, 600.0
NO_FACEFLEET = "is it a facefleet that answers there? FACEFLEET_URL says where one is"


class Refused(ServiceError):
    """The service said no: its problem's code and words, and whether it may be overruled."""

    def __init__(self, code: str, detail: str, *, forcible: bool = False) -> None:
        super().__init__(detail, code=code, forcible=forcible)


class Client:
    """One session, kept alive. Every call raises `Unavailable` or `Refused`."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.service_url
        self._session = requests.Session()
        # A company's proxy does not know our loopback.
        self._session.trust_env = not is_loopback(urlsplit(self._url).hostname or "")
        if settings.api_key:
            self._session.headers["x-api-key"] = settings.api_key

    def recognise(self, photo: Path, *, top_k: int) -> Json:
        return self._send_file(f"/v1/recognitions?top_k={top_k}", photo)

    def watch(self, clip: Path, *, top_k: int, appearances: bool) -> Json:
        """The result, once there is one: a failed one, too."""
        flag = "&appearances=true" if appearances else ""
        result = self._send_file(f"/v1/videos?top_k={top_k}{flag}", clip)
        deadline = time.monotonic() + LONGEST_WAIT
        while result["status"] == "queued":
            if time.monotonic() > deadline:
                raise Refused("queued", f"no worker took it in {LONGEST_WAIT:g} s, so it waits: see 'facefleet status'")
            time.sleep(LOOK_EVERY)
            result = self.call("GET", f"/v1/videos/{result['id']}")
        return result

    def people(self) -> Iterator[Json]:
        cursor = ""
        while True:
            page = self.call("GET", f"/v1/people?cursor={quote(cursor)}")
            yield from page["people"]
            if (cursor := page["next"]) is None:
                return

    def add_person(self, person_id: str, name: str) -> None:
        """Makes sure that there is such a person."""
        try:
            self.call("POST", "/v1/people", json={"id": person_id, "name": name})
        except Refused as e:
            if e.code != "person_exists":
                raise

    def enrol(self, person_id: str, photo: Path, *, force: bool = False) -> Json:
        body = self._send_file(f"/v1/people/{quote(person_id)}/photos{'?force=true' if force else ''}", photo)
        if "photo" not in body:
            raise Refused("queued", "no worker took it in time, so it waits: see 'facefleet status'")
        return body

    def erase(self, person_id: str) -> Json:
        """What was erased; empty if there was nobody."""
        return self.call("DELETE", f"/v1/people/{quote(person_id)}")

    def reject(self, job_id: str, *, face: int, person_id: str | None) -> Json:
        """The rejection, with its id and its person; of whoever the face was taken for, where nobody is given."""
        body = {"face": face} if person_id is None else {"face": face, "person": person_id}
        return dict(self.call("POST", f"/v1/recognitions/{quote(job_id, safe='')}/rejections", json=body)["rejection"])

    def unreject(self, person_id: str, rejection_id: str) -> None:
        self.call("DELETE", f"/v1/people/{quote(person_id, safe='')}/rejections/{quote(rejection_id, safe='')}")

    def call(self, method: str, path: str, **body: Any) -> Json:
        try:
            response = self._session.request(method, self._url + path, timeout=TIMEOUT, **body)
        except requests.ReadTimeout as e:
            raise Unavailable(f"{self._url} did not answer within {TIMEOUT[1]:g} s: see 'facefleet status'") from e
        except requests.RequestException as e:
            raise Unavailable(f"no service answers at {self._url}: start one with 'facefleet up'") from e
        if not response.ok:
            raise _refusal(response)
        return _told(response, self._url) if response.content else {}

    def _send_file(self, path: str, file: Path) -> Json:
        try:
            data = file.read_bytes()
        except OSError as e:
            raise Refused("unreadable", f"cannot be read: {e.strerror}") from e
        return self.call("POST", path, files={"file": (file.name, data)})


class _Told(dict[str, Any]):
    """An answer's JSON, of which all that we ask for is there where it is a facefleet's."""

    def __missing__(self, name: str) -> Any:
        raise Refused("no_facefleet", f"an answer without {name!r}: {NO_FACEFLEET}")


def _told(response: requests.Response, url: str) -> Json:
    try:
        return _Told(response.json())
    except (ValueError, TypeError, RecursionError):
        text = response.text.strip()[:200]
        raise Refused("no_facefleet", f"{url} answers with something else, {text!r}: {NO_FACEFLEET}") from None


def _refusal(response: requests.Response) -> Refused:
    try:
        problem = response.json()
        return Refused(problem["code"], problem["detail"], forcible=problem.get("forcible", False))
    except (requests.JSONDecodeError, KeyError, TypeError):
        text = response.text.strip()[:200]
        return Refused("no_facefleet", f"status {response.status_code}: {text}")
