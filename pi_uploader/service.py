"""What the client asks the service: who is this, and: enrol this. Each may be asked again, and counts once."""

import threading
import time
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from pi_uploader.answers import Answer, Outcome, answer_of
from pi_uploader.door import FINAL, PASSING, Away, Door, Refused, strange, told
from pi_uploader.errands import Errand, Pause, awaited, bring, result_of
from pi_uploader.forms import TYPES
from pi_uploader.spool import Item

#: What the service says where there is such a person already.
EXISTS = "person_exists"
#: What a capture to enrol is labelled with, before the person's id.
ENROL = "enrol-"
#: A person may be there already, or a photo; or the person was erased since.
FINAL_ENROLLING = FINAL | {404, 409}
#: Captures of which is kept how far they have got; the oldest is forgotten first, which costs a try from the beginning.
MAX_ERRANDS = 256


class Service:
    """Asks what each capture was taken for. For many threads, one capture in one of them at a time."""

    def __init__(self, door: Door, *, presigned: bool = False) -> None:
        """`presigned`: files go where the service says, as into its bucket, and not through its door."""
        self._door = door
        self._presigned = presigned
        self._errands: dict[str, Errand] = {}
        self._choosing = threading.Lock()

    def ask(self, item: Item, image: bytes, pause: Pause = time.sleep) -> Answer:
        """What the service says of it. Raises `Away`, and then goes on where it was when it is asked again."""
        started = time.monotonic()
        try:
            if item.label.startswith(ENROL):
                return _enrol(self._door, item.label.removeprefix(ENROL), item, image, started)
            answer = self._recognise(item, image, started, pause)
        except Refused as e:
            answer = Answer(Outcome.REFUSED, str(e), code=e.code, round_trip=time.monotonic() - started)
        with self._choosing:
            self._errands.pop(item.key, None)
        return answer

    def _recognise(self, item: Item, image: bytes, started: float, pause: Pause) -> Answer:
        errand = self._errand(item.key)
        result = awaited(self._door, errand, pause) if errand.place else self._sent(item, image, errand, pause)
        try:
            if (error := result["error"]) is None:
                return answer_of(result, time.monotonic() - started)
            # One that was waited for says so itself; else a problem came at once.
            code, detail = str(error["code"]), told(error["detail"])
        except (LookupError, TypeError, ValueError, AttributeError):
            raise Away(strange(self._door.url, 200), of_one=True) from None
        if code not in PASSING:
            raise Refused(detail, code)
        errand.begin_anew()
        raise Away(detail, of_one=True)

    def _sent(self, item: Item, image: bytes, errand: Errand, pause: Pause) -> Any:
        path, key = "/v1/videos" if item.is_clip else "/v1/recognitions", {"Idempotency-Key": item.key}
        if self._presigned:
            body: dict[str, Any] = {"json": {"upload": bring(self._door, errand, filename(item), image)}}
        else:
            path = f"{path}?filename={filename(item)}"
            body, key["Content-Type"] = {"data": image}, TYPES[item.suffix]
        return result_of(self._door, errand, self._door.ask("POST", path, headers=key, **body), pause)

    def _errand(self, key: str) -> Errand:
        # Two at once would each take away what the other looks at.
        with self._choosing:
            while len(self._errands) >= MAX_ERRANDS and key not in self._errands:
                self._errands.pop(next(iter(self._errands)), None)
            return self._errands.setdefault(key, Errand())


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


def _enrol(door: Door, person_id: str, item: Item, image: bytes, started: float) -> Answer:
    path = f"/v1/people/{quote(person_id, safe='')}/photos?filename={filename(item)}"
    reply = door.post(path, data=image, headers={"Content-Type": TYPES[item.suffix]}, final=FINAL_ENROLLING)
    if not (isinstance(reply, dict) and isinstance(reply.get("photo"), dict)):
        raise Away(strange(door.url, 201), of_one=True)
    return Answer(Outcome.ENROLLED, "enrolled", (person_id,), round_trip=time.monotonic() - started)
