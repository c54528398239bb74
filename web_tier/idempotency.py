"""The same request again, under a key that its client chose: answered as the first time, and counted once.

The job's id follows from that key and the request, so that whatever is sent twice is one job, with one result. What was
sent under a key is noted, in digests, once it is sent. A key is heeded as the draft has it:
https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
"""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import Enum, auto
from hashlib import sha256
from threading import Condition

from facefleet import answers, keys
from facefleet.errors import Unavailable
from facefleet.idempotencykey import HEADER
from facefleet.model import Job, JobKind
from facefleet.ports import Blobs
from facefleet.problems import Problem
from facefleet.wire import GARBAGE, Json

log = logging.getLogger(__name__)

#: Seconds after which a job without a result is sent again: its message may have been deleted by hand.
RESEND = 300.0
#: Seconds that a request waits while another under its key is sent. Then it is sent, too, which is harmless.
TURN = 10.0


@dataclass(frozen=True, slots=True)
class Asked:
    """A request under a key. `name`: the key's digest; `fingerprint`: the digest of what decides the answer."""

    name: str
    fingerprint: str
    job_id: str


@dataclass(frozen=True, slots=True)
class Sent:
    """What was sent last under a key, as its fingerprint, and when its job was submitted."""

    fingerprint: str
    at: float


class Step(Enum):
    """What becomes of a request. Again: sent before, and perhaps answered meanwhile."""

    SEND = auto()
    SEND_AGAIN = auto()
    WAIT = auto()
    REPLAY = auto()
    REFUSE = auto()


def asked_under(caller: bytes, key: str, job: Job, digest: bytes) -> Asked:
    """`caller`: a digest of who asks, since callers share nothing. Another file, name or parameter is another job."""
    # Of an image as ever: what was noted before an upgrade is to hold behind it.
    more = (job.kind.encode(), str(job.everybody).encode()) if job.kind is JobKind.VIDEO else ()
    fingerprint = _digest(digest, job.filename.encode(), str(job.top_k).encode(), *more)
    whose = (caller, key.encode())
    return Asked(_digest(*whose), fingerprint, _digest(*whose, fingerprint.encode())[:32])


def asked_of_upload(upload_id: str) -> Asked:
    """Whoever asks: the upload is one file, and its id, which nobody guesses, is its job's."""
    name = _digest(b"upload", upload_id.encode())
    return Asked(name, name, upload_id)


def _digest(*parts: bytes) -> str:
    """Of the parts and their lengths, so that no two lists of parts are alike."""
    return sha256(b"".join(len(part).to_bytes(8) + part for part in parts)).hexdigest()


def decide(sent: Sent | None, fingerprint: str, result: Json | None, *, purged: bool, erased: bool, now: float) -> Step:
    """What to do with a request, given what was sent under its key and the result that is stored of its job.

    `purged`, `erased`: whether everything, or an answer that named somebody, was removed since that was sent.
    """
    if sent is None or purged:
        return Step.SEND
    # Either way: what a clock noted that was ahead is not to stand until that time has come.
    age = abs(now - sent.at)
    if age >= keys.IDEMPOTENCY_KEPT:
        return Step.SEND
    if sent.fingerprint != fingerprint:
        return Step.REFUSE
    if result is not None:
        # The one failure that the same image, sent again, mends.
        return Step.SEND if (result["error"] or {}).get("code") == "image_gone" else Step.REPLAY
    return Step.SEND_AGAIN if erased or age >= RESEND else Step.WAIT


class Once:
    """Finds out what becomes of requests under keys, and notes what was sent."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._in_turn: set[str] = set()
        self._turns = Condition()

    @contextmanager
    def turn(self, asked: Asked) -> Iterator[None]:
        """Held by one request under a key at a time, so that the next finds what this one sent."""
        with self._turns:
            self._turns.wait_for(lambda: asked.name not in self._in_turn, TURN)
            self._in_turn.add(asked.name)
        try:
            yield
        finally:
            with self._turns:
                self._in_turn.discard(asked.name)
                self._turns.notify_all()

    def look(self, asked: Asked, now: float) -> tuple[Step, Json | None]:
        """What to do, and the result that is there already; a problem 422 where the key stands for another request."""
        sent = _load(answers.found(self._blobs, keys.sent(asked.name)))
        if sent is None:
            # The common case: nothing else is looked at.
            return Step.SEND, None
        result = answers.stored(self._blobs, asked.job_id)
        purged, erased = answers.purged_since(self._blobs, sent.at), answers.erased_since(self._blobs, sent.at)
        step = decide(sent, asked.fingerprint, result, purged=purged, erased=erased, now=now)
        if step is Step.REFUSE:
            detail = f"this {HEADER} stands for another file, file name or top_k: choose a new one for each request"
            raise Problem(422, "idempotency_key_reused", detail)
        return step, result

    def drop(self, asked: Asked) -> None:
        """Removes a result that will not do: who asks for the next one, or works on it, would take it for that."""
        # The note first: without its result, it would have retries wait for what is perhaps never sent.
        self._blobs.delete(keys.sent(asked.name))
        self._blobs.delete(keys.result(asked.job_id))

    def note(self, asked: Asked, at: float) -> None:
        """To be called once the job is sent. Where this fails, a retry sends the same job again, which is harmless."""
        try:
            self._blobs.put(keys.sent(asked.name), json.dumps(asdict(Sent(asked.fingerprint, at))).encode())
        except Unavailable as e:
            log.warning("job %s: sent, but not noted under its %s: %s", asked.job_id, HEADER, e)


def _load(body: bytes | None) -> Sent | None:
    """None also of what is no note of ours: the request is sent, then, as if it were the first."""
    if body is None:
        return None
    try:
        note = json.loads(body)
        return Sent(str(note["fingerprint"]), float(note["at"]))
    except GARBAGE:
        return None
