"""A controller put together, of what the settings say."""

import socket
from collections.abc import Callable
from typing import Any

from controller.act import Save
from controller.classic import CLASSIC
from controller.ledger import Ledger
from controller.policy import Policy, Terms
from controller.priced import PRICED
from controller.reconcile import Controller
from controller.status import Status
from controller.steps import EC2_BOOT, Limits
from controller.workers import heartbeats
from facefleet.ports import Backend
from facefleet.settings import Settings

HOUR = 3600.0
POLICIES: dict[str, Policy[Any]] = {policy.name: policy for policy in (PRICED, CLASSIC)}
#: Seconds that an instance takes to come, until that was measured.
EXPECTED_BOOT = {"embedded": 1.0}


def controller_of(
    backend: Backend,
    settings: Settings,
    save: Save,
    tell: Callable[[Status], None],
    ledger: Ledger,
    assure: Callable[[], object] = lambda: None,
) -> Controller:
    return Controller(
        backend.requests.depth,
        backend.fleet,
        lambda: heartbeats(backend.blobs),
        save,
        tell,
        POLICIES[settings.policy],
        terms_of(settings),
        limits_of(settings),
        ledger=ledger,
        assure=assure,
    )


def holder_of(settings: Settings) -> str:
    """Whose the lease is: on one machine a lock sees to it that there is one, and a container's host name changes."""
    return "this machine" if settings.backend == "embedded" else socket.gethostname()


def terms_of(settings: Settings) -> Terms:
    return Terms(
        settings.min_instances,
        settings.instances_at_most,
        settings.scale_in_after,
        settings.wait_price,
        settings.least_seconds_billed,
    )


def limits_of(settings: Settings) -> Limits:
    budget, price = settings.budget_per_hour, settings.instance_price
    return Limits(
        pool=settings.instance_name,
        launches_per_tick=settings.launches_per_tick,
        budget=None if budget is None else budget / price * HOUR,
        pending=settings.boot_timeout,
        draining=settings.drain_timeout,
        boot=EXPECTED_BOOT.get(settings.backend, EC2_BOOT),
        price=price,
        warm_least=settings.warm_least,
        log=str(settings.data / "fleet" / "workers.log") if settings.backend == "embedded" else "",
    )
