"""`enrol NAME`: takes photos of the person in front of the camera until so many are enrolled.

Each goes through spool and uploader as every capture does, and the next is taken once its answer is there: the service
checks each photo, and what it says is what the person is to do.
"""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from queue import Empty, SimpleQueue
from unicodedata import normalize
from urllib.parse import quote

from pi_uploader.answers import Answer, Outcome
from pi_uploader.camera import CameraError
from pi_uploader.client import Client
from pi_uploader.door import Away, Refused, failure
from pi_uploader.service import ENROL, add_person
from pi_uploader.settings import BadSettings
from pi_uploader.spool import MAX_LABEL_BYTES, Item, SpoolFull
from pi_uploader.tally import NO_PHOTO, NO_ROOM, Tally

#: Seconds from an answer to the next photo: time to move.
PAUSE = 0.7
#: So many pauses after a word of what to do.
PROMPT_PAUSES = 3
#: Photos from one word of what to do to the next.
PROMPT_EVERY = 3
#: Seconds without an answer, after which is said that it is still awaited.
PATIENCE = 30.0
#: Seconds until a service that is away is asked again for the person.
RETRY = 3.0
#: On Windows a wait hears no Ctrl-C before it ends: https://bugs.python.org/issue35935
LISTEN = 1.0
PROMPTS = (
    "look straight into the camera",
    "turn your head a little to the left",
    "and a little to the right",
    "look up a little",
    "and down a little",
    "smile",
    "come a little nearer",
    "go back a little",
)


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Answers from other threads, and the wish to stop, also from signal handlers, which a lock would stop for good."""

    queue: "SimpleQueue[tuple[Item, Answer] | None]" = field(default_factory=SimpleQueue)

    def answered(self, item: Item, answer: Answer) -> None:
        self.queue.put((item, answer))

    def stop(self) -> None:
        self.queue.put(None)

    def answer_to(self, item: Item | None, timeout: float) -> Answer | None:
        """None if it does not come in time. Raises `Stopped`."""
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            try:
                arrived = self.queue.get(timeout=min(left, LISTEN))
            except Empty:
                continue
            if arrived is None:
                raise Stopped
            if item is not None and arrived[0].key == item.key:
                return arrived[1]
        return None


class Stopped(Exception):
    """Somebody ended it."""


class GaveUp(Exception):
    """It cannot be done; the message says what to do."""


def enrol(client: Client, arrivals: Arrivals, name: str, photos: int, *, pause: float = PAUSE) -> bool:
    """Whether all were enrolled; says so. Raises `BadSettings` for a name or number that cannot be, `CameraError`."""
    id, tally = person_id(name), Tally(wanted(photos))
    for line in privacy(name, id, client):
        client.say(line)
    client.open_camera()
    try:
        ready_person(client, arrivals, id, name)
        for tally in tallies(client, arrivals, id, Tally(photos), pause):
            client.say(tally.words)
    except Stopped:
        client.say("stopped; what was not sent is deleted" if withdrawn(client, id) else "stopped")
    except GaveUp as e:
        client.say(f"given up: {e}")
    client.say(f"{tally.enrolled} of {photos} photos of {name} enrolled, {tally.taken} taken")
    return tally.enrolled >= photos


def withdrawn(client: Client, id: str) -> bool:
    """Whether photos of the person waited: they go, since whoever ends this may have changed their mind."""
    items = [item for item in client.spool.items() if item.label == f"{ENROL}{id}"]
    for item in items:
        client.spool.remove(item)
    return bool(items)


def wanted(photos: int) -> int:
    if photos < 1:
        raise BadSettings(f"-n is {photos}: one photo is the least")
    return photos


def person_id(name: str) -> str:
    """`Mary Smith` → `Mary_Smith`, as the service's own tools make it. Raises `BadSettings` where none can be made."""
    id = re.sub(r"[^\w.@-]+", "_", normalize("NFC", name)).lstrip(".@-")[:64]
    if not id.strip("_"):
        raise BadSettings(f"{name!r} is no name: it needs a letter or a digit")
    if len((ENROL + id).encode()) > MAX_LABEL_BYTES:
        raise BadSettings(f"{name!r} is too long for a file's name: use a shorter one")
    return id


def privacy(name: str, id: str, client: Client) -> tuple[str, ...]:
    """For whoever stands there, before anything is taken."""
    return (
        f"{name}, if you agree: photos of you, and what is measured of your face, go to {client.door.url}, and stay"
        f" until somebody there says `facefleet people erase {id}`.",
        "On this machine a photo stays until the service has answered it; a line with your name and the time stays for"
        f" {client.settings.keep_days:g} days. Ctrl-C ends this.",
    )


def ready_person(client: Client, arrivals: Arrivals, id: str, name: str) -> None:
    """Returns once there is such a person, however long the service is away. Raises `GaveUp` and `Stopped`."""
    said = ""
    while True:
        try:
            return _add(client, id, name)
        except Refused as e:
            raise GaveUp(str(e)) from None
        except Away as e:
            if str(e) != said:
                client.say(f"{e}; it is tried again")
            said = str(e)
            arrivals.answer_to(None, max(RETRY, e.retry_after or 0.0))


def _add(client: Client, id: str, name: str) -> None:
    reply = client.door.ask("GET", f"/v1/people/{quote(id, safe='')}")
    if reply.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        # Settings are read at the start: to wait does not help.
        raise GaveUp(f"{failure(reply, client.door.url)}, with one that may enrol")
    if not add_person(client.door, id, name):
        photos = reply.body.get("photos") if isinstance(reply.body, dict) else None
        has = f", with {len(photos)} photos" if isinstance(photos, list) else ""
        client.say(f"{id} is there already{has}: these are added")


def tallies(client: Client, arrivals: Arrivals, id: str, tally: Tally, pause: float) -> Iterator[Tally]:
    """One after each photo, until all are enrolled. Raises `GaveUp` and `Stopped`."""
    prompted = -1
    while True:
        if (number := tally.enrolled // PROMPT_EVERY) > prompted:
            prompted = number
            client.say(f"  {PROMPTS[number % len(PROMPTS)]}")
            arrivals.answer_to(None, PROMPT_PAUSES * pause)
        tally = tally.after(one_photo(client, arrivals, id))
        yield tally
        if tally.enrolled >= tally.wanted:
            return
        if why := tally.given_up:
            raise GaveUp(why)
        arrivals.answer_to(None, pause)


def one_photo(client: Client, arrivals: Arrivals, id: str) -> Answer:
    """What became of a new photo, however long that takes. Raises `Stopped`."""
    try:
        item = client.capture(f"{ENROL}{id}")
    except CameraError as e:
        return Answer(Outcome.REFUSED, str(e), code=NO_PHOTO)
    except SpoolFull as e:
        return Answer(Outcome.REFUSED, str(e), code=NO_ROOM)
    client.uploader.nudge()
    while (answer := arrivals.answer_to(item, PATIENCE)) is None:
        client.say(f"no answer for {PATIENCE:.0f} s: it is awaited; Ctrl-C ends this, and deletes the photo")
    return answer
