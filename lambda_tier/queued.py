"""Messages of SQS, each on its own: a job as workers do it, a notification of S3's, or the course's form of 2025."""

import json
import logging
import time
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, cast

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from facefleet import course, wire
from facefleet.arrivals import is_test
from facefleet.errors import BadMessage, Unavailable
from facefleet.model import Failure, Job, JobKind
from facefleet.problems import Problem
from facefleet.settings import Settings
from facefleet.wire import GARBAGE, Json
from lambda_tier import files
from lambda_tier.arriving import Arriving
from lambda_tier.outside import Outside
from lambda_tier.telling import Teller, Told
from lambda_tier.work import Left, Work

log = logging.getLogger(__name__)

#: A function may read people, and write nothing of them (deploy/policies/function.json).
CANNOT_ENROL = Failure(
    "cannot_enrol", "a function only recognises: enrol by a service, POST /v1/people/{id}/photos, or facefleet roster"
)


class Queued:
    def __init__(self, work: Work, arriving: Arriving, outside: Outside, settings: Settings, teller: Teller) -> None:
        self._work = work
        self._arriving = arriving
        self._outside = outside
        self._settings = settings
        self._teller = teller

    def take(self, event: Json, context: Any, left: Left) -> Json:
        """Which messages failed: SQS gives these out again, and those that failed too often to the dead letters."""
        for record in event["Records"]:
            if not isinstance(record.get("messageId"), str):
                raise BadMessage("a record without a messageId, by which it could be said to have failed")
        processor = BatchProcessor(EventType.SQS, raise_on_entire_batch_failure=False)
        return cast(
            Json,
            process_partial_response(
                event=dict(event),
                record_handler=lambda record: self._one(record, left),
                processor=processor,
                context=context,
            ),
        )

    def _one(self, record: SQSRecord, left: Left) -> None:
        try:
            with self._teller.record("sqs", str(record["messageId"])) as told:
                self._message(record, left, told)
        except (BadMessage, Unavailable, Problem) as e:
            log.warning("message %s comes again: %s", record["messageId"], e)
            raise
        except Exception:
            log.exception("message %s comes again", record["messageId"])
            raise

    def _message(self, record: SQSRecord, left: Left, told: Told) -> None:
        text = record.raw_event.get("body")
        if not isinstance(text, str):
            raise BadMessage("a message without a text")
        body = _object(text)
        if is_test(body):
            told.outcome = "test"
        elif isinstance(body.get("Records"), list):
            self._arriving.take(body, left)
        elif (request_id := course.asked_by_form(body)) is not None:
            self._form(request_id, body, str(record["messageId"]), left, told)
        else:
            self._job(wire.load_job(text), _receives(record), left, told)

    def _job(self, job: Job, receives: int, left: Left, told: Told) -> None:
        told.job = job.id
        if job.kind is JobKind.TIDY:
            self._work.tidy()
            return
        if job.kind is JobKind.ENROL:
            result = self._work.refused(job, CANNOT_ENROL)
        else:
            result = self._work.done(job, course.store_result, left, again=receives > 1 or job.again)
        if result["error"] is not None:
            told.fails(result["error"]["code"])
        self._work.clear(job, result)

    def _form(self, request_id: str, body: Json, message_id: str, left: Left, told: Told) -> None:
        told.job = sha256(message_id.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        file = files.file_of_json(body)
        job = Job(told.job, file.kind, file.filename, time.time(), image=file.data)

        def work() -> None:
            result = self._work.done(job, course.store_result, left, again=True)
            if result["error"] is not None:
                # With the dead letters it is seen; nobody is answered "unknown" of what could not be read.
                raise BadMessage(result["error"]["detail"])
            self._outside.responses().send(json.dumps(course.form_answer(request_id, result)))

        if not self._outside.once.do(told.job, work):
            told.outcome = "done before"


def _object(text: str) -> Json:
    """A JSON object; raises `BadMessage`."""
    try:
        body = json.loads(text)
    except GARBAGE as e:
        raise BadMessage(f"a message that is no JSON: {e}"[:200]) from e
    if not isinstance(body, Mapping):
        raise BadMessage("a message that is no JSON object")
    return dict(body)


def _receives(record: SQSRecord) -> int:
    """How often it was received; a number that nobody can read counts as many, and the job is looked for first."""
    try:
        return int(record.raw_event["attributes"]["ApproximateReceiveCount"])
    except GARBAGE:
        return 2
