"""What an image costs on AWS, beside a cloud's own service for faces: dollars for each 1,000, at list prices.

    python -m bench.cost [--photo FILE] [--rounds 5] [--core-factor 1] [--quick] [--json]

Measured here, on emulators of AWS: calls, what they carry, and a worker's CPU time, with all cores busy and the cache
off, of one photo sent under many names. `cpu_ms`: of a worker, for each image; `recognition_cpu_ms`: of the recogniser
in a bare process. `sqs_requests`: as SQS counts them, by 64 KB. Calls of DynamoDB are small: each is one of its units.
`idle_…_per_hour`: with no instance up.

Read in lists: the prices, in `facefleet/backends/aws/account/prices.toml`, of on-demand and of spot instances, the
latter of some day: spot has no list price. `rekognition`: Amazon Rekognition's SearchFacesByImage, first million.

Assumed, not measured: `--core-factor`, seconds of a vCPU there that are worth one of a core here; and that vCPUs are
busy all the time, so that neither starts nor waits for more work are paid for. A burstable instance that starts has no
CPU credits: `credits` is what its mode `unlimited` costs; in mode `standard` it waits instead.

`compute`: workers, their credits and their public addresses; `all`: with calls, what is stored for 7 days, and answers.
`times_compute`, `times_all`: how many times of it Rekognition costs; `times_in_credits`: of computing, while there are
CPU credits left. `largest`: the line that most of `all` goes to.
"""

import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import median

import click
import requests
from rich.console import Console
from rich.table import Table

from bench.local import cpu_meter
from bench.on_aws import OnAws, service_on_aws
from bench.service import PATIENCE, SAMPLES, CpuMeter, bare_processes, bare_round, sender, service_round
from bench.told import tell
from facefleet.backends.aws.account.bill import Line, Usage, Workers, compute, of_images, total
from facefleet.backends.aws.account.prices import Prices, prices
from facefleet.backends.embedded import WORKER_ENVIRONMENT
from facefleet.settings import Settings

PHOTO = SAMPLES / "photos" / "obama2.jpg"
KINDS = ("t3.micro", "t3.medium", "c7g.large")
IMAGES = 1000
HOUR = 3600.0
#: Seconds of idleness: what is done each half minute is counted with a quarter at most of error; or but once or twice.
IDLE, SHORT_IDLE = 120.0, 30.0
SETTLED = 3.0
#: What is told of a bill, and how its lines begin.
LINES = {
    "workers": "workers",
    "credits": "CPU credits",
    "sqs": "SQS",
    "s3_writes": "S3 writes",
    "s3_reads": "S3 reads",
    "s3_storage": "S3 storage",
    "dynamodb": "DynamoDB",
    "answers": "answers",
}
PUTS, GETS = ("s3 PUT", "s3 POST", "s3 LIST"), ("s3 GET", "s3 HEAD")


@dataclass
class Counts:
    """What calls there were, by operation: so many, so many chunks of 64 KB, so many bytes."""

    calls: Counter[str] = field(default_factory=Counter)
    chunks: Counter[str] = field(default_factory=Counter)
    bytes: Counter[str] = field(default_factory=Counter)

    def used(self, times: float, *, cpu_seconds: float = 0.0, bytes_answered: float = 0.0) -> Usage:
        """For each of so many images, or hours."""
        return Usage(
            cpu_seconds=cpu_seconds / times,
            sqs_requests=_of(self.chunks, "sqs ") / times,
            s3_puts=sum(self.calls[name] for name in PUTS) / times,
            s3_gets=sum(self.calls[name] for name in GETS) / times,
            dynamodb_reads=(_of(self.calls, "dynamodb ") - self.writes) / times,
            dynamodb_writes=self.writes / times,
            bytes_stored=self.bytes["s3 PUT"] / times,
            bytes_answered=bytes_answered,
        )

    @property
    def writes(self) -> int:
        names = ("Put", "Update", "Delete", "BatchWrite", "TransactWrite")
        return sum(_of(self.calls, f"dynamodb {name}") for name in names)


def _of(counts: Mapping[str, int], start: str) -> int:
    return sum(count for name, count in counts.items() if name.startswith(start))


@dataclass(frozen=True)
class Found:
    """What was measured; figures of an image are of so many, `images`."""

    photo_kb: float
    images: int
    image: Usage
    idle_hour: Usage
    recognition_cpu_s: float


@contextmanager
def counted(service: OnAws, into: Counts) -> Iterator[None]:
    before = service.store.told("/_payloads")
    yield
    for name, counts in service.store.told("/_payloads").items():
        getattr(into, name).update(Counter(counts) - Counter(before[name]))


def measure(photo: Path, rounds: int, per_round: int, idle: float) -> Found:
    image = photo.read_bytes()
    os.environ.update(WORKER_ENVIRONMENT)
    at_rest, each = _idle(idle), _busy(image, rounds, per_round)
    with bare_processes(1, [image], SAMPLES / "people") as pipes:
        bare = median(bare_round(pipes, per_round).cpu_seconds_per_image for _ in range(rounds))
    return Found(round(len(image) / 1000, 1), rounds * per_round, each, at_rest, bare)


def _idle(seconds: float) -> Usage:
    counts = Counts()
    with tempfile.TemporaryDirectory() as name, service_on_aws(Path(name), {}) as service:
        # What a start asks for once is no part of it.
        time.sleep(SETTLED)
        with counted(service, counts):
            time.sleep(seconds)
    return counts.used(seconds / HOUR)


def _busy(image: bytes, rounds: int, per_round: int) -> Usage:
    counts, workers = Counts(), len(os.sched_getaffinity(0))
    fixed = {"MIN_INSTANCES": str(workers), "MAX_INSTANCES": str(workers), "CACHE_BYTES": "0"}
    with tempfile.TemporaryDirectory() as name, service_on_aws(Path(name), fixed, stopped=workers) as service:
        service.enrol(SAMPLES / "people")
        send, cpu = sender(service.url, [image]), _worker_cpu(service)
        service_round(send, workers, 8 * workers, cpu)
        before = cpu()
        with counted(service, counts):
            for _ in range(rounds):
                service_round(send, workers, per_round, cpu)
        seconds, answered = cpu() - before, _answered(service.url, image)
    return counts.used(rounds * per_round, cpu_seconds=seconds, bytes_answered=answered)


def _worker_cpu(service: OnAws) -> CpuMeter:
    return cpu_meter(Path(service.env["FACEFLEET_DATA"]), module="app_tier")


def _answered(url: str, image: bytes) -> float:
    """Bytes of an answer, its head included."""
    answer = requests.post(f"{url}/v1/recognitions", image, headers={"Content-Type": "image/jpeg"}, timeout=PATIENCE)
    return len(answer.content) + sum(len(f"{name}: {value}\r\n") for name, value in answer.headers.items())


def row(found: Found, workers: Workers, factor: float, listed: Prices) -> dict[str, object]:
    """Dollars for 1,000 images on such workers."""
    image = replace(found.image, cpu_seconds=factor * found.image.cpu_seconds)
    lines = of_images(image, IMAGES, workers, Settings().keep_days, listed)
    computed, everything = total(compute(IMAGES * image.cpu_seconds, workers, listed)), total(lines)
    in_credits = total(compute(IMAGES * image.cpu_seconds, replace(workers, unlimited=False), listed))
    theirs = IMAGES * listed.of("rekognition")
    return {
        "kind": workers.kind + (" spot" if workers.spot_share else ""),
        **{name: _cents(lines, start) for name, start in LINES.items()},
        "compute": round(computed, 6),
        "all": round(everything, 6),
        "times_in_credits": round(theirs / in_credits),
        "times_compute": round(theirs / computed),
        "times_all": round(theirs / everything, 1),
        "largest": _largest(lines, everything),
    }


def _cents(lines: Sequence[Line], start: str) -> float:
    return round(total(line for line in lines if line.what.startswith(start)), 6)


def _largest(lines: Sequence[Line], everything: float) -> str:
    most = max(lines, key=lambda line: line.dollars or 0.0)
    return f"{most.what} {(most.dollars or 0.0) / everything:.0%}"


def told(found: Found) -> dict[str, object]:
    image, idle = found.image, found.idle_hour
    return {
        "photo_kb": found.photo_kb,
        "images": found.images,
        "cpu_ms": round(1000 * image.cpu_seconds, 1),
        "recognition_cpu_ms": round(1000 * found.recognition_cpu_s, 1),
        **{name: round(value, 2) for name, value in asdict(image).items() if name != "cpu_seconds"},
        **{f"idle_{name}_per_hour": round(getattr(idle, name)) for name in ("sqs_requests", "s3_puts", "s3_gets")},
        "rekognition": IMAGES * prices().of("rekognition"),
    }


def _print(figures: Mapping[str, object], rows: Sequence[Mapping[str, object]]) -> None:
    tell("Measured, for each image", figures, as_json=False)
    table = Table("workers", "compute", "all", "times: in credits", "compute", "all", title="Dollars for 1,000 images")
    for one in rows:
        dollars = (f"{one[name]:.5f}" for name in ("compute", "all"))
        times = (f"{one[name]:,}" for name in ("times_in_credits", "times_compute", "times_all"))
        table.add_row(str(one["kind"]), *dollars, *times)
    Console().print(table)


@click.command()
@click.option("--photo", type=click.Path(exists=True, dir_okay=False, path_type=Path), default=PHOTO, show_default=True)
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(min=1), help="Rounds of uploads.")
@click.option("--per-round", default=100, show_default=True, type=click.IntRange(min=1), help="Uploads in a round.")
@click.option("--core-factor", default=1.0, show_default=True, help="Seconds of a vCPU there for one of a core here.")
@click.option("--quick", is_flag=True, help="One round, and a shorter look at the idle service.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def main(photo: Path, rounds: int, per_round: int, core_factor: float, *, quick: bool, as_json: bool) -> None:
    """Measure what an image costs on AWS."""
    found = measure(photo, 1 if quick else rounds, per_round, SHORT_IDLE if quick else IDLE)
    listed, figures = prices(), told(found)
    rows = [row(found, Workers(kind, spot), core_factor, listed) for kind in KINDS for spot in (0.0, 1.0)]
    if as_json:
        click.echo(json.dumps(figures | {"core_factor": core_factor, "rows": rows}))
        return
    _print(figures, rows)


if __name__ == "__main__":
    main()
