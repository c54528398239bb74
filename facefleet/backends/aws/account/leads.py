"""Whether the controller that there is leads the fleet, by the status that whoever leads tells."""

import json
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from facefleet import keys
from facefleet.backends.aws.account.rollout import Group
from facefleet.backends.aws.faults import translated
from facefleet.errors import NotFound

#: Seconds: the status is written every ten, or thirty at rest.
YOUNG = 45.0


@dataclass(frozen=True, slots=True)
class Told:
    """A controller's word: which leader's, when by S3's clock, and how many seconds ago."""

    epoch: int = 0
    told_at: float = 0.0
    age: float = float("inf")


@dataclass
class Leads:
    """As it was asked from the first time on."""

    s3: Any
    state_bucket: str
    _first: Told | None = None
    _last: Told | None = None
    _led: tuple[str, int] | None = None

    def now(self, controllers: Group, *, has_changed: bool) -> bool:
        """Whether there is one controller, as wanted, and it tells the fleet's status.

        One that led before anything was changed does while what is told is young, by S3's own clock. One that came
        since has an epoch of its own: the last word of who led before may come late.
        """
        status = self._status()
        first = self._first = self._first or status
        one = controllers.machines[0] if len(controllers.machines) == 1 else None
        if one is None or self._last is None:
            self._last = status
        if one is None or not (one.fits and one.is_up):
            return False
        is_young = status.age < YOUNG
        if is_young and not has_changed:
            self._led = one.id, status.epoch
        if self._led == (one.id, status.epoch):
            return is_young
        is_news = one.launched_at <= first.told_at and status.told_at > self._last.told_at
        return is_news or status.epoch > first.epoch

    def _status(self) -> Told:
        try:
            with translated("looking who leads"):
                found = self.s3.get_object(Bucket=self.state_bucket, Key=keys.FLEET_STATUS)
                body = json.loads(found["Body"].read())
        except NotFound:
            return Told()
        now = parsedate_to_datetime(found["ResponseMetadata"]["HTTPHeaders"]["date"])
        return Told(body["epoch"], found["LastModified"].timestamp(), (now - found["LastModified"]).total_seconds())
