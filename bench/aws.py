"""What the service costs on AWS in calls, and how fast it is there beside the embedded backend.

    python -m bench.aws [--photos DIR] [--rounds 5] [--json]

AWS is emulated on this machine; tiers and workers are the same processes on both sides, as many workers as cores, and
both sides are measured in turns in one run. `calls_per_image`: calls to all services for each of so many images, by
workers that run; `burst_calls_per_image`: the same of a burst from zero instances with the warm pool full, with all
that it takes to start workers; `by_service`: those of the first, by service. `idle_calls_per_hour`: with no instance
up. `ratio`: images a second on AWS to those on the embedded backend. What an emulator needs of the same cores is in it,
`emulators_cpu_ms` an image; on an account, that is Amazon's.
"""

import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import click

from bench import uploads
from bench.burst import right_answers
from bench.local import awaited, cpu_of, facefleet_up
from bench.on_aws import OnAws, service_on_aws
from bench.service import SAMPLES, images_in, sender, service_round
from bench.told import tell
from facefleet.backends.embedded import WORKER_ENVIRONMENT

#: Long enough that what is done each ten seconds is counted with a tenth at most of error.
IDLE = 60.0
HOUR = 3600.0
BURST = 100


@dataclass(frozen=True)
class Measured:
    workers: int
    images: int
    calls_per_image: float
    by_service: str
    burst_calls_per_image: float
    idle_calls_per_hour: float
    idle_by_operation: str
    ratio: float
    aws_images_per_s: float
    embedded_images_per_s: float
    emulators_cpu_ms: float


Calls = Counter[str]


@contextmanager
def counted(service: OnAws, into: Calls) -> Iterator[None]:
    before = Counter(service.calls())
    yield
    into.update(Counter(service.calls()) - before)


def by_service(calls: Calls, images: int) -> str:
    services: Calls = Counter()
    for operation, count in calls.items():
        services[operation.partition(" ")[0]] += count
    return ", ".join(f"{service} {count / images:.2f}" for service, count in services.most_common())


@dataclass
class Steady:
    """Rounds in turns, and what those on AWS took of calls, and of the emulators' CPU time."""

    aws: list[float]
    embedded: list[float]
    calls: Calls
    cpu: float = 0.0


def steady(service: OnAws, embedded: str, images: list[bytes], rounds: int, per_round: int, workers: int) -> Steady:
    found = Steady([], [], Counter())
    sides = {url: sender(url, images) for url in (service.url, embedded)}

    def run(url: str, count: int) -> float:
        return service_round(sides[url], workers, count, lambda: 0.0).images_per_s

    for url in sides:
        run(url, 4 * workers)
    emulators = [service.store.pid, service.cloud.pid]
    for _ in range(rounds):
        before = cpu_of(emulators)
        with counted(service, found.calls):
            found.aws.append(run(service.url, per_round))
        found.cpu += cpu_of(emulators) - before
        found.embedded.append(run(embedded, per_round))
    return found


def burst(images: list[bytes]) -> tuple[float, Calls]:
    """Calls for each image of a burst from zero; and those of an hour in which nothing happens, by operation."""
    probes = right_answers(images)
    calls, idle = Counter[str](), Counter[str]()
    settings = {"LEAST_BILL": "0", "CACHE_BYTES": "0"}
    with tempfile.TemporaryDirectory() as folder, service_on_aws(Path(folder), settings, stopped=19) as service:
        service.enrol(SAMPLES / "people")
        awaited(service.is_at_rest, "at rest")
        with counted(service, calls):
            sent = uploads.send(service.url.removeprefix("http://"), next(uploads.bursts(probes, BURST)))
        if sent.lost or sent.wrong:
            raise SystemExit(f"bench: {sent.lost} uploads lost, {sent.wrong} answers wrong")
        awaited(service.is_at_rest, "at rest again")
        with counted(service, idle):
            time.sleep(IDLE)
    return calls.total() / BURST, Counter({name: round(count * HOUR / IDLE) for name, count in idle.items()})


def side_by_side(images: list[bytes], rounds: int, per_round: int, workers: int) -> Steady:
    """Both services up, with so many workers each; they are stopped at the end."""
    fixed = {"MIN_INSTANCES": str(workers), "MAX_INSTANCES": str(workers), "CACHE_BYTES": "0"}
    with ExitStack() as running:
        folders = [Path(running.enter_context(tempfile.TemporaryDirectory())) for _ in range(2)]
        # First: what it adds to the environment for boto3 is of no concern to the other side.
        embedded = running.enter_context(facefleet_up(folders[0], SAMPLES / "people", **fixed))
        service = running.enter_context(service_on_aws(folders[1], fixed, stopped=workers))
        service.enrol(SAMPLES / "people")
        return steady(service, embedded, images, rounds, per_round, workers)


def measure(photos: Path, rounds: int, per_round: int) -> Measured:
    images = images_in(photos)
    workers = len(os.sched_getaffinity(0))
    os.environ.update(WORKER_ENVIRONMENT)
    per_burst, idle = burst(images)
    found = side_by_side(images, rounds, per_round, workers)
    sent = rounds * per_round
    return Measured(
        workers,
        sent,
        round(found.calls.total() / sent, 2),
        by_service(found.calls, sent),
        round(per_burst, 2),
        idle.total(),
        ", ".join(f"{name} {count}" for name, count in idle.most_common()),
        round(median(aws / ours for aws, ours in zip(found.aws, found.embedded, strict=True)), 3),
        round(median(found.aws), 2),
        round(median(found.embedded), 2),
        round(1000 * found.cpu / sent, 1),
    )


@click.command()
@click.option("--photos", type=click.Path(exists=True, file_okay=False, path_type=Path), default=SAMPLES / "photos")
@click.option("--rounds", default=5, show_default=True, help="Turns of each side; medians are told.")
@click.option("--per-round", default=140, show_default=True, help="Images in a turn.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def main(photos: Path, rounds: int, per_round: int, *, as_json: bool) -> None:
    """Count the calls to AWS, and measure it beside the embedded backend."""
    tell("On AWS, emulated", vars(measure(photos, rounds, per_round)), as_json=as_json)


if __name__ == "__main__":
    main()
