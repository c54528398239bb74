"""Events are done here, by processes beside the relay: no face leaves but to where queues, blobs and people are.

What is stored is what the function stores: a line in the output bucket, and the result by id. The file at home is
written at once: no message goes to the output queue, which nobody else would read.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from facefleet.errors import NotFound, Unavailable
from facefleet.settings import Settings
from openstack_relay.doing import Outcome
from openstack_relay.each import Each, Home
from openstack_relay.hands import Hands
from openstack_relay.incoming import Event


class ByItself:
    def __init__(self, hands: Hands, home: Home, settings: Settings, *, ask: Callable[[], object]) -> None:
        """`ask` raises `Unavailable` while what recognition needs does not answer."""
        self._do = Each(hands, home, settings)
        self._hands = hands
        self._ask = ask

    @contextmanager
    def running(self) -> Iterator["ByItself"]:
        with self._hands.running():
            yield self

    def __call__(self, event: Event) -> Outcome:
        return self._do(event)

    def ask(self) -> None:
        try:
            self._ask()
        except NotFound as e:
            raise Unavailable(f"{e}: `facefleet setup` makes what is missing") from e
