"""`python -m app_tier`: one worker. SIGTERM lets it finish the image in hand, then it exits."""

import argparse
import logging
import signal
import threading

from app_tier.pulse import Pulse
from app_tier.worker import Worker
from facefleet import supervision
from facefleet.backends import connect, log_besides
from facefleet.entry import entry_point
from facefleet.ports import Backend, Machine
from facefleet.recognition.jobs import Jobs
from facefleet.recognition.keeper import Keeper
from facefleet.recognition.processor import Processor
from facefleet.recognition.recogniser import open_recogniser
from facefleet.settings import Settings

log = logging.getLogger(__name__)

#: EC2 gives two minutes, and advises to look this often:
#: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html
NOTICE_EVERY = 5.0


@entry_point
def main(settings: Settings) -> None:
    log_besides(settings)
    parser = argparse.ArgumentParser(prog="app_tier", description="A worker: takes images, answers who they show.")
    name = parser.add_mutually_exclusive_group()
    name.add_argument("--instance", help="the name it is known by; otherwise that of its machine")
    name.add_argument("--worker", type=int, help="which of its machine's workers it is: one a core, from 0")
    arguments = parser.parse_args()
    stop, leaving = threading.Event(), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    backend = connect(settings)
    id = arguments.instance or name_of(backend.machine, arguments.worker)
    threading.Thread(target=heed_notices, args=(backend.machine, stop, leaving), name="notice", daemon=True).start()
    run(backend, settings, id, stop, leaving)


def name_of(machine: Machine, worker: int | None) -> str:
    """The machine's, and behind a dot which of its workers this is."""
    return machine.id() if worker is None else f"{machine.id()}.{worker}"


def heed_notices(machine: Machine, stop: threading.Event, leaving: threading.Event) -> None:
    """Has the worker drain, and say why, once its machine is to be taken away."""
    while not stop.is_set():
        if (why := machine.notice()) is not None:
            log.warning("the machine goes away, so the worker drains: %s", why)
            supervision.stopping()
            leaving.set()
            stop.set()
        stop.wait(NOTICE_EVERY)


def ask(backend: Backend, pulse: Pulse) -> None:
    """Raises `Unavailable` while people cannot be read, or no blob written."""
    backend.people.version()
    pulse.tell()


def run(backend: Backend, settings: Settings, id: str, stop: threading.Event, leaving: threading.Event) -> None:
    keeper = Keeper(backend.people, backend.blobs)
    keeper.refresh()
    recogniser = open_recogniser(settings, keeper)
    pulse = Pulse(
        backend.requests,
        backend.blobs,
        id=id,
        visibility_timeout=settings.visibility_timeout,
        tell_every=settings.seconds_per_tick,
        leaving=leaving,
    )
    process = Processor(recogniser, backend.people, backend.blobs)
    jobs = Jobs(
        process, backend.blobs, backend.replies, stands=process.stands, working=pulse.working, turned=pulse.turned
    )
    worker = Worker(backend.requests, jobs, pulse, idle=keeper.tidy, probe=lambda: ask(backend, pulse))
    with pulse.beating(stop):
        supervision.ready()
        worker.run(stop)


if __name__ == "__main__":
    main()
