"""What the Raspberry Pi's client adds to a round trip, how punctual its frames are, and what it takes of a machine.

    python -m bench.client [--photos DIR] [--seconds 60] [--interval 0.5] [--idle 20] [--json]

The real program, live, with a folder of photos as its camera, before a service of its own on the same cores, whose
answers are none from the cache. In turns with its frames, half an interval after each, a bare HTTP client sends the
same photos. `frames` of those `planned` were taken. `added_p50_ms`, `added_p95_ms`: from a capture until its answer is
told, less the median of the same photo's bare round trip: meanwhile it is put on the disk, sent under a key, its answer
is written down, and it is deleted. `jitter_p50_ms`, `jitter_p95_ms`: how far from the interval two frames on end lie
apart. `rss_mb`: the most that was resident. `live_cpu_percent`: of a core, with frames; `idle_cpu_percent`: in button
mode, while nothing happens.
"""

import csv
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from statistics import median, quantiles
from threading import Timer

import click

from bench.local import cpu_of, facefleet_up
from bench.service import SAMPLES, images_in, sender
from bench.sides import KB_PER_MB
from bench.told import tell

#: Seconds that a client takes at most beyond those that it is asked for.
PATIENCE = 120.0
#: Answers, for quantiles to say anything.
LEAST = 5
#: An answer as the client tells it: the frame's number.
ANSWER = re.compile(r"frame (\d+): .* round trip \d+ ms\)")
#: What it says in the end: how many frames it took, and of how many.
TAKEN = re.compile(r"(\d+) of (\d+) frames taken, .*")
SETTINGS = """\
url = "{url}"
camera = "folder:{photos}"
data = "{folder}/kept"
free_bytes = 0
"""


@dataclass(frozen=True)
class Measured:
    planned: int
    frames: int
    answers: int
    added_p50_ms: float
    added_p95_ms: float
    bare_p50_ms: float
    jitter_p50_ms: float
    jitter_p95_ms: float
    rss_mb: float
    live_cpu_percent: float
    idle_cpu_percent: float


@dataclass(frozen=True)
class Live:
    """A live session. `told`: when each frame's answer was; `bare`: of each photo, seconds of its bare round trips."""

    planned: int
    frames: int
    told: dict[int, float]
    bare: list[list[float]]
    rss_mb: float
    cpu_share: float


@dataclass(frozen=True)
class Bench:
    """Where it all happens. `photos`: how many the camera has; `send`: the bare round trip of one of them."""

    folder: Path
    photos: int
    send: Callable[[int], float]

    @contextmanager
    def client(self, *mode: str, seconds: float, notify: str = "") -> Iterator["subprocess.Popen[str]"]:
        """The program, which is killed when it takes too long."""
        with subprocess.Popen(  # noqa: S603  # our own program, and no shell
            [sys.executable, "-m", "pi_uploader", "--settings", str(self.folder / "settings.toml"), *mode],
            env=dict(os.environ) | ({"NOTIFY_SOCKET": notify} if notify else {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            end = Timer(seconds + PATIENCE, process.kill)
            end.start()
            try:
                yield process
            finally:
                process.terminate()
                # One that does not end is killed in time.
                process.wait()
                end.cancel()

    def live(self, seconds: float, interval: float) -> Live:
        told: dict[int, float] = {}
        bare: list[list[float]] = [[] for _ in range(self.photos)]
        begun, frames, planned, rss, share = time.monotonic(), 0, 0, 0.0, 0.0
        with self.client("live", "--seconds", str(seconds), "--interval", str(interval), seconds=seconds) as process:
            for line in process.stdout or ():
                if end := TAKEN.fullmatch(line.strip()):
                    frames, planned = int(end[1]), int(end[2])
                if answer := ANSWER.fullmatch(line.strip()):
                    frame = int(answer[1])
                    told[frame] = time.time()
                    rss, share = max(rss, peak_mb(process.pid)), cpu_of([process.pid]) / (time.monotonic() - begun)
                    time.sleep(interval / 2)
                    bare[frame % self.photos].append(self.send(frame % self.photos))
        if len(told) < LEAST:
            raise SystemExit(f"bench: the client told {len(told)} answers of {frames} frames, too few to tell of")
        return Live(planned, frames, told, bare, rss, share)

    def idle(self, seconds: float) -> float:
        """The share of a core that button mode takes."""
        notify = str(self.folder / "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
            ear.bind(notify)
            ear.settimeout(PATIENCE)
            with self.client("button", seconds=seconds, notify=notify) as process:
                while b"READY=1" not in ear.recv(4096):
                    pass
                before = cpu_of([process.pid])
                time.sleep(seconds)
                return (cpu_of([process.pid]) - before) / seconds

    def answers(self) -> list[dict[str, str]]:
        """As the client wrote them down, in the order in which the frames were taken."""
        with (self.folder / "kept/answers.csv").open(newline="") as file:
            return sorted(csv.DictReader(file), key=lambda line: line["taken_at"])


def peak_mb(pid: int) -> float:
    """The most that a process has held; 0 of one that has just ended."""
    peak = Path(f"/proc/{pid}/status").read_text().partition("VmHWM:")[2].split()
    return int(peak[0]) / KB_PER_MB if peak else 0.0


def measure(photos: Path, seconds: float, interval: float, idle: float) -> Measured:
    images = images_in(photos)
    with (
        tempfile.TemporaryDirectory() as name,
        facefleet_up(Path(name), SAMPLES / "people", MIN_INSTANCES="1", CACHE_BYTES="0") as url,
    ):
        folder = Path(name)
        (folder / "settings.toml").write_text(SETTINGS.format(url=url, photos=photos.absolute(), folder=folder))
        bench = Bench(folder, len(images), sender(url, images))
        for photo in range(len(images)):
            bench.send(photo)
        return _summary(bench.live(seconds, interval), bench.answers(), bench.idle(idle), interval)


def _summary(live: Live, answers: list[dict[str, str]], idle: float, interval: float) -> Measured:
    taken = {int(line["label"].removeprefix("frame-")): _seconds(line["taken_at"]) for line in answers}
    added = added_by(live, taken)
    jitter = [abs(after - before - interval) for before, after in pairwise(taken.values())]
    return Measured(
        planned=live.planned,
        frames=live.frames,
        answers=sum(line["outcome"] in ("known", "unknown") for line in answers),
        added_p50_ms=round(1000 * median(added), 1),
        added_p95_ms=round(1000 * quantiles(added, n=20)[-1], 1),
        bare_p50_ms=round(1000 * median(seconds for photo in live.bare for seconds in photo), 1),
        jitter_p50_ms=round(1000 * median(jitter), 1),
        jitter_p95_ms=round(1000 * quantiles(jitter, n=20)[-1], 1),
        rss_mb=round(live.rss_mb, 1),
        live_cpu_percent=round(100 * live.cpu_share, 2),
        idle_cpu_percent=round(100 * idle, 2),
    )


def added_by(live: Live, taken: dict[int, float]) -> list[float]:
    """For each frame, seconds beyond its photo's bare median; the camera takes its photos in turn."""
    bare = [(frame, live.bare[place % len(live.bare)]) for place, frame in enumerate(taken)]
    return [live.told[frame] - taken[frame] - median(own) for frame, own in bare if own and frame in live.told]


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


@click.command()
@click.option("--photos", type=click.Path(exists=True, file_okay=False, path_type=Path), default=SAMPLES / "photos")
@click.option("--seconds", default=60.0, show_default=True, help="Of the live session.")
@click.option("--interval", default=0.5, show_default=True, help="Seconds from frame to frame.")
@click.option("--idle", default=20.0, show_default=True, help="Seconds in which nothing happens.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def main(photos: Path, seconds: float, interval: float, idle: float, *, as_json: bool) -> None:
    """Measure what the Raspberry Pi's client adds, and what it takes."""
    tell("The Raspberry Pi's client", vars(measure(photos, seconds, interval, idle)), as_json=as_json)


if __name__ == "__main__":
    main()
