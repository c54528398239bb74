"""How far a capture has got at the service, so that a try again goes on from there.

A URL to put it at, where the service gives one (signed for this one file, as by S3), and where its result will be. That
is lost with the process: then the errand is begun anew, which is harmless.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from typing import Any

from pi_uploader.door import Away, Door, Reply, failure, retry_after, strange

#: Seconds until a result is asked for: the first time, later, and in all, with the time that the looks themselves take,
#: before it is another capture's turn.
FIRST_LOOK, LAST_LOOK, LOOK_FOR = 0.1, 2.0, 60.0
GROWTH = 1.5
#: Where a result will be, as the service names it: on its own host, whatever stands before.
PLACE = re.compile(r"/v1/(?:recognitions|videos)/[0-9a-f]{32}")
#: The service's own, where it runs on one machine alone.
NO_UPLOADS = "no_uploads"
#: Statuses that say that a thing is not there, any more or yet.
MISSING = frozenset({404, 410})

#: Waits so many seconds; true if there is more to do than to wait: the program ends, or somebody waits at the button.
Pause = Callable[[float], object]


@dataclass(frozen=True, slots=True)
class Upload:
    """A URL that takes one file, by PUT with these headers."""

    id: str
    url: str
    headers: Mapping[str, str]


@dataclass(slots=True)
class Errand:
    """`is_there`: the file is where `upload` says. `place`: where its result will be; empty while nobody has said."""

    upload: Upload | None = None
    is_there: bool = False
    place: str = ""

    def begin_anew(self) -> None:
        self.upload, self.is_there, self.place = None, False, ""


def bring(door: Door, errand: Errand, name: str, image: bytes) -> str:
    """Has the file where the service says; returns the id of its upload. Raises `Away` and `Refused`."""
    if errand.upload is None:
        errand.upload = wanted(door, name, image)
    if not errand.is_there:
        put(door, errand, errand.upload, image)
        errand.is_there = True
    return errand.upload.id


def wanted(door: Door, name: str, image: bytes) -> Upload:
    """A new URL for this file alone. Raises `Away` and `Refused`."""
    about = {"filename": name, "bytes": len(image), "sha256": sha256(image).hexdigest()}
    reply = door.ask("POST", "/v1/uploads", json=about)
    told = reply.body if isinstance(reply.body, dict) else {}
    if told.get("code") == NO_UPLOADS:
        raise Away(f"{door.url} has no bucket to upload to: set upload to direct")
    if reply.status not in (HTTPStatus.OK, HTTPStatus.CREATED):
        raise failure(reply, door.url)
    try:
        upload = told["upload"]
        return Upload(str(upload["id"]), str(upload["url"]), {str(k): str(v) for k, v in upload["headers"].items()})
    except (LookupError, TypeError, AttributeError):
        raise Away(strange(door.url, reply.status)) from None


def put(door: Door, errand: Errand, upload: Upload, image: bytes) -> None:
    """Raises `Away`; where the URL is no good, it is asked for anew with the next try."""
    reply = door.ask_elsewhere("PUT", upload.url, data=image, headers=dict(upload.headers))
    if reply.status in (HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.NO_CONTENT):
        return
    if reply.status < HTTPStatus.INTERNAL_SERVER_ERROR:
        # It is too old, as after a long time without a network, or not for this.
        errand.begin_anew()
    words = f"the bucket to which {door.url} sends captures does not take them ({reply.status})"
    raise Away(f"{words}: is the clock of the service right?", retry_after(reply), of_one=True)


def result_of(door: Door, errand: Errand, reply: Reply, pause: Pause) -> Any:
    """What `reply` has, or what is found where it says, once it is there. Raises `Away` and `Refused`."""
    if reply.status == HTTPStatus.OK and reply.body is not None:
        return reply.body
    if reply.status in MISSING:
        # What was put there is gone, or is not seen yet.
        errand.begin_anew()
    found = PLACE.search(reply.headers.get("Location", ""))
    if reply.status != HTTPStatus.ACCEPTED or found is None:
        raise failure(reply, door.url)
    errand.place = found[0]
    return awaited(door, errand, pause)


def awaited(door: Door, errand: Errand, pause: Pause) -> Any:
    """The result, once it is there. Raises `Away`, also where it takes too long: the next try waits on."""
    words = f"{door.url} has taken it, and is not done yet"
    deadline = time.monotonic() + LOOK_FOR
    for seconds in looks():
        if pause(seconds):
            raise Away(words, waited=True)
        reply = door.ask("GET", errand.place)
        if reply.status == HTTPStatus.OK and reply.body is not None:
            return reply.body
        if reply.status != HTTPStatus.ACCEPTED:
            # Nobody knows of it any more: it is asked for again.
            errand.place = "" if reply.status in MISSING else errand.place
            raise failure(reply, door.url)
        if time.monotonic() >= deadline:
            break
    raise Away(words, of_one=True, waited=True)


def looks() -> Iterator[float]:
    """Seconds from one look to the next: soon at first, since most are done within one."""
    seconds, left = FIRST_LOOK, LOOK_FOR
    while left > 0:
        yield seconds
        left -= seconds
        seconds = min(GROWTH * seconds, LAST_LOOK)
