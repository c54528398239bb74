"""What a large gallery costs: to make, to load, to search; and how often the nearest person is found.

    python -m bench.gallery [--sizes 10,1000,1000000] [--queries 1000] [--json]

`build_s`: writing the snapshot. `load_s`: a fresh process, from its start to the answer to its first search, the file
in the page cache. `ready_mb`: the most memory that it has held, a hundred searches later. `search_ms`, `p95_ms`: one
search on one core, for five people and their names; `exact_ms`: the nearest row by BLAS, from memory. The two take
turns, probe by probe. `recall`: how often both name the same person; `recall_strangers`: for probes of nobody enrolled,
whom many are about as near to; `recall_isotropic`: for encodings without any structure, the worst for the index.
How the encodings are made up: `bench.encodings`.
"""

import json
import multiprocessing
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median, quantiles

import click
import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bench.encodings import Faces
from facefleet.backends.embedded import WORKER_ENVIRONMENT
from facefleet.model import Person
from facefleet.recognition.entries import Entry, entry
from facefleet.recognition.gallery import Gallery
from facefleet.recognition.index import Exact, Rows, blocks_of
from facefleet.recognition.snapshot import load, write
from facefleet.recognition.weights import DIMENSIONS

MODEL = "made up"
PHOTOS = 3
BLOCK = 20_000
#: Probes of strangers, for each of somebody enrolled: each costs an exact search as well.
STRANGERS = 0.25
FOUND = 5
#: Seconds in which a process is ready, unless it hangs.
PATIENCE = 120.0
#: Fresh processes, of which the median is told; and steps of the progress bar for a size.
LOADS = 3
STEPS_OF_ONE = 5

#: A fresh process: it says when the first answer is there, and what memory it had taken a hundred answers later.
READY = """
import sys
from pathlib import Path
import numpy as np
from facefleet.recognition.gallery import Gallery
from facefleet.recognition.snapshot import load

folder = Path(sys.argv[1])
gallery = Gallery.on(load(folder / "snapshot", model=sys.argv[2]))
probes = np.load(folder / "probes.npy")
gallery.nearest(probes[0], 5)
print("ready", flush=True)
for i in range(100):
    gallery.nearest(probes[i % len(probes)], 5)
memory = Path("/proc/self/status").read_text().partition("VmHWM:")[2]
print(int(memory.split()[0]) / 1024)
"""


@dataclass(frozen=True)
class Measured:
    size: int
    build_s: float
    load_s: float
    ready_mb: float
    search_ms: float
    p95_ms: float
    exact_ms: float
    recall: float
    recall_strangers: float
    recall_isotropic: float


@dataclass(frozen=True)
class Made:
    """A folder with encodings, probes of some of them, and probes of strangers."""

    folder: Path

    @property
    def snapshot(self) -> Path:
        return self.folder / "snapshot"

    def keep(self, **matrices: Rows) -> None:
        for name, matrix in matrices.items():
            np.save(self.folder / f"{name}.npy", matrix)

    def read(self, name: str) -> Rows:
        matrix: Rows = np.load(self.folder / f"{name}.npy")
        return matrix


@dataclass(frozen=True)
class Searched:
    """Seconds of each search, ours and by BLAS, and how often both found the same person."""

    ours: list[float]
    exact: list[float]
    recall: float


def make(made: Made, size: int, queries: int, *, isotropic: bool) -> None:
    faces = Faces.like(isotropic=isotropic)
    rows, probes = np.empty((size, DIMENSIONS), np.float32), []
    for start, end in blocks_of(size, BLOCK):
        people = faces.people(end - start)
        rows[start:end] = faces.photos(people, averaged=PHOTOS)
        asked = faces.rng.integers(0, len(people), -(-queries * len(people) // size))
        probes.append(faces.photos(people[asked]))
    strangers = faces.photos(faces.people(max(1, round(queries * STRANGERS))))
    made.keep(rows=rows, probes=np.concatenate(probes)[:queries], strangers=strangers)


def person_id(number: int) -> str:
    return f"person-{number:07}"


def build(made: Made) -> float:
    rows = made.read("rows")
    started = time.perf_counter()
    write(entries(rows), made.snapshot, version=1, model=MODEL)
    return time.perf_counter() - started


def entries(rows: Rows) -> Iterator[Entry]:
    about = entry(Person("", "Somebody Else", {"major": "physics", "year": 2})).about
    return (Entry(person_id(i), about, rows[i : i + 1]) for i in range(len(rows)))


def load_anew(made: Made) -> tuple[float, float]:
    """Seconds until a fresh process has answered, and the megabytes that it takes."""
    command = [sys.executable, "-c", READY, str(made.folder), MODEL]
    started = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603  # our own code
        assert process.stdout is not None  # noqa: S101  # it was asked for
        if not select.select([process.stdout], [], [], PATIENCE)[0]:
            process.kill()
        process.stdout.readline()
        return time.perf_counter() - started, float(process.stdout.readline())


def search(made: Made, probes: Rows) -> Searched:
    """Both ways, in turns."""
    gallery, exact = Gallery.on(load(made.snapshot, model=MODEL)), Exact.of(made.read("rows"))
    ours, blas, same = [], [], 0
    for probe in probes:
        started = time.perf_counter()
        found = gallery.nearest(probe, FOUND)
        turned = time.perf_counter()
        numbers, _ = exact.nearest(probe, 1)
        blas.append(time.perf_counter() - turned)
        ours.append(turned - started)
        same += found[0][0].id == person_id(int(numbers[0]))
    return Searched(ours, blas, same / len(ours))


@contextmanager
def made_up(size: int, queries: int, pool: Executor, *, isotropic: bool) -> Iterator[Made]:
    with tempfile.TemporaryDirectory() as folder:
        made = Made(Path(folder))
        pool.submit(make, made, size, queries, isotropic=isotropic).result()
        yield made


def measure(size: int, queries: int, pool: Executor, advance: Callable[[], None]) -> Measured:
    """Everything at one size, step by step, each in the pool's process, that has one thread of BLAS."""
    with made_up(size, queries, pool, isotropic=False) as made:
        advance()
        built = pool.submit(build, made).result()
        advance()
        loads = [load_anew(made) for _ in range(LOADS)]
        known = pool.submit(search, made, made.read("probes")).result()
        advance()
        unknown = pool.submit(search, made, made.read("strangers")).result()
        advance()
    with made_up(size, queries, pool, isotropic=True) as made:
        pool.submit(build, made).result()
        isotropic = pool.submit(search, made, made.read("probes")).result()
        advance()
    return _summary(size, built, loads, (known, unknown, isotropic))


def _summary(
    size: int, built: float, loads: list[tuple[float, float]], searched: tuple[Searched, Searched, Searched]
) -> Measured:
    known, unknown, isotropic = searched
    return Measured(
        size=size,
        build_s=round(built, 2),
        load_s=round(median(seconds for seconds, _ in loads), 3),
        ready_mb=round(max(megabytes for _, megabytes in loads), 1),
        search_ms=round(1000 * median(known.ours), 3),
        p95_ms=round(1000 * quantiles(known.ours, n=20)[-1], 3),
        exact_ms=round(1000 * median(known.exact), 3),
        recall=round(known.recall, 4),
        recall_strangers=round(unknown.recall, 4),
        recall_isotropic=round(isotropic.recall, 4),
    )


def measure_all(sizes: list[int], queries: int, console: Console) -> list[Measured]:
    # The pool's process, and every process that is timed, has its libraries set up as a worker has.
    os.environ.update(WORKER_ENVIRONMENT)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context) as pool, Progress(console=console, transient=True) as progress:
        task = progress.add_task("galleries", total=STEPS_OF_ONE * sum(sizes))
        return [measure(size, queries, pool, partial(progress.advance, task, size)) for size in sizes]


def _sizes(context: click.Context, parameter: click.Parameter, value: str) -> list[int]:
    try:
        return sorted({int(size) for size in value.split(",") if int(size) > 0})
    except ValueError:
        raise click.BadParameter("numbers with commas between them, as 10,1000") from None


@click.command()
@click.option("--sizes", default="10,100,1000,10000,100000,1000000", show_default=True, callback=_sizes)
@click.option("--queries", default=1000, show_default=True, help="Probes of people enrolled.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def main(sizes: list[int], queries: int, *, as_json: bool) -> None:
    """Measure what a large gallery costs."""
    table = measure_all(sizes, queries, Console(stderr=True))
    largest = table[-1]
    if as_json:
        told = {"search_ms_1m": largest.search_ms, "recall_1m": largest.recall, "load_s_1m": largest.load_s}
        click.echo(json.dumps(told | {"size": largest.size, "table": [vars(row) for row in table]}))
        return
    shown = Table("people", *(f"{row.size:,}" for row in table), title="A gallery of so many people")
    for name in list(vars(largest))[1:]:
        shown.add_row(name, *(str(getattr(row, name)) for row in table))
    Console().print(shown)


if __name__ == "__main__":
    main()
