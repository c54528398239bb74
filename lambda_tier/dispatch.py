"""One call of the function: what woke it is told, and done."""

from functools import cached_property
from typing import TYPE_CHECKING, Any

from facefleet.settings import Settings
from lambda_tier.arriving import Arriving
from lambda_tier.events import Kind, kind_of
from lambda_tier.outside import Outside
from lambda_tier.telling import Teller
from lambda_tier.work import Left, Work

if TYPE_CHECKING:
    from lambda_tier.api import Api
    from lambda_tier.queued import Queued


class Function:
    """Holds what is made once, some of it with the first event that asks for it."""

    def __init__(self, work: Work, outside: Outside, settings: Settings, teller: Teller) -> None:
        self._work = work
        self._outside = outside
        self._settings = settings
        self._teller = teller
        self._arriving = Arriving(work, outside, settings, teller)

    def __call__(self, event: Any, context: Any) -> Any:
        """What Lambda makes of it depends on the event; raises `BadMessage` for one that is none of ours."""
        with self._teller.invocation(context):
            self._outside.once.begin(context)
            kind = kind_of(event)
            left = left_of(context)
            if kind is Kind.S3:
                return self._arriving.take(event, left)
            if kind is Kind.SQS:
                return self._queued.take(event, context, left)
            if kind in (Kind.HTTP_1, Kind.HTTP_2):
                return self._api.answer(event, kind, context, left)
            return None

    @cached_property
    def _queued(self) -> "Queued":
        from lambda_tier.queued import Queued

        return Queued(self._work, self._arriving, self._outside, self._settings, self._teller)

    @cached_property
    def _api(self) -> "Api":
        # Imported here: routing takes 40 ms to import, which a function that S3 wakes need not pay.
        from lambda_tier.api import Api
        from lambda_tier.doing import Doing
        from lambda_tier.uploaded import Uploaded
        from lambda_tier.views import Views

        doing = Doing(self._work, self._outside)
        uploaded = Uploaded(doing, self._outside, self._settings)
        return Api(Views(doing, uploaded, self._outside, self._settings), self._outside, self._teller)


def left_of(context: Any) -> Left:
    """Seconds until Lambda ends this call."""
    return lambda: float(context.get_remaining_time_in_millis()) / 1000
