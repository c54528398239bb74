"""What the service costs over the bare recognition: throughput with all cores busy, and latency of one photo.

    python -m bench.service [--photos DIR] [--rounds 5] [--json]

Both sides run on the same photos, with the same number of processes, in turns in one run, so that a busy
machine slows both. `ratio`: images a second through the service (client and all on the same cores) to those of
a bare loop. `added_p50_ms`, `added_p95_ms`: a photo's time through the service less the median time of the same
photo recognised in a bare process, photos sent one at a time. `overhead_cpu_ms`: CPU time of all processes of the
service an image, less that of the bare loop; the client's own is not in it. None of these answers is taken from the
cache. `again_p50_ms`, `again_p95_ms`: a photo that was answered before, sent once more, until its answer is there.

An ext4 without a journal looks at every inode deleted in the last six minutes when it makes a file: there, wait so long
after another run, or it is 2 ms an image more.
"""

import itertools
import multiprocessing
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http import HTTPStatus
from http.client import HTTPConnection
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import click

from bench.local import cpu_meter, facefleet_up
from bench.told import tell
from facefleet.backends import connect
from facefleet.backends.embedded import WORKER_ENVIRONMENT
from facefleet.entry import keep_memory
from facefleet.imagefile import SUFFIXES
from facefleet.model import Person, Photo
from facefleet.recognition.keeper import Keeper
from facefleet.recognition.recogniser import Recogniser, open_recogniser
from facefleet.settings import Settings

SAMPLES = Path(".samples")
#: Uploads under way for each worker: enough that none waits for the next.
UPLOADS_PER_WORKER = 3
#: Times that each image is sent once it is known.
AGAIN = 20
#: Nothing takes so many seconds, unless it hangs.
PATIENCE = 120.0


#: CPU seconds that the service's processes have used so far.
CpuMeter = Callable[[], float]


@dataclass(frozen=True)
class Round:
    images_per_s: float
    cpu_seconds_per_image: float


@dataclass(frozen=True)
class Measured:
    workers: int
    images: int
    rounds: int
    service_images_per_s: float
    bare_images_per_s: float
    ratio: float
    overhead_cpu_ms: float
    added_p50_ms: float
    added_p95_ms: float
    again_p50_ms: float
    again_p95_ms: float


def bare_recogniser(samples: Path, data: Path) -> Recogniser:
    """The recogniser that a worker has, with the samples enrolled, and nothing around it."""
    settings = Settings()
    backend = connect(replace(settings, data=data))
    recogniser = open_recogniser(settings, Keeper(backend.people, backend.blobs))
    for folder in sorted(samples.iterdir()):
        faces = [(photo.name, recogniser.faces(photo.read_bytes())[0]) for photo in folder.iterdir()]
        photos = tuple(Photo(name, face.box, face.encoding.tobytes()) for name, face in faces)
        backend.people.put(Person(folder.name, folder.name, photos=photos))
    recogniser.refresh()
    return recogniser


def loop(images: list[bytes], samples: Path, pipe: Connection) -> None:
    """A bare process: for each number received, recognises so many images, and sends the seconds of each and of CPU."""
    keep_memory()
    with tempfile.TemporaryDirectory() as folder:
        recogniser = bare_recogniser(samples, Path(folder))
        recogniser.recognise(images[0])
        pipe.send(None)
        while count := pipe.recv():
            seconds, cpu = [], time.process_time()
            for i in range(count):
                started = time.perf_counter()
                recogniser.recognise(images[i % len(images)])
                seconds.append(time.perf_counter() - started)
            pipe.send((seconds, time.process_time() - cpu))


@contextmanager
def bare_processes(count: int, images: list[bytes], samples: Path) -> Iterator[list[Connection]]:
    """Pipes to so many bare processes, each with its models loaded."""
    pipes = []
    context = multiprocessing.get_context("spawn")
    for _ in range(count):
        ours, theirs = context.Pipe()
        context.Process(target=loop, args=(images, samples, theirs), daemon=True).start()
        # Held by that process alone, so that its end is seen as the end of the pipe.
        theirs.close()
        pipes.append(ours)
    for pipe in pipes:
        heard(pipe)
    yield pipes
    for pipe in pipes:
        pipe.send(0)


def heard(pipe: Connection) -> Any:
    """What a bare process says."""
    try:
        if pipe.poll(PATIENCE):
            return pipe.recv()
    except EOFError:
        pass
    raise SystemExit("bench: a bare process has ended, or hangs")


def bare_round(pipes: list[Connection], images: int) -> Round:
    """All processes at once."""
    each = images // len(pipes)
    started = time.perf_counter()
    for pipe in pipes:
        pipe.send(each)
    cpu = sum(heard(pipe)[1] for pipe in pipes)
    count = each * len(pipes)
    return Round(count / (time.perf_counter() - started), cpu / count)


def service_round(send: Callable[[int], float], workers: int, images: int, processes: CpuMeter) -> Round:
    started, cpu = time.perf_counter(), processes()
    with ThreadPoolExecutor(workers * UPLOADS_PER_WORKER) as pool:
        list(pool.map(send, range(images)))
    return Round(images / (time.perf_counter() - started), (processes() - cpu) / images)


def sender(url: str, images: list[bytes]) -> Callable[[int], float]:
    """A function that uploads the i-th image and returns the seconds until its answer.

    It is a bare HTTP client, because it shares the cores with what is measured. Each upload has a name of its own, as
    photos have: of one and the same name, each would replace what the last has left in input and output.
    """
    own, numbers = threading.local(), itertools.count()

    def send(i: int) -> float:
        if not hasattr(own, "connection"):
            own.connection = HTTPConnection(url.removeprefix("http://"), timeout=PATIENCE)
        started = time.perf_counter()
        path = f"/v1/recognitions?filename={next(numbers)}.jpg"
        own.connection.request("POST", path, images[i % len(images)], {"Content-Type": "image/jpeg"})
        response = own.connection.getresponse()
        body = response.read()
        if response.status != HTTPStatus.OK:
            raise SystemExit(f"bench: the service said {response.status}: {body[:200]!r}")
        return time.perf_counter() - started

    return send


def added_latency(send: Callable[[int], float], pipe: Connection, images: int) -> list[float]:
    """For each upload, seconds beyond the bare median of the same photo; sides in turns, one photo at a time."""
    pipe.send(3 * images)
    bare, _ = heard(pipe)
    medians = [median(bare[i::images]) for i in range(images)]
    return [send(i) - medians[i] for i in range(images) for _ in range(3)]


def images_in(photos: Path) -> list[bytes]:
    """The folder's images, by name."""
    return [photo.read_bytes() for photo in sorted(photos.iterdir()) if photo.suffix.lower() in SUFFIXES]


def measure(photos: Path, rounds: int, per_round: int) -> Measured:
    images = images_in(photos)
    workers = len(os.sched_getaffinity(0))
    # Both sides run as a worker does.
    os.environ.update(WORKER_ENVIRONMENT)
    fixed = {"MIN_INSTANCES": str(workers), "MAX_INSTANCES": str(workers), "CACHE_BYTES": "0"}
    with (
        tempfile.TemporaryDirectory() as folder,
        facefleet_up(Path(folder), SAMPLES / "people", **fixed) as url,
        bare_processes(workers, images, SAMPLES / "people") as pipes,
    ):
        send, cpu = sender(url, images), cpu_meter(Path(folder))
        service_round(send, workers, 4 * workers, cpu)
        turns = [(service_round(send, workers, per_round, cpu), bare_round(pipes, per_round)) for _ in range(rounds)]
        added = [s for _ in range(rounds) for s in added_latency(send, pipes[0], len(images))]
    return _summary(turns, added, again(images), workers, len(images))


def again(images: list[bytes]) -> list[float]:
    """Seconds until the answer to an image that was answered before, the cache as built in."""
    with (
        tempfile.TemporaryDirectory() as folder,
        facefleet_up(Path(folder), SAMPLES / "people", MIN_INSTANCES="1") as url,
    ):
        send = sender(url, images)
        for i in range(len(images)):
            send(i)
        return [send(i) for i in range(AGAIN * len(images))]


def _summary(
    turns: list[tuple[Round, Round]], added: list[float], known: list[float], workers: int, images: int
) -> Measured:
    cpu = median(service.cpu_seconds_per_image - bare.cpu_seconds_per_image for service, bare in turns)
    return Measured(
        workers=workers,
        images=images,
        rounds=len(turns),
        service_images_per_s=round(median(service.images_per_s for service, _ in turns), 2),
        bare_images_per_s=round(median(bare.images_per_s for _, bare in turns), 2),
        ratio=round(median(service.images_per_s / bare.images_per_s for service, bare in turns), 3),
        overhead_cpu_ms=round(1000 * cpu, 2),
        added_p50_ms=round(1000 * median(added), 1),
        added_p95_ms=round(1000 * quantiles(added, n=20)[-1], 1),
        again_p50_ms=round(1000 * median(known), 1),
        again_p95_ms=round(1000 * quantiles(known, n=20)[-1], 1),
    )


@click.command()
@click.option("--photos", type=click.Path(exists=True, file_okay=False, path_type=Path), default=SAMPLES / "photos")
@click.option("--rounds", default=5, show_default=True, help="Turns of each side; medians are told.")
@click.option("--per-round", default=140, show_default=True, help="Images in a turn.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def main(photos: Path, rounds: int, per_round: int, *, as_json: bool) -> None:
    """Measure what the service costs over the bare recognition."""
    measured = measure(photos, rounds, per_round)
    tell("The service against a bare loop", vars(measured), as_json=as_json)


if __name__ == "__main__":
    main()
