"""`python -m controller`: looks every tick. The fleet outlives it: the next controller goes on with the same."""

import argparse
import logging
import time

from controller.arrivals import Arrivals
from controller.leading import lead, stand_by
from controller.policy import Plan
from controller.store import Store
from controller.wiring import controller_of, holder_of
from facefleet import keys
from facefleet.backends import connect, log_besides
from facefleet.entry import entry_point
from facefleet.errors import ServiceError
from facefleet.ports import Backend
from facefleet.settings import Settings

log = logging.getLogger(__name__)


@entry_point
def main(settings: Settings) -> None:
    log_besides(settings)
    parser = argparse.ArgumentParser(prog="controller", description="Keeps as many instances as the backlog deserves.")
    parser.add_argument("--finish", action="store_true", help="on SIGTERM go on until nothing waits, within bounds")
    parser.add_argument("--dry-run", action="store_true", help="log what would be done, and do nothing")
    arguments = parser.parse_args()
    backend, arrived = connect(settings), Arrivals()
    # What a cloud's own settings lack is told before anybody waits for its instances.
    log.debug("instances are had of %s", ", ".join(backend.fleet.offers))
    if arguments.dry_run:
        watch(backend, settings, arrived)
        return
    with backend.only_one("controller"):
        holder = holder_of(settings)
        store = Store(backend.blobs, holder, time.time)
        backend.blobs.put(keys.CAME, holder.encode())
        ledger = stand_by(store, arrived)
        if ledger is not None:
            lead(backend, settings, store, ledger, arrived, finish=arguments.finish)


def watch(backend: Backend, settings: Settings, arrived: Arrivals) -> None:
    """Says what would be done, each time that it is something else; writes nothing, and may run beside a controller."""
    store = Store(backend.blobs, "", time.time)
    told, controller = "", controller_of(backend, settings, _nowhere, _nowhere, store.look())
    while True:
        # What the leader saves is known here, too: its launches on their way, and who is to go.
        controller.ledger = store.look()
        try:
            plan = controller.look(time.time())
        except ServiceError as e:
            log.warning("the fleet cannot be read: %s", e)
        else:
            if in_short(plan) != told:
                told = in_short(plan)
                log.info("would %s: %s", told, plan.reason)
        if arrived.end_within(settings.seconds_per_tick):
            return


def in_short(plan: Plan) -> str:
    return f"hold {plan.desired}, launch {plan.launch}, retire {len(plan.retire)}"


def _nowhere(_: object) -> None:
    """Where a dry run writes."""


if __name__ == "__main__":
    main()
