"""Recognition as a call of the function does it: within the time that is left to it."""

import time
from collections.abc import Callable
from dataclasses import replace

from facefleet import answers, course
from facefleet.answers import Store
from facefleet.errors import Unavailable
from facefleet.model import Failure, Job, Result
from facefleet.recognition.encoder import Encoder
from facefleet.recognition.jobs import Jobs
from facefleet.recognition.keeper import Keeper
from facefleet.recognition.processor import Processor
from facefleet.recognition.recogniser import Recogniser, limits_of
from facefleet.settings import Settings
from facefleet.wire import Json
from lambda_tier.outside import Outside

#: Seconds kept for what comes behind looking: the result stored, the answer told.
MARGIN = 4.0
#: Less than this is not begun.
LEAST = 1.0
#: Somebody whom an answer names may be erased while it is made; somebody else, the next time.
TRIES = 3

#: Seconds until the call is ended from outside.
Left = Callable[[], float]


class Work:
    """Holds what is loaded once: the models, and the gallery."""

    def __init__(self, encode: Encoder, keeper: Keeper, outside: Outside, settings: Settings) -> None:
        self._encode = encode
        self._keeper = keeper
        self._outside = outside
        self._settings = settings

    def done(self, job: Job, store: Store, left: Left, *, again: bool, effort: float = float("inf")) -> Json:
        """The job's result, stored. `effort`: seconds that looking at a clip may take, fewer where fewer are left.

        Raises `Unavailable` where there is no time to begin.
        """
        for _ in range(TRIES):
            jobs = self._jobs(store, min(effort, seconds_for_work(left)))
            if (result := jobs.done(job, again=again, received=time.time())) is not None:
                jobs.tell(job, result)
                return result
        raise Unavailable("people were erased while they were recognised: try again")

    def refused(self, job: Job, failure: Failure) -> Json:
        """The job's result, stored and told: that nothing was done."""
        result = course.store_result(self._outside.blobs, job, Result(job.id, job.filename, error=failure), None)
        answers.reply(self._outside.replies, job, result)
        return result

    def clear(self, job: Job, result: Json) -> None:
        """What the job waited in goes."""
        self._jobs(answers.store, LEAST).clear(job, result)

    def tidy(self) -> None:
        self._keeper.tidy()

    def _jobs(self, store: Store, effort: float) -> Jobs:
        limits = limits_of(self._settings)
        limits = replace(limits, clips=replace(limits.clips, effort=min(limits.clips.effort, effort)))
        process = Processor(Recogniser(self._encode, self._keeper, limits), self._outside.people, self._outside.blobs)
        return Jobs(process, self._outside.blobs, self._outside.replies, stands=process.stands, store=store)


def seconds_for_work(left: Left) -> float:
    seconds = left() - MARGIN
    if seconds < LEAST:
        raise Unavailable("no time is left to begin: send fewer at a time, or give the function a longer time-out")
    return seconds
