"""A stack of CloudFormation followed while it moves: each event is told once, until all has come to rest."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from facefleet.backends.aws.account.looks import looks
from facefleet.backends.aws.account.stack_told import Event, Standing, as_event, is_moving
from facefleet.backends.aws.faults import Expired, code_of, translated
from facefleet.errors import Unavailable

#: Seconds that a stack may take: a table or a gateway takes minutes, and a machine whose shutdown drains some more.
PATIENCE = 1800.0
#: Seconds without an answer of AWS: what was begun goes on meanwhile, and is not to be taken for a failure.
UNANSWERED = 120.0

Tell = Callable[[Event], object]


class Watch:
    """Of a stack, by its id or name, from now on: what happened before is no news."""

    def __init__(self, cloudformation: Any, stack: str) -> None:
        self._calls, self._stack = cloudformation, stack
        self._known = {event["EventId"] for event in self._events()}

    def await_rest(
        self, seen: Callable[[], Standing | None], tell: Tell, *, has_begun: bool = False
    ) -> Standing | None:
        """As it stands once what was begun has ended. `seen`: how it stands; `has_begun`: that was seen already."""
        heard_at = 0.0
        for waited in looks(PATIENCE):
            try:
                # Events first: how it stood before the first of them is not how it stands at the end.
                has_begun |= self._tell(tell)
                now = seen()
                if now is None or (has_begun and not is_moving(now)):
                    self._tell(tell)
                    return now
                heard_at = waited
            except Unavailable as e:
                if isinstance(e, Expired) or waited - heard_at > UNANSWERED:
                    raise
        raise Unavailable(
            f"the stack {self._stack} did not come to rest in {PATIENCE:.0f} s: look at it, then try again"
        )

    def _tell(self, tell: Tell) -> bool:
        """Whether there was any news."""
        found = [event for event in self._events() if event["EventId"] not in self._known]
        self._known.update(event["EventId"] for event in found)
        for event in reversed(found):
            tell(as_event(event))
        return bool(found)

    def _events(self) -> Sequence[Mapping[str, Any]]:
        """The newest page, newest first: we look more often than a page fills."""
        with translated(f"watching the stack {self._stack}"):
            try:
                events: Sequence[Mapping[str, Any]] = self._calls.describe_stack_events(StackName=self._stack)[
                    "StackEvents"
                ]
            except ClientError as e:
                if code_of(e) == "ValidationError" and "does not exist" in str(e):
                    return ()
                raise
        return events
