"""`python -m app_tier`: one worker. SIGTERM lets it finish the image in hand, then it exits."""

import argparse
import os
import platform
import signal
import threading

from app_tier.process import Processor
from app_tier.pulse import Pulse
from app_tier.worker import Worker
from facefleet.backends import connect
from facefleet.entry import entry_point
from facefleet.recognition.keeper import Keeper
from facefleet.recognition.recogniser import open_recogniser
from facefleet.settings import Settings


@entry_point
def main(settings: Settings) -> None:
    parser = argparse.ArgumentParser(prog="app_tier", description="A worker: takes images, answers who they show.")
    parser.add_argument("--instance", default=f"{platform.node()}-{os.getpid()}", help="the name it is known by")
    id = parser.parse_args().instance
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    run(settings, id, stop)


def run(settings: Settings, id: str, stop: threading.Event) -> None:
    backend = connect(settings)
    keeper = Keeper(backend.people, backend.blobs)
    keeper.refresh()
    recogniser = open_recogniser(settings, keeper)
    pulse = Pulse(backend.requests, backend.blobs, id=id, visibility_timeout=settings.visibility_timeout)
    process = Processor(recogniser, backend.people, backend.blobs)
    with pulse.beating(stop):
        Worker(
            backend.requests,
            backend.replies,
            backend.blobs,
            process,
            pulse,
            idle=keeper.tidy,
            stands=process.stands,
        ).run(stop)


if __name__ == "__main__":
    main()
