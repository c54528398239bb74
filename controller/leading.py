"""The controller that leads, and its chores; and the one that stands by."""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

from apscheduler.schedulers.background import BackgroundScheduler

from controller.arrivals import LOOK_NOW, Arrivals
from controller.housekeeping import answer_dead_letters, forget
from controller.ledger import Ledger
from controller.metrics import Metrics
from controller.reconcile import Controller
from controller.status import Board, Status
from controller.store import LostLease, Store
from controller.wake import wake
from controller.wiring import controller_of
from controller.workers import forget_silent
from facefleet import keys, supervision
from facefleet.errors import Conflict
from facefleet.ports import Backend, Blobs, Queue
from facefleet.settings import Settings

log = logging.getLogger(__name__)

TICK = "tick"
MINUTE, HOUR = 60.0, 3600.0
DAY = 24 * HOUR
#: Ticks, not seconds, until the client of a dead letter is told: on AWS each look is a call.
DEAD_LETTERS_EVERY = 4
#: How often one looks whether the clock was set back, and by how much it must be.
CLOCK_EVERY, CLOCK_STEP = 5.0, 1.0
#: How often one that stands by looks whether it may lead.
STAND_BY = 1.0


def stand_by(store: Store, arrived: Arrivals) -> Ledger | None:
    """Returns once this one leads, with what the last one knew; None if told to end before."""
    leader = None
    while (ledger := store.take()) is None:
        supervision.ready()
        supervision.alive()
        if store.lease.holder != leader:
            leader = store.lease.holder
            supervision.status(f"stands by: the controller of {leader} leads")
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
        finally:
            # A tick that failed has come to its end, too: the next one sees afresh.
            supervision.alive()


def lead(
    backend: Backend, settings: Settings, store: Store, ledger: Ledger, arrived: Arrivals, *, finish: bool
) -> None:
    """Until told to end; raises `LostLease` if another one leads meanwhile."""
    tell = teller(backend.blobs, store.lease.epoch, time.time, store.lease.holder)
    led = Led(controller_of(backend, settings, store.save, tell, ledger, store.assure))
    scheduler = schedule(backend, settings, led)
    scheduler.start()
    supervision.ready()
    log.info("controller: %d to %d instances", settings.min_instances, settings.instances_at_most)
    look_now = partial(os.kill, os.getpid(), signal.SIGUSR1)
    threading.Thread(
        target=wake, args=(backend.requests, look_now, settings.seconds_per_tick), name="wake", daemon=True
    ).start()
    await_end(scheduler, arrived)
    if finish and led.lost is None:
        await_empty(backend.requests, settings)
    # Waits for the tick in hand: none is cut off between two calls.
    scheduler.shutdown()
    if led.lost is not None:
        raise led.lost
    store.leave(led.controller.ledger)


def teller(blobs: Blobs, epoch: int, clock: Callable[[], float], leader: str = "") -> Callable[[Status], None]:
    """What tells a status to whoever asks: as metrics, on the page, to systemd."""
    board, metrics = Board(blobs, epoch, leader), Metrics(blobs, epoch)

    def tell(status: Status) -> None:
        # All is done but to tell it, which may take long as well.
        supervision.alive()
        # A tick may have waited long for a cloud that does not answer: told with the time at which it began, it
        # would look as if nobody had told anything since.
        status = replace(status, at=clock())
        try:
            # The metrics first: they have counted before they write.
            metrics.tell(status)
        finally:
            board.tell(status)
        supervision.status(f"leads: {status.desired} wanted, {status.reason}")

    return tell


def await_end(scheduler: BackgroundScheduler, arrived: Arrivals) -> None:
    """Returns once told to end; a signal to look brings the next tick at once."""
    ahead = time.time() - time.monotonic()
    while (arrival := arrived.next(within=CLOCK_EVERY)) in (None, *LOOK_NOW):
        # The scheduler waits for times by the clock: one that is set back would have it wait for as long.
        if (since := time.time() - time.monotonic()) < ahead - CLOCK_STEP:
            for job in scheduler.get_jobs():
                job.modify(next_run_time=datetime.now(UTC))
        elif arrival is not None:
            scheduler.modify_job(TICK, next_run_time=datetime.now(UTC))
        ahead = since


def await_empty(requests: Queue, settings: Settings) -> None:
    """Returns once nothing waits: those who still wait for an answer get it; after the drain time in any case."""
    deadline = time.monotonic() + settings.drain_timeout
    while requests.depth().backlog and time.monotonic() < deadline:
        time.sleep(settings.seconds_per_tick)


def schedule(backend: Backend, settings: Settings, led: Led) -> BackgroundScheduler:
    # A late run is still wanted, once: the default drops a run that is more than a second late.
    scheduler = BackgroundScheduler(
        timezone="UTC", job_defaults={"max_instances": 1, "coalesce": True, "misfire_grace_time": None}
    )

    def every(seconds: float, name: str, work: Callable[[], object]) -> None:
        scheduler.add_job(guarded, "interval", (name, work), id=name, seconds=seconds, next_run_time=datetime.now(UTC))

    every(settings.seconds_per_tick, TICK, led.tick)
    every(
        DEAD_LETTERS_EVERY * settings.seconds_per_tick,
        "dead letters",
        lambda: answer_dead_letters(backend.dead, backend.blobs, backend.replies),
    )
    every(MINUTE, "silent", lambda: forget_silent(backend.blobs, time.time()))
    every(HOUR, "forget", lambda: forget_old(backend.blobs, time.time(), settings.keep_days * DAY))
    every(HOUR, "tidy", backend.tidy)
    return scheduler


def forget_old(blobs: Blobs, now: float, keep: float) -> None:
    forget(blobs, now - keep, sent_before=now - keys.IDEMPOTENCY_KEPT)


def guarded(name: str, work: Callable[[], object]) -> None:
    """The last resort of every chore: what nobody knows is logged with its traceback, and the next turn sees afresh."""
    try:
        work()
    except Exception:
        log.exception("%s failed; the next turn tries again", name)
