"""An event object by object: each recognised, and its result brought home, or the reason why there is none told."""

import logging
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from facefleet import answers
from facefleet.arrivals import Arrival, dead_letter
from facefleet.errors import BadMessage, Unavailable
from facefleet.settings import Settings
from facefleet.wire import Json
from openstack_relay.doing import Fate, Outcome
from openstack_relay.incoming import Event
from openstack_relay.outgoing import row_of

log = logging.getLogger(__name__)

#: A worker's word for a file that was deleted before it looked.
GONE = "image_gone"


class Home(Protocol):
    """Where results are kept as files."""

    def keep(self, stem: str, line: str, *, sent_at: float) -> Path:
        """Returns once it is safe."""


class Recognise(Protocol):
    """Says who is on an object that came."""

    def __call__(self, arrival: Arrival) -> Json | None:
        """The result, stored by the arrival's job id; None where the object is gone. Raises `Unavailable`."""


class Each:
    """Brings an event's results home itself. Threads may share it."""

    def __init__(self, recognise: Recognise, home: Home, settings: Settings) -> None:
        self._recognise = recognise
        self._home = home
        self._output_bucket = settings.output_bucket
        self._columns = answers.columns_of(settings.columns)
        self._timeout = settings.relay_timeout

    def __call__(self, event: Event) -> Outcome:
        """All of its objects, whichever fails; raises `Unavailable` where it is to come again, which is harmless.

        So it does where its objects together take longer than one may: what is done by then is found the next time.
        """
        told, failed, ends = list[tuple[Fate, str]](), list[Unavailable](), time.monotonic() + self._timeout
        for arrival in event.arrivals:
            if (told or failed) and time.monotonic() > ends:
                failed.append(Unavailable(f"the rest of {len(event.arrivals)} objects waits: they take long"))
                break
            try:
                told.append(self._one(arrival, told_at(event.body)))
            except BadMessage as e:
                told.append((_told(arrival, Fate.FAILED, e.code), dead_letter(arrival, _error(e))))
            except Unavailable as e:
                # The others shall not wait for this one.
                failed.append(e)
        if failed:
            raise failed[0]
        return outcome_of(told)

    def _one(self, arrival: Arrival, at: float) -> tuple[Fate, str]:
        """What became of it, and its dead letter, if any."""
        if arrival.bucket == self._output_bucket:
            # What is written there would come back as an arrival, for ever.
            log.error("%s tells us of what we write there: take its notification away", arrival.bucket)
            return Fate.FAILED, ""
        result = self._recognise(arrival)
        if result is None:
            return _told(arrival, Fate.GONE), ""
        if (error := result["error"]) is None:
            kept = row_of(result, self._columns)
            self._home.keep(kept.stem, kept.line, sent_at=at)
            return _told(arrival, Fate.DONE), ""
        if error["code"] == GONE:
            return _told(arrival, Fate.GONE), ""
        return _told(arrival, Fate.FAILED, error["code"]), dead_letter(arrival, error)


def outcome_of(told: list[tuple[Fate, str]]) -> Outcome:
    """Of all objects together: one that failed counts most, one that is gone least."""
    fates = {fate for fate, _ in told}
    fate = next(one for one in (Fate.FAILED, Fate.DONE, Fate.GONE) if one in fates)
    return Outcome(fate, tuple(letter for _, letter in told if letter))


def told_at(body: Mapping[str, Any]) -> float:
    """When S3 saw what it tells of; now, where it does not say."""
    try:
        return datetime.fromisoformat(body["Records"][0]["eventTime"]).timestamp()
    except (LookupError, TypeError, ValueError, OverflowError):
        return time.time()


def _error(error: BadMessage) -> Json:
    return {"code": error.code, "detail": error.detail}


def _told(arrival: Arrival, fate: Fate, why: str = "") -> Fate:
    # The id alone: names of files, and words that may hold one's name, outlive an erasure in a log.
    log.info("job %s: %s %s", arrival.job_id, fate, why)
    return fate
