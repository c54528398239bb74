"""A request's job, done while its client waits; under an `Idempotency-Key` once, and answered as the first time."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256

from facefleet import course
from facefleet.answers import Store
from facefleet.idempotencykey import HEADER, REPLAYED, key_of
from facefleet.model import Job
from facefleet.problems import unless_failed
from facefleet.wire import Json
from lambda_tier import guard
from lambda_tier.asked import Request
from lambda_tier.outside import Outside
from lambda_tier.telling import Told
from lambda_tier.work import Left, Work

#: API Gateway waits for 29 s at most, and a client on the way to it not as long:
#: https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html
EFFORT = 20.0


@dataclass(frozen=True)
class Answer:
    status: int
    body: Json
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Doing:
    work: Work
    outside: Outside

    def answer(self, job: Job, request: Request, left: Left, told: Told) -> Answer:
        """The result; a problem where its job ended without an answer."""
        if (key := key_of(request.headers.get(HEADER.lower()))) is None:
            return Answer(200, unless_failed(self.done(job, left, told)))
        identity, fingerprint = digest("http", guard.caller(request), key), fingerprint_of(job)
        job = replace(job, id=digest(identity, fingerprint))

        def work() -> None:
            self.done(job, left, told, again=True)

        headers = {} if self.outside.once.do(identity, work, fingerprint=fingerprint) else REPLAYED
        # As it was stored; what is forgotten by now is done anew.
        return Answer(200, unless_failed(self.done(job, left, told, again=True), headers), headers)

    def done(
        self, job: Job, left: Left, told: Told, *, again: bool = False, store: Store = course.store_result
    ) -> Json:
        """The result, stored by the job's id."""
        told.job = job.id
        return self.work.done(job, store, left, again=again, effort=EFFORT)


def fingerprint_of(job: Job) -> str:
    """Of what decides the answer."""
    return digest(job.kind, job.filename, str(job.top_k), str(job.everybody), sha256(job.image or b"").hexdigest())


def digest(*parts: str) -> str:
    """32 hexadecimal digits, as a job's id has them; of the parts and their lengths, so that no two lists are alike."""
    encoded = [part.encode("utf-8", "surrogatepass") for part in parts]
    return sha256(b"".join(len(part).to_bytes(8) + part for part in encoded)).hexdigest()[:32]
