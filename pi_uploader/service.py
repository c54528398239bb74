"""What the client asks the service: who is this, and: enrol this. Each may be asked again, and counts once."""

import time
from datetime import UTC, datetime
from urllib.parse import quote

from pi_uploader.answers import Answer, Outcome, answer_of
from pi_uploader.door import FINAL, Away, Door, Refused, strange
from pi_uploader.spool import Item

#: What the service says where there is such a person already.
EXISTS = "person_exists"
TYPES = {"jpg": "image/jpeg", "png": "image/png"}
#: What a capture to enrol is labelled with, before the person's id.
ENROL = "enrol-"
#: A person may be there already, or a photo; or the person was erased since.
FINAL_ENROLLING = FINAL | {404, 409}


def ask(door: Door, item: Item, image: bytes) -> Answer:
    """What the capture was taken for. Raises `Away`."""
    started = time.monotonic()
    try:
        if item.label.startswith(ENROL):
            return _enrol(door, item.label.removeprefix(ENROL), item, image, started)
        return _recognise(door, item, image, started)
    except Refused as e:
        return Answer(Outcome.REFUSED, str(e), code=e.code, round_trip=time.monotonic() - started)


def add_person(door: Door, person_id: str, name: str) -> bool:
    """False if there is such a person already. Raises `Away` and `Refused`."""
    try:
        person = door.post("/v1/people", json={"id": person_id, "name": name}, final=FINAL_ENROLLING)
    except Refused as e:
        if e.code == EXISTS:
            return False
        raise
    if not isinstance(person, dict) or person.get("id") != person_id:
        raise Away(strange(door.url, 201))
    return True


def filename(item: Item) -> str:
    """The same each time, and no other capture's: the service keeps images by it."""
    taken = datetime.fromtimestamp(item.taken_at, UTC).strftime("%Y%m%dT%H%M%S")
    return f"pi-{taken}-{item.key[:8]}.{item.suffix}"


def _recognise(door: Door, item: Item, image: bytes, started: float) -> Answer:
    headers = {"Content-Type": TYPES[item.suffix], "Idempotency-Key": item.key}
    result = door.post(f"/v1/recognitions?filename={filename(item)}", data=image, headers=headers)
    try:
        return answer_of(result, time.monotonic() - started)
    except (LookupError, TypeError, ValueError, AttributeError):
        raise Away(strange(door.url, 200), of_one=True) from None


def _enrol(door: Door, person_id: str, item: Item, image: bytes, started: float) -> Answer:
    path = f"/v1/people/{quote(person_id, safe='')}/photos?filename={filename(item)}"
    reply = door.post(path, data=image, headers={"Content-Type": TYPES[item.suffix]}, final=FINAL_ENROLLING)
    if not (isinstance(reply, dict) and isinstance(reply.get("photo"), dict)):
        raise Away(strange(door.url, 201), of_one=True)
    return Answer(Outcome.ENROLLED, "enrolled", (person_id,), round_trip=time.monotonic() - started)
