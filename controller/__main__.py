"""`python -m controller`: looks every tick. The fleet outlives it: the next controller goes on with the same."""

import argparse
import logging
import os
import select
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from apscheduler.schedulers.background import BackgroundScheduler

from controller.classic import CLASSIC
from controller.housekeeping import answer_dead_letters, forget
from controller.ledger import Ledger
from controller.metrics import Metrics
from controller.policy import Plan, Policy, Terms
from controller.priced import PRICED
from controller.reconcile import Controller
from controller.status import Board, Status
from controller.steps import Limits
from controller.store import LostLease, Store
from controller.workers import forget_silent, heartbeats
from facefleet.backends import connect
from facefleet.entry import entry_point
from facefleet.errors import Conflict, ServiceError
from facefleet.ports import Backend, Queue
from facefleet.settings import Settings

log = logging.getLogger(__name__)

TICK = "tick"
MINUTE, HOUR = 60.0, 3600.0
DAY = 24 * HOUR
#: How soon the client of a dead letter is told.
DEAD_LETTERS_EVERY = 2.0
#: How often one that stands by looks whether it may lead.
STAND_BY = 1.0
POLICIES: dict[str, Policy[Any]] = {policy.name: policy for policy in (PRICED, CLASSIC)}
#: Seconds that an instance takes to come, until it was measured: a process, and EC2 (cold, 2021).
EXPECTED_BOOT = {"embedded": 1.0}
EC2_BOOT = 25.0


@entry_point
def main(settings: Settings) -> None:
    parser = argparse.ArgumentParser(prog="controller", description="Keeps as many instances as the backlog deserves.")
    parser.add_argument("--finish", action="store_true", help="on SIGTERM go on until nothing waits, within bounds")
    parser.add_argument("--dry-run", action="store_true", help="log what would be done, and do nothing")
    arguments = parser.parse_args()
    backend, arrived = connect(settings), Arrivals()
    if arguments.dry_run:
        watch(backend, settings, arrived)
        return
    with backend.only_one("controller"):
        store = Store(backend.blobs, socket.gethostname(), time.time)
        ledger = stand_by(store, arrived)
        if ledger is not None:
            lead(backend, settings, store, ledger, arrived, finish=arguments.finish)


class Arrivals:
    """Signals that arrive, one by one. Nothing runs in a handler, where a lock could be held already."""

    def __init__(self) -> None:
        self._reader, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)

    def next(self, within: float | None = None) -> int | None:
        """The next one; None if none came within so many seconds."""
        ready, _, _ = select.select([self._reader], [], [], within)
        return os.read(self._reader, 1)[0] if ready else None

    def end_within(self, seconds: float) -> bool:
        """Whether we were told to end."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if self.next(left) in (signal.SIGTERM, signal.SIGINT):
                return True
        return False


def stand_by(store: Store, arrived: Arrivals) -> Ledger | None:
    """Returns once this one leads, with what the last one knew; None if told to end before."""
    leader = None
    while (ledger := store.take()) is None:
        if store.lease.holder != leader:
            leader = store.lease.holder
            log.info("standing by: the controller of %s leads", leader)
        if arrived.end_within(STAND_BY):
            return None
    return ledger


@dataclass
class Led:
    """A controller's run. `lost` is set with the reason, once another one leads."""

    controller: Controller
    lost: LostLease | None = None

    def tick(self) -> None:
        try:
            self.controller.tick(time.time())
        except Conflict as e:
            self.lost = LostLease(str(e))
            os.kill(os.getpid(), signal.SIGTERM)


def lead(
    backend: Backend, settings: Settings, store: Store, ledger: Ledger, arrived: Arrivals, *, finish: bool
) -> None:
    """Until told to end; raises `LostLease` if another one leads meanwhile."""
    board, metrics = Board(backend.blobs, store.lease.epoch), Metrics(backend.blobs, store.lease.epoch)

    def tell(status: Status) -> None:
        board.tell(status)
        metrics.tell(status)

    led = Led(controller_of(backend, settings, store.save, tell, ledger, store.assure))
    scheduler = schedule(backend, settings, led)
    scheduler.start()
    log.info("controller: %d to %d instances", settings.min_instances, settings.instances_at_most)
    # A worker that died is replaced at once, not at the next tick.
    while arrived.next() == signal.SIGCHLD:
        scheduler.modify_job(TICK, next_run_time=datetime.now(UTC))
    if finish and led.lost is None:
        await_empty(backend.requests, settings)
    # Waits for the tick in hand: none is cut off between two calls.
    scheduler.shutdown()
    if led.lost is not None:
        raise led.lost
    store.leave(led.controller.ledger)


def controller_of(
    backend: Backend,
    settings: Settings,
    save: Callable[[Ledger], None],
    tell: Callable[..., None],
    ledger: Ledger,
    assure: Callable[[], object] = lambda: None,
) -> Controller:
    terms = Terms(
        settings.min_instances,
        settings.instances_at_most,
        settings.scale_in_after,
        settings.wait_price,
        settings.least_seconds_billed,
    )
    return Controller(
        backend.requests.depth,
        backend.fleet,
        lambda: heartbeats(backend.blobs),
        save,
        tell,
        POLICIES[settings.policy],
        terms,
        limits_of(settings),
        ledger=ledger,
        assure=assure,
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
        log=str(settings.data / "fleet" / "workers.log") if settings.backend == "embedded" else "",
    )


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
        if arrived.end_within(settings.tick):
            return


def in_short(plan: Plan) -> str:
    return f"hold {plan.desired}, launch {plan.launch}, retire {len(plan.retire)}"


def _nowhere(_: object) -> None:
    """Where a dry run writes."""


def await_empty(requests: Queue, settings: Settings) -> None:
    """Returns once nothing waits: those who still wait for an answer get it; after the drain time in any case."""
    deadline = time.monotonic() + settings.drain_timeout
    while requests.depth().backlog and time.monotonic() < deadline:
        time.sleep(settings.tick)


def schedule(backend: Backend, settings: Settings, led: Led) -> BackgroundScheduler:
    # A late run is still wanted, once: the default drops a run that is more than a second late.
    scheduler = BackgroundScheduler(
        timezone="UTC", job_defaults={"max_instances": 1, "coalesce": True, "misfire_grace_time": None}
    )

    def every(seconds: float, name: str, work: Callable[[], object]) -> None:
        scheduler.add_job(guarded, "interval", (name, work), id=name, seconds=seconds, next_run_time=datetime.now(UTC))

    every(settings.tick, TICK, led.tick)
    every(
        DEAD_LETTERS_EVERY,
        "dead letters",
        lambda: answer_dead_letters(backend.dead, backend.blobs, backend.replies),
    )
    every(MINUTE, "silent", lambda: forget_silent(backend.blobs, time.time()))
    every(HOUR, "forget", lambda: forget(backend.blobs, time.time() - settings.keep_days * DAY))
    every(HOUR, "tidy", backend.tidy)
    return scheduler


def guarded(name: str, work: Callable[[], object]) -> None:
    """The one place where the controller survives what it does not know: the next turn sees afresh."""
    try:
        work()
    except Exception:
        log.exception("%s failed; the next turn tries again", name)


if __name__ == "__main__":
    main()
