"""A deployment on machines that boot: from zero and back, through misfortune, through an upgrade, and away again.

    python -m bench.cloud [--uploads 500] [--most 19] [--seconds 150] [--seed 1] [--picture FILE] [--json]

Needs root: see `bench.region`. The image is built by packer, and the service put there by `facefleet deploy`, with as
many stopped instances waiting as there may be at most. Then 100 classic uploads come at once, through the web tier's
own machine: `burst_…`. Then the uploads come evenly over so many seconds, while every five
seconds one of the fleet's machines is lost, reboots after a crash, is stopped by somebody, or given notice; a while after the start the controller's
machine is lost, and then an upgrade to another image begins: `uploads` go on until it has come to its end.

`lost`: uploads without an answer; `wrong`: other answers than a bare recogniser's; `doubled`: results beyond one for
each upload; `left`: messages and dead letters that stay; `leaked`: instances that stay up. `most_up`: the most of the
fleet that were up at once; `asked_for`: the most that the policy wanted. `controller_back_s`: from its machine's loss
to the first word of the next one. `upgraded_during`: uploads that came while the upgrade went on. `stale_up`: instances
of the old image that are up after it. `left_behind`: what there is on the account once `facefleet destroy` is through.
"""

import itertools
import json
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import click

from bench.burst import right_answers
from bench.deployed import PATIENCE, UP, Deployed, another_image, deployed, standing
from bench.local import awaited
from bench.service import SAMPLES, images_in
from bench.storm import Weather, beside
from bench.told import tell
from bench.uploads import Burst, Upload, bursts, judged, post, send
from facefleet import keys
from facefleet.errors import ServiceError

BURST = 100
#: Seconds between two misfortunes: so that a machine that boots lives to work. And between two counts of the fleet.
EVERY, COUNT_EVERY = 5.0, 0.2
#: Uploads under way at a time.
AT_ONCE = 100
#: An upgrade that does not come to its end must not make uploads go on for good.
MOST_TIMES = 4
#: Down as soon as nothing waits, so that a measurement ends.
QUICK = {"POLICY": "classic", "LEAST_BILL": "0", "SCALE_IN_AFTER": "2", "CLASSIC_OPEN": "1"}
CONTROLLER, WEB = "controller-instance", "web-instance"


@dataclass(frozen=True)
class FromZero:
    """A burst to a fleet of which nothing is up."""

    burst: int
    burst_s: float
    burst_lost: int
    burst_wrong: int
    burst_most_up: int
    asked_for: int


@dataclass(frozen=True)
class Through:
    """Uploads through misfortune and upgrade."""

    uploads: int
    seconds: float
    lost: int
    wrong: int
    doubled: int
    left: int
    leaked: int
    most_up: int
    stale_up: int
    controller_back_s: float
    upgrade_s: float
    upgraded_during: int
    happened: str


@dataclass(frozen=True)
class Sent:
    """`during`: those of them that came while the upgrade went on."""

    burst: Burst
    count: int
    during: int


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


def sent_evenly(service: Deployed, uploads: Iterator[Upload], count: int, seconds: float, course: Course) -> Sent:
    """So many, one after the other, and more until the course has come to its end."""
    sent: list[Upload] = []
    answers: list[Future[str | None]] = []
    during = 0
    started, pause = time.monotonic(), seconds / count
    with ThreadPoolExecutor(AT_ONCE) as pool, ThreadPoolExecutor(1) as beside_them:
        ends: Future[None] = beside_them.submit(course.run)
        while len(sent) < count or (not ends.done() and len(sent) < MOST_TIMES * count):
            sent.append(next(uploads))
            answers.append(pool.submit(post, service.host, sent[-1], tls=service.tls))
            during += course.upgrades
            time.sleep(max(0.0, started + len(sent) * pause - time.monotonic()))
        heard = [answer.result(PATIENCE) for answer in answers]
        ends.result(PATIENCE)
    return Sent(judged(time.monotonic() - started, sent, heard), len(sent), during)


def from_zero(service: Deployed, uploads: list[Upload], picture: Path | None) -> FromZero:
    awaited(service.is_at_rest, "at rest", seconds=PATIENCE)
    with drawn(service, picture), watched(service) as seen:
        burst = send(service.host, uploads, tls=service.tls)
        awaited(service.is_at_rest, "at rest after the burst", seconds=PATIENCE)
    up, wanted = (max(column) for column in zip(*seen, strict=True))
    return FromZero(len(uploads), round(burst.seconds, 1), burst.lost, burst.wrong, up, wanted)


def through(service: Deployed, uploads: Iterator[Upload], count: int, seconds: float, seed: int) -> Through:
    before = results(service)
    misfortune, course = Misfortune(service, seed), Course(service, another_image(service))
    with watched(service) as seen, beside(misfortune.change, EVERY):
        sent = sent_evenly(service, uploads, count, seconds, course)
    leaked, backend = at_rest(service), service.backend
    return Through(
        sent.count,
        round(sent.burst.seconds, 1),
        sent.burst.lost,
        sent.burst.wrong,
        results(service) - before - (sent.count - sent.burst.lost),
        backend.requests.depth().backlog + backend.dead.depth().backlog,
        leaked,
        max(up for up, _ in seen),
        stale(service, course.image),
        course.back_s,
        course.upgrade_s,
        sent.during,
        ", ".join(f"{kind} {count}" for kind, count in sorted(misfortune.happened.items())),
    )


def results(service: Deployed) -> int:
    return sum(1 for _ in service.backend.blobs.list(keys.RESULTS))


def at_rest(service: Deployed) -> int:
    """How many instances stay up, where it does not come to rest."""
    try:
        awaited(service.is_at_rest, "at rest", seconds=PATIENCE)
    except (TimeoutError, ServiceError):
        return len(service.ours(*UP))
    return 0


def stale(service: Deployed, image: str) -> int:
    """Instances that are up, or wait to be started, from another image."""
    kept = {*service.ours(*UP, "stopped"), *service.named(CONTROLLER, *UP), *service.named(WEB, *UP)}
    return sum(one["image"] != image for one in service.instances() if one["id"] in kept)


def measure(
    photos: Path, uploads: int, most: int, seconds: float, seed: int, picture: Path | None
) -> dict[str, object]:
    sending = bursts(right_answers(images_in(photos)), BURST)
    started = time.monotonic()
    with (
        tempfile.TemporaryDirectory() as folder,
        deployed(Path(folder), QUICK | {"MAX_INSTANCES": str(most)}, "--warm", str(most), boot=1.0) as service,
    ):
        ready = round(time.monotonic() - started, 1)
        service.facefleet("enrol", str(SAMPLES / "people"))
        zero = from_zero(service, next(sending), picture)
        flow = through(service, itertools.chain.from_iterable(sending), uploads, seconds, seed)
        service.facefleet("destroy", "--yes", "--people")
        rest = ", ".join(standing()) or "nothing"
    return {"ready_s": ready, **vars(zero), **vars(flow), "left_behind": rest}


@click.command()
@click.option("--photos", type=click.Path(exists=True, file_okay=False, path_type=Path), default=SAMPLES / "photos")
@click.option("--uploads", default=500, show_default=True, type=click.IntRange(min=1))
@click.option("--most", default=19, show_default=True, type=click.IntRange(min=1), help="Instances at once, at most.")
@click.option("--seconds", default=150.0, show_default=True, help="Over which the uploads come.")
@click.option("--seed", default=1, show_default=True, help="Of chance.")
@click.option("--picture", type=click.Path(dir_okay=False, path_type=Path), help="What the burst did, as a picture.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def main(
    photos: Path, uploads: int, most: int, seconds: float, seed: int, picture: Path | None, *, as_json: bool
) -> None:
    """Deploy on machines that boot, go from zero and back, through misfortune and an upgrade, and destroy."""
    tell("On machines that boot", measure(photos, uploads, most, seconds, seed, picture), as_json=as_json)


if __name__ == "__main__":
    main()
