"""A hundred uploads at once to a fleet of no instances: wall time until the last answer, beside what it must take.

    python -m bench.burst [--photos DIR] [--rounds 5] [--policy priced|classic] [--json]

The service runs as `facefleet up` starts it, its settings as built in. Each upload is the course's, and carries an
image of its own, which the cache does not know: a photo with a number behind its end.

`bound_s`: the start of one worker, bare, until it is ready; and as many images as are sent, recognised by as many bare
processes as there are cores. Both are measured anew each round. `wall_over_bound` and all of seconds: medians of the
rounds, but for the lag. `wrong`, `lost`: answers unlike the bare recogniser's, and uploads without one. `scale_in_s`:
from the last answer to the first instance that drains; `scale_in_lag_s`: from the end of the hold time, the longest.
`idle_core_share`: of a core, what the controller takes while there are no instances; `idle_core_share_all`: the whole
service. `first_run_s_per_request`: a round's wall time for each of its uploads; `second_run_s_per_request`: that of a
burst sent once more, when the cache knows its images.
"""

import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median

import click
import requests

from bench import local, uploads
from bench.local import cpu_meter, facefleet_up
from bench.service import SAMPLES, bare_processes, bare_recogniser, bare_round, images_in
from bench.told import tell
from facefleet import keys
from facefleet.answers import found
from facefleet.backends import connect
from facefleet.backends.embedded import WORKER_ENVIRONMENT
from facefleet.model import InstanceState, Result
from facefleet.ports import Backend
from facefleet.settings import POLICIES, Settings

#: Nothing takes so many seconds, unless it hangs: also to go back to zero, where a hold time may have been learned.
PATIENCE = 180.0
#: How often a change is looked for: one that takes longer to be over is not missed.
LOOK = 0.01
awaited = partial(local.awaited, seconds=PATIENCE, every=LOOK)
#: Long enough that the clock of CPU time, of hundredths of a second, tells a thousandth of a core.
IDLE = 30.0
BARE = "bare-worker"


@dataclass(frozen=True)
class Round:
    start_s: float
    recognition_s: float
    wall_s: float
    scale_in_s: float
    lag_s: float
    wrong: int
    lost: int

    @property
    def bound_s(self) -> float:
        return self.start_s + self.recognition_s


@dataclass(frozen=True)
class Measured:
    policy: str
    workers: int
    uploads: int
    rounds: int
    wall_over_bound: float
    wall_s: float
    bound_s: float
    start_s: float
    recognition_s: float
    wrong: int
    lost: int
    first_run_s_per_request: float
    second_run_s_per_request: float
    scale_in_s: float
    scale_in_lag_s: float
    idle_core_share: float
    idle_core_share_all: float


def right_answers(images: list[bytes]) -> list[tuple[bytes, str]]:
    """Each image, and who is on it as the bare recogniser says."""
    with tempfile.TemporaryDirectory() as folder:
        recogniser = bare_recogniser(SAMPLES / "people", Path(folder))
        return [(image, Result("", "", faces=recogniser.recognise(image)).answer) for image in images]


def start_of_worker(backend: Backend, data: Path) -> float:
    """Seconds from a bare worker's launch until its first heartbeat, with which it is ready to receive."""
    command = [sys.executable, "-m", "app_tier", "--instance", BARE]
    started = time.perf_counter()
    worker = subprocess.Popen(command, env=os.environ | {"FACEFLEET_DATA": str(data)})  # noqa: S603  # our own, no shell
    try:
        awaited(lambda: found(backend.blobs, keys.heartbeat(BARE)), "a bare worker is ready")
        return time.perf_counter() - started
    finally:
        worker.terminate()
        worker.wait(PATIENCE)


def scale_in(backend: Backend, ended: float) -> tuple[float, float]:
    """Seconds from the end of the work, and from that of the hold time, until the first instance drains.

    That time ended, at the earliest, a tick before the controller told that it wants fewer.
    """
    up = len(backend.fleet.instances())
    told = awaited(lambda: wanted_fewer(backend, up), "the controller wants fewer")
    drains = awaited(lambda: first_drained(backend, up), "the first instance drains")
    return drains - ended, drains - max(ended, told - Settings().seconds_per_tick)


def wanted_fewer(backend: Backend, up: int) -> float:
    """When it was told; 0 while it is not."""
    status = json.loads(found(backend.blobs, keys.FLEET_STATUS) or b"{}")
    return float(status["at"]) if status and status["desired"] < up else 0.0


def first_drained(backend: Backend, up: int) -> float:
    """When the first one began to; 0 while none does."""
    instances = backend.fleet.instances()
    since = [one.since for one in instances if one.state is InstanceState.DRAINING]
    # One that is gone already began, and ended, between two looks.
    return min(since) if since else time.time() if len(instances) < up else 0.0


def is_at_zero(url: str) -> bool:
    fleet = requests.get(f"{url}/v1/fleet", timeout=PATIENCE).json()
    return not any(fleet["queue"].values()) and not any(fleet["instances"].values())


def one_round(url: str, backend: Backend, data: Path, pipes: list[Connection], sent: list[uploads.Upload]) -> Round:
    """Begins and ends with the fleet at zero."""
    start, bare = start_of_worker(backend, data), bare_round(pipes, len(sent))
    awaited(lambda: is_at_zero(url), "the fleet is at zero")
    burst = uploads.send(url.removeprefix("http://"), sent)
    after, lag = scale_in(backend, time.time())
    awaited(lambda: is_at_zero(url), "the fleet is back at zero")
    return Round(start, len(sent) / bare.images_per_s, burst.seconds, after, lag, burst.wrong, burst.lost)


def idle_shares(folder: Path) -> tuple[float, float]:
    """Of a core, what the controller takes, and what the whole service does."""
    meters = cpu_meter(folder, module="controller"), cpu_meter(folder)
    before = [meter() for meter in meters]
    time.sleep(IDLE)
    alone, everything = ((meter() - seconds) / IDLE for meter, seconds in zip(meters, before, strict=True))
    return alone, everything


def measure(photos: Path, rounds: int, count: int, policy: str) -> Measured:
    # Both sides run as a worker does.
    os.environ.update(WORKER_ENVIRONMENT)
    images = images_in(photos)
    sending = uploads.bursts(right_answers(images), count)
    workers = len(os.sched_getaffinity(0))
    with (
        tempfile.TemporaryDirectory() as folder,
        facefleet_up(Path(folder), SAMPLES / "people", POLICY=policy) as url,
        bare_processes(workers, images, SAMPLES / "people") as pipes,
    ):
        data = Path(folder) / "data"
        backend = connect(replace(Settings(), data=data))
        awaited(lambda: is_at_zero(url), "the fleet is at zero after enrolling")
        found = [one_round(url, backend, data, pipes, sent) for sent in itertools.islice(sending, rounds)]
        shares = idle_shares(Path(folder))
        again = again_s(url, next(sending))
    return _summary(found, again, shares, policy, workers, count)


def again_s(url: str, sent: list[uploads.Upload]) -> float:
    """Seconds of the second of two bursts of the same images."""
    host = url.removeprefix("http://")
    uploads.send(host, sent)
    return uploads.send(host, sent).seconds


def _summary(
    rounds: list[Round], again: float, shares: tuple[float, float], policy: str, workers: int, count: int
) -> Measured:
    wall = median(one.wall_s for one in rounds)
    return Measured(
        policy=policy,
        workers=workers,
        uploads=count,
        rounds=len(rounds),
        wall_over_bound=round(median(one.wall_s / one.bound_s for one in rounds), 3),
        wall_s=round(wall, 2),
        bound_s=round(median(one.bound_s for one in rounds), 2),
        start_s=round(median(one.start_s for one in rounds), 2),
        recognition_s=round(median(one.recognition_s for one in rounds), 2),
        wrong=sum(one.wrong for one in rounds),
        lost=sum(one.lost for one in rounds),
        first_run_s_per_request=round(wall / count, 4),
        second_run_s_per_request=round(again / count, 4),
        scale_in_s=round(median(one.scale_in_s for one in rounds), 2),
        scale_in_lag_s=round(max(one.lag_s for one in rounds), 2),
        idle_core_share=round(shares[0], 4),
        idle_core_share_all=round(shares[1], 4),
    )


@click.command()
@click.option("--photos", type=click.Path(exists=True, file_okay=False, path_type=Path), default=SAMPLES / "photos")
@click.option("--rounds", default=5, show_default=True, help="Bursts, each from zero; medians are told.")
@click.option("--uploads", "count", default=100, show_default=True, help="Uploads of a burst.")
@click.option("--policy", type=click.Choice(POLICIES), default=Settings().policy, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def main(photos: Path, rounds: int, count: int, policy: str, *, as_json: bool) -> None:
    """Measure a burst from zero against what no fleet could be below."""
    measured = measure(photos, rounds, count, policy)
    tell("A burst from zero", vars(measured), as_json=as_json)


if __name__ == "__main__":
    main()
