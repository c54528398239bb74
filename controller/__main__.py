"""`python -m controller`: looks every tick. The fleet outlives it: the next controller goes on with the same."""

import argparse
import itertools
import logging
import os
import signal
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from apscheduler.schedulers.background import BackgroundScheduler

from controller.housekeeping import answer_dead_letters, forget
from controller.policy import Bounds
from controller.reconcile import Controller
from facefleet.backends import connect
from facefleet.entry import entry_point
from facefleet.ports import Backend, Queue
from facefleet.settings import Settings

log = logging.getLogger(__name__)

TICK = "tick"
HOUR = 3600.0
DAY = 24 * HOUR
#: How soon the client of a dead letter is told.
DEAD_LETTERS_EVERY = 2.0


@entry_point
def main(settings: Settings) -> None:
    parser = argparse.ArgumentParser(prog="controller", description="Keeps as many instances as the backlog deserves.")
    parser.add_argument("--finish", action="store_true", help="on SIGTERM go on until nothing waits, within bounds")
    finish = parser.parse_args().finish
    backend = connect(settings)
    with backend.only_one("controller"):
        scheduler = schedule(backend, settings)
        arrived = signals(signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
        scheduler.start()
        log.info("controller: %d to %d instances", settings.min_instances, settings.instances_at_most)
        # A worker that died is replaced at once, not at the next tick.
        while next(arrived) == signal.SIGCHLD:
            scheduler.modify_job(TICK, next_run_time=datetime.now(UTC))
        if finish:
            await_empty(backend.requests, settings)
        # Waits for the tick in hand: none is cut off between two calls.
        scheduler.shutdown()


def signals(*numbers: signal.Signals) -> Iterator[int]:
    """Those that arrive, one by one. Nothing runs in a handler, where a lock could be held already."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in numbers:
        signal.signal(number, lambda *_: None)
    return (number for _ in itertools.count() for number in os.read(reader, 64))


def await_empty(requests: Queue, settings: Settings) -> None:
    """Returns once nothing waits: those who still wait for an answer get it; after the drain time in any case."""
    deadline = time.monotonic() + settings.drain_timeout
    while requests.depth().backlog and time.monotonic() < deadline:
        time.sleep(settings.tick)


def schedule(backend: Backend, settings: Settings) -> BackgroundScheduler:
    bounds = Bounds(settings.min_instances, settings.instances_at_most, settings.scale_in_after)
    controller = Controller(backend.requests, backend.fleet, backend.blobs, bounds)
    # A late run is still wanted, once: the default drops a run that is more than a second late.
    scheduler = BackgroundScheduler(
        timezone="UTC", job_defaults={"max_instances": 1, "coalesce": True, "misfire_grace_time": None}
    )

    def every(seconds: float, name: str, work: Callable[[], object]) -> None:
        scheduler.add_job(guarded, "interval", (name, work), id=name, seconds=seconds, next_run_time=datetime.now(UTC))

    every(settings.tick, TICK, lambda: controller.tick(time.time()))
    every(
        DEAD_LETTERS_EVERY,
        "dead letters",
        lambda: answer_dead_letters(backend.dead, backend.blobs, backend.replies),
    )
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
