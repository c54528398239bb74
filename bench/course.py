"""What happens to a deployment while uploads come: misfortune, and an upgrade; and what is seen of it meanwhile."""

import json
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bench.deployed import PATIENCE, UP, Deployed
from bench.local import awaited
from bench.storm import Weather, beside
from bench.uploads import Burst, Upload, judged, post
from facefleet import keys
from facefleet.errors import ServiceError

#: Seconds between two misfortunes: so that a machine that boots lives to work. And between two counts of the fleet.
EVERY, COUNT_EVERY = 5.0, 0.2
#: Uploads under way at a time.
AT_ONCE = 100
#: An upgrade that does not come to its end must not make uploads go on for good.
MOST_TIMES = 4
CONTROLLER, WEB = "controller-instance", "web-instance"


@dataclass(frozen=True)
class Sent:
    burst: Burst
    count: int


class Misfortune(Weather):
    """What happens to machines, and nothing else."""

    def __init__(self, service: Deployed, seed: int) -> None:
        super().__init__(service, seed)
        self._fleet = service.backend.fleet

    def kinds(self) -> tuple[Callable[[], object], ...]:
        return self.lost, self.crashed, self.notice, self.stopped

    def stopped(self) -> None:
        """By somebody who knows nothing of the queue."""
        # One that is on its way already stays so.
        with suppress(ServiceError):
            self._fleet.retire(self._victim())


@dataclass
class Course:
    """What is done to the service while uploads come: its controller is lost, and then it is upgraded."""

    service: Deployed
    image: str
    back_s: float = 0.0
    upgrade_s: float = 0.0
    upgrades: bool = False
    during: int = 0

    def counted(self, uploads: Iterator[Upload]) -> Iterator[Upload]:
        """The same; those are counted that come while the upgrade goes on."""
        for upload in uploads:
            self.during += self.upgrades
            yield upload

    def run(self) -> None:
        self.back_s = timed(self._lose_controller)
        self.upgrades = True
        try:
            self.upgrade_s = timed(lambda: self.service.facefleet("upgrade", "--yes", "--image", self.image))
        finally:
            self.upgrades = False

    def _lose_controller(self) -> None:
        before = epoch(self.service)
        self.service.cloud.told("/_kill", {"ids": self.service.named(CONTROLLER, *UP), "how": "lost"})
        awaited(lambda: epoch(self.service) > before, "another controller leads", seconds=PATIENCE)


def epoch(service: Deployed) -> int:
    """Raised by each controller that takes the lead."""
    return int(json.loads(service.backend.blobs.get(keys.FLEET_STATUS))["epoch"])


def timed(work: Callable[[], object]) -> float:
    started = time.monotonic()
    work()
    return round(time.monotonic() - started, 1)


@contextmanager
def watched(service: Deployed) -> Iterator[list[tuple[int, int]]]:
    """How many instances of the fleet are up, and how many are wanted, again and again."""
    seen: list[tuple[int, int]] = [(0, 0)]
    with beside(lambda: seen.append((len(service.ours(*UP)), service.get("/v1/fleet")["desired"])), COUNT_EVERY):
        yield seen


@contextmanager
def drawn(service: Deployed, picture: Path | None) -> Iterator[None]:
    """What happens meanwhile, as a picture."""
    if picture is None:
        yield
        return
    with service.begun("status", "--record", str(picture), "--every", "0.5", "--seconds", str(PATIENCE)) as recording:
        try:
            yield
        finally:
            recording.send_signal(signal.SIGINT)
            recording.communicate(timeout=PATIENCE)


def sent_evenly(
    service: Deployed, uploads: Iterator[Upload], count: int, seconds: float, course: Callable[[], object]
) -> Sent:
    """So many, one after the other, and more until the course, which runs beside them, has come to its end."""
    sent: list[Upload] = []
    answers: list[Future[str | None]] = []
    started, pause = time.monotonic(), seconds / count
    with ThreadPoolExecutor(AT_ONCE) as pool, ThreadPoolExecutor(1) as beside_them:
        ends = beside_them.submit(course)
        while len(sent) < count or (not ends.done() and len(sent) < MOST_TIMES * count):
            sent.append(next(uploads))
            answers.append(pool.submit(post, service.host, sent[-1], tls=service.tls))
            time.sleep(max(0.0, started + len(sent) * pause - time.monotonic()))
        heard = [answer.result(PATIENCE) for answer in answers]
        ends.result(PATIENCE)
    return Sent(judged(time.monotonic() - started, sent, heard), len(sent))
