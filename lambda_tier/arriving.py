"""Objects that came into a bucket: each recognised, its line stored, its message told, once."""

import logging

from facefleet import answers, course
from facefleet.arrivals import Arrival, arrivals, dead_letter
from facefleet.arrived import job_of, most_bytes
from facefleet.errors import BadMessage, NotFound, TooLarge, Unavailable
from facefleet.model import Failure, Job, Result
from facefleet.settings import Settings
from facefleet.wire import Json
from lambda_tier.outside import Outside
from lambda_tier.telling import Teller, Told
from lambda_tier.work import Left, Work

log = logging.getLogger(__name__)


class Arriving:
    def __init__(self, work: Work, outside: Outside, settings: Settings, teller: Teller) -> None:
        self._work = work
        self._outside = outside
        self._settings = settings
        self._teller = teller
        self._columns = answers.columns_of(settings.columns)
        self._store = course.store_line(self._columns, settings.line_suffix)

    def take(self, event: Json, left: Left) -> None:
        """All of its records, whichever fails; raises `Unavailable` at the end where it is worth to come again.

        What was done by then is not done again.
        """
        failed: list[Exception] = []
        for arrival in arrivals(event):
            try:
                self._record(arrival, left)
            except Exception as e:
                # The others shall not wait for this one.
                log.warning("a record is left for another time", exc_info=None if isinstance(e, Unavailable) else e)
                failed.append(e)
        if failed:
            raise Unavailable(
                f"{len(failed)} of {len(event['Records'])} records are to come again: {failed[0]}"
            ) from failed[0]

    def _record(self, arrival: Arrival | BadMessage, left: Left) -> None:
        identity = "" if isinstance(arrival, BadMessage) else arrival.identity
        with self._teller.record("s3", identity) as told:
            if isinstance(arrival, BadMessage):
                # The same again would be no better.
                told.fails(arrival.code)
                log.warning("a record is left out: %s", arrival)
                return
            told.job = arrival.job_id
            if not self._outside.once.do(identity, lambda: self._handle(arrival, left, told)):
                told.outcome = "done before"

    def _handle(self, arrival: Arrival, left: Left, told: Told) -> None:
        if arrival.bucket == self._settings.output_bucket:
            # Its line would wake us again, for ever.
            told.fails("output_bucket")
            log.error("%s wakes this function and is where it writes: take its notification away", arrival.bucket)
            return
        try:
            data = self._read(arrival)
        except NotFound:
            # Deleted meanwhile.
            told.outcome = "gone"
            return
        except TooLarge as e:
            result = self._refused(arrival, e)
        else:
            # It may have been recognised before somebody was interrupted.
            result = self._work.done(self._job(arrival, data), self._store, left, again=not arrival.is_replayed)
        if result["error"] is not None:
            told.fails(result["error"]["code"])
            self._bury(arrival, result["error"])
            return
        self._outside.responses().send(course.message(result, self._columns))

    def _read(self, arrival: Arrival) -> bytes:
        most = most_bytes(arrival, self._settings)
        return self._outside.objects.get(arrival.bucket, arrival.key, version=arrival.version, most=most)

    def _refused(self, arrival: Arrival, error: TooLarge) -> Json:
        job = self._job(arrival, b"")
        failed = Result(job.id, job.filename, error=Failure(error.code, error.detail))
        return self._store(self._outside.blobs, job, failed, None)

    def _job(self, arrival: Arrival, data: bytes) -> Job:
        return job_of(arrival, data, blob=self._outside.objects.blob(arrival.bucket, arrival.key))

    def _bury(self, arrival: Arrival, error: Json) -> None:
        if self._outside.dead is not None:
            self._outside.dead().send(dead_letter(arrival, error))
