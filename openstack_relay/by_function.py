"""Events are done by a function: each call is noted before it is made, and what came of it after."""

from typing import Protocol

from facefleet.calls import Function, Unanswered
from facefleet.errors import ServiceError
from openstack_relay.doing import Failed, Fate, Outcome
from openstack_relay.incoming import Event


class Calls(Protocol):
    """Where calls are accounted for."""

    def call_begins(self, identity: str) -> str:
        """Returns the call's id once it is safe."""

    def call_ended(self, call: str, outcome: str, *, request_id: str = "") -> None: ...


class ByFunction:
    def __init__(self, function: Function, calls: Calls, *, hands_over: bool) -> None:
        """`hands_over`: Lambda takes the event, and calls the function when it likes to."""
        self._function = function
        self._calls = calls
        self._fate = Fate.HANDED_OVER if hands_over else Fate.DONE

    def ask(self) -> None:
        self._function.ask()

    def __call__(self, event: Event) -> Outcome:
        call = self._calls.call_begins(event.identity)
        try:
            answer = self._function.call(event.body, call=call)
        except ServiceError as e:
            self._calls.call_ended(call, e.code)
            if isinstance(e, Unanswered):
                raise Failed(e.detail, code=e.code) from e
            raise
        if answer.error is not None:
            self._calls.call_ended(call, Fate.FAILED, request_id=answer.request_id)
            raise Failed(answer.error, code="function_error")
        self._calls.call_ended(call, self._fate, request_id=answer.request_id)
        return Outcome(self._fate)
