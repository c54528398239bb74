"""A deployment on machines that boot: from zero and back, through misfortune, through an upgrade, and away again.

    python -m bench.cloud [--uploads 500] [--most 19] [--seconds 150] [--seed 1] [--picture FILE] [--json]

Needs root: see `bench.region`. The image is built by packer, and the service put there by `facefleet deploy`, with as
many stopped instances waiting as there may be at most. Then 100 classic uploads come at once, through the web tier's
own machine: `burst_…`. Then the uploads come evenly over so many seconds, while every five seconds one of the fleet's
machines is lost, crashes, is stopped by somebody, or given notice; the controller's machine is lost, and once another
leads, an upgrade to another image begins: uploads go on until it has come to its end.

`lost`: uploads without an answer; `wrong`: other answers than a bare recogniser's; `doubled`: results beyond one for
each upload; `left`: messages and dead letters that stay; `leaked`: instances that stay up. `most_up`: the most of the
fleet that were up at once; `asked_for`: the most that the policy wanted. `controller_back_s`: from its machine's loss
to the first word of the next one. `upgraded_during`: uploads that came while the upgrade went on. `stale_up`: instances
of the old image that are up after it. `left_behind`: what there is on the account once `facefleet destroy` is through.
"""

import itertools
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import click

from bench.burst import right_answers
from bench.course import CONTROLLER, EVERY, WEB, Course, Misfortune, drawn, sent_evenly, watched
from bench.deployed import PATIENCE, UP, Deployed, another_image, deployed, standing
from bench.local import awaited
from bench.service import SAMPLES, images_in
from bench.storm import beside
from bench.told import tell
from bench.uploads import STEM, Upload, bursts, send
from facefleet import keys
from facefleet.errors import ServiceError

BURST = 100
#: Down as soon as nothing waits, so that a measurement ends.
QUICK = {"POLICY": "classic", "LEAST_BILL": "0", "SCALE_IN_AFTER": "2", "CLASSIC_OPEN": "1"}


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


def from_zero(service: Deployed, uploads: list[Upload], picture: Path | None) -> FromZero:
    awaited(lambda: is_at_zero(service), "nothing is up", seconds=PATIENCE)
    with drawn(service, picture), watched(service) as seen:
        burst = send(service.host, uploads, tls=service.tls)
        awaited(lambda: is_at_zero(service), "nothing is up again", seconds=PATIENCE)
    up, wanted = (max(column) for column in zip(*seen, strict=True))
    return FromZero(len(uploads), round(burst.seconds, 1), burst.lost, burst.wrong, up, wanted)


def through(service: Deployed, uploads: Iterator[Upload], count: int, seconds: float, seed: int) -> Through:
    before = results(service)
    misfortune, course = Misfortune(service, seed), Course(service, another_image(service))
    with watched(service) as seen, beside(misfortune.change, EVERY):
        sent = sent_evenly(service, course.counted(uploads), count, seconds, course.run)
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
        course.during,
        ", ".join(f"{kind} {count}" for kind, count in sorted(misfortune.happened.items())),
    )


def is_at_zero(service: Deployed) -> bool:
    """As EC2 knows it, and as the service tells it, which is a look later."""
    told = service.get("/v1/fleet")["instances"]
    return service.is_at_rest() and not any(told[state] for state in ("pending", "running", "draining", "stopping"))


def results(service: Deployed) -> int:
    """Of uploads as they are sent here; an upgrade makes one of its own."""
    blobs = service.backend.blobs
    found = (json.loads(blobs.get(info.key)) for info in blobs.list(keys.RESULTS))
    return sum(str(one["filename"]).startswith(STEM) for one in found)


def at_rest(service: Deployed) -> int:
    """How many instances stay up, where it does not come to rest."""
    try:
        awaited(service.is_at_rest, "at rest", seconds=PATIENCE)
    except (TimeoutError, ServiceError):
        return len(service.ours(*UP))
    return 0


def stale(service: Deployed, image: str) -> int:
    """Instances from another image that are up, or wait to be started, and are not replaced in time."""
    with suppress(TimeoutError):
        awaited(lambda: not _stale(service, image), "all are of the new image", seconds=PATIENCE)
    return _stale(service, image)


def _stale(service: Deployed, image: str) -> int:
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
