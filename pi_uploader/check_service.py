"""The service and its clock, as a check-up finds them. No photo goes there."""

import socket
import time
from collections.abc import Iterator
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from pi_uploader.addresses import in_the_clear, is_here, origin
from pi_uploader.door import Away, Door, Refused, Reply, why
from pi_uploader.errands import wanted
from pi_uploader.findings import Finding
from pi_uploader.settings import BadSettings, Settings

#: Seconds that two clocks may differ. The service tells its own in whole seconds.
SAME_TIME = 5.0
OTHER = "is the port right? A login page of a guest Wi-Fi answers for everybody: log in there"
#: A result that nobody has; to look for it needs the scope `recognise`, whichever entrance this is.
NOBODYS = f"/v1/recognitions/{32 * '0'}"
CLEAR = "key and faces travel in the clear, for all on the way to read: outside of a network of your own use https"
#: What to do about what `/readyz` names.
READY = {
    "controller": "start its controller: `facefleet up`, or `python -m controller`",
    "samples": "wait until it has set itself up",
    "blobs": "is its disk full, or not writable?",
}


def service(settings: Settings) -> Iterator[Finding]:
    try:
        door = Door(settings)
    except BadSettings as e:
        yield Finding("service", False, "cannot be asked with these settings", str(e))
        return
    yield from _asked(door, settings)


def _asked(door: Door, settings: Settings) -> Iterator[Finding]:
    started, sent_at = time.monotonic(), time.time()
    try:
        reply = door.ask("GET", "/healthz")
    except Away as e:
        yield Finding("service", False, f"{door.url} cannot be reached ({why(e)})", why_away(door.url, why(e)))
        yield Finding("clock", False, "cannot be compared: the service does not answer", "see what is said of it")
        return
    round_trip = time.monotonic() - started
    yield (alive := health(reply, door.url, round_trip))
    yield clock(reply.headers.get("Date"), sent_at + round_trip / 2)
    if not alive.ok:
        return
    try:
        yield readiness(door.ask("GET", "/readyz"))
        yield key(door.ask("GET", NOBODYS), settings)
        if settings.upload == "presigned":
            yield uploads(door)
    except Away as e:
        yield Finding("ready", False, str(e), "it has answered just before: check again")


def why_away(url: str, words: str) -> str:
    """What to do about a service that cannot be reached: is it the name, the certificate, or who listens?"""
    parts = urlsplit(url)
    if "CERTIFICATE" in words.upper():
        return "the certificate of an authority of your own goes into ca_file; and is the date here right? See `date`"
    try:
        socket.getaddrinfo(parts.hostname, parts.port or 80)
    except (OSError, ValueError):
        # A ValueError: it cannot be a name, or its port cannot be one.
        return f"the name {parts.hostname} is not known here: correct url, or connect this machine: `ip address`"
    if is_here(parts.hostname or ""):
        return "start facefleet on this machine; on another one, url names that machine's address instead"
    return (
        "start facefleet there, with FACEFLEET_HOST=0.0.0.0 if it is to hear other machines; does a firewall stop it?"
    )


def health(reply: Reply, url: str, round_trip: float) -> Finding:
    """What the answer to `/healthz` says."""
    if HTTPStatus.MULTIPLE_CHOICES <= reply.status < HTTPStatus.BAD_REQUEST:
        where = reply.headers.get("Location", "elsewhere")
        return Finding("service", False, f"{url} sends us to {where}", "no capture follows: correct url")
    if reply.status == HTTPStatus.FORBIDDEN:
        words = "a service without keys answers on its own machine alone: start it with FACEFLEET_API_KEYS"
        return Finding("service", False, f"{url} answers us {reply.status}", words)
    if _told(reply).get("status") != "alive":
        return Finding("service", False, f"what answers at {url} is not facefleet ({reply.status})", OTHER)
    version = _told(reply).get("version", "?")
    return Finding("service", True, f"{url} is facefleet {version}, {1000 * round_trip:.0f} ms there and back")


def readiness(reply: Reply) -> Finding:
    """What the answer to `/readyz` says."""
    failing = _told(reply).get("failing")
    if reply.status == HTTPStatus.NOT_FOUND:
        return Finding("ready", True, "it does not say: a function is ready once it is asked")
    if not isinstance(failing, list):
        return Finding("ready", False, f"whether it is ready it does not say ({reply.status})", OTHER)
    if failing:
        names = ", ".join(str(name) for name in failing)
        todo = [READY[name] for name in failing if name in READY]
        words = "; ".join(todo) or "see its log, and `facefleet doctor` on its machine"
        return Finding("ready", False, f"it cannot answer a photo now: {names} fails", words)
    return Finding("ready", True, "it can answer a photo")


def key(reply: Reply, settings: Settings) -> Finding:
    """What the answer to a question that needs the scope `recognise` says of our key."""
    detail = str(_told(reply).get("detail", reply.status))
    if reply.status == HTTPStatus.UNAUTHORIZED:
        told = "our key is not taken" if settings.api_key else "a key is needed, and none is set"
        words = "set api_key, or FACEFLEET_API_KEY, to one of the service's FACEFLEET_API_KEYS"
        return Finding("key", False, f"{told} ({detail})", words)
    if reply.status == HTTPStatus.FORBIDDEN:
        words = "give it the scope on the service: FACEFLEET_API_KEYS=KEY:recognise+enrol"
        return Finding("key", False, f"our key may not recognise ({detail})", words)
    if reply.status != HTTPStatus.NOT_FOUND or _told(reply).get("code") != "not_found":
        return Finding("key", False, f"whether our key is taken it does not say ({detail})", "check again in a while")
    told = "our key is taken, and may recognise" if settings.api_key else "none is set, and none is asked for"
    return Finding("key", True, told, CLEAR if settings.api_key and in_the_clear(settings.url) else "")


def uploads(door: Door) -> Finding:
    """Whether captures may go right into the service's bucket. It gives a URL, to which nothing is put."""
    try:
        upload = wanted(door, "check.jpg", b"0")
        door.ask_elsewhere("GET", upload.url)
    except Refused as e:
        return Finding("uploads", False, f"{door.url} signs no URL for captures", str(e))
    except Away as e:
        return Finding(
            "uploads", False, str(e), "see the settings url and upload, and what the service says in its log"
        )
    return Finding("uploads", True, f"captures go to {origin(upload.url)}, by URLs that the service signs")


def clock(date: str | None, now: float) -> Finding:
    """What the header `Date` of an answer says of the clock here, which was at `now` when it was written."""
    there = _time_of(date)
    if there is None:
        return Finding("clock", False, "cannot be compared: no time came with the answer", "see `timedatectl`")
    off = now - there
    if abs(off) <= SAME_TIME:
        return Finding("clock", True, "as the service's, to a few seconds")
    words = (
        "see `timedatectl` here and there; `sudo timedatectl set-ntp true` sets a clock by the network, since a Pi has"
        " none of its own; until then times in answers are wrong, and https may fail"
    )
    return Finding("clock", False, f"{_span(abs(off))} {'ahead of' if off > 0 else 'behind'} the service's", words)


def _told(reply: Reply) -> dict[str, Any]:
    return reply.body if isinstance(reply.body, dict) else {}


def _time_of(date: str | None) -> float | None:
    try:
        told = parsedate_to_datetime(date or "")
    except ValueError:
        return None
    # One of no zone is one of UTC: RFC 9110, section 5.6.7.
    return (told if told.tzinfo else told.replace(tzinfo=UTC)).timestamp()


def _span(seconds: float) -> str:
    for unit, name in ((86_400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.1f} {name}"
    return f"{seconds:.0f} s"
