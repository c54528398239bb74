"""Fleets on an OpenStack: on the stand-in or on a real one, each as a controller has it that was just started."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

from openstack.connection import Connection

from facefleet.backends.openstack.connection import NO_REPEATS
from facefleet.backends.openstack.fleet import NovaFleet
from facefleet.settings import Settings

Make = Callable[..., NovaFleet]


@contextmanager
def nova_fleets(cloud: Callable[[str], dict[str, Any]], *, timeout: float = 10.0, **settings: Any) -> Iterator[Make]:
    """`make("other", warm_pool=2)`: by its user, and what is set besides. `cloud`: what clouds.yaml says of a user."""
    with ExitStack() as stack:

        def make(user: str = "demo", clock: Callable[[], float] | None = None, **changes: Any) -> NovaFleet:
            connection = stack.enter_context(Connection(**cloud(user), api_timeout=timeout, **NO_REPEATS))
            changed = replace(Settings(), **{"warm_pool": 0} | settings | changes)
            return NovaFleet(connection, changed, **({"clock": clock} if clock else {}))

        yield make
