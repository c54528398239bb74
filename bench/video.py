"""The course's hundred clips through S3, the function and out again; and a camera's frames through its HTTP API.

    python -m bench.video --clips DIR [--image] [--frames 120] [--interval 0.5] [--rate R] [--json]

DIR holds clips, `labels.csv` (file,name,major,year), `mapping`, `student_data.json` and the encodings, `encoding` or
`encoding.safe.json`. Roster and encodings are loaded, the clips sent under the mapping's names, and what comes out is
held against it, all by the command line: `right` of `total`, `spelling` differences, and `counts` of uploads, events,
invocations and results. `again`: events delivered twice, at the same time, and `doubled` messages or files that came of
it. `buried`: the reason with which a clip that is none lies with the dead letters.

The function runs under Lambda's own runtime, in `--environments` processes, from the tree or, with `--image`, in its
container image, built before (root, buildah). `function_…_s`: of an event, from the runtime's asking to its answer.
`frame_…_s`: from a frame's capture by the Raspberry Pi's client until its answer is told. `cold_start_s`: from the
start of a process to the first answer, a frame's; of that `init_s` until it asks for an event. `rss_mb`: the most that
an environment held.
"""

import csv
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from json import loads
from pathlib import Path
from statistics import median
from threading import Timer
from typing import Any

import click

from bench.client import peak_mb
from bench.container import built
from bench.http_front import event_of, http_front
from bench.local import PATIENCE, awaited
from bench.runtime_api import COMMAND, Running
from bench.serverless import DEAD, KEY, Site, serverless
from bench.told import tell
from facefleet.clipfile import SUFFIXES, Bounds
from facefleet.recognition.video import opened

#: The course's gallery is a roster with one encoding of each: nobody else is filmed, and a name is expected of each.
STRANGER_RATE = 0.05
#: Cold starts, of which the median is told; events that are delivered twice.
STARTS, AGAIN = 5, 20
#: An answer as the client tells it, with the milliseconds since the capture.
ANSWER = re.compile(r"frame (\d+): (.*) \((\d+) ms, round trip \d+ ms\)")
#: Of the frames' pictures.
BOUNDS = Bounds(max_pixels=9_000_000, max_seconds=60.0, interval=0.5, effort=60.0)
LABELS = "labels.csv"


@dataclass(frozen=True)
class Clips:
    right: int
    total: int
    wrong: int
    spelling: int
    counts: dict[str, int]
    agree: bool
    wall_s: float
    function_p50_s: float
    function_p95_s: float
    function_max_s: float
    failed_calls: int


@dataclass(frozen=True)
class Frames:
    frames: int
    answered: int
    frames_right: int
    in_order: bool
    frame_p50_s: float
    frame_p95_s: float


@dataclass(frozen=True)
class Starts:
    cold_start_s: float
    init_s: float


def sent_clips(site: Site, clips: Path, rate: float | None, environments: Sequence[Running]) -> Clips:
    results, mapping = site.folder / "results.csv", str(clips / "mapping")
    pace = () if rate is None else ("--rate", str(rate))
    began = time.monotonic()
    with site.events_to(environments):
        site.facefleet(
            *("load", str(clips), "--videos", "--entrance", "bucket", "--mapping", mapping, "--out", str(results)),
            *(*pace, "--json"),
        )
        wall = time.monotonic() - began
    verdict = loads(site.facefleet("verify", str(results), mapping, "--log", str(site.log), "--json"))
    seconds = [one.seconds for one in site.woken]
    return Clips(
        right=verdict["right"],
        total=verdict["expected"],
        wrong=len(verdict["wrong"]) + len(verdict["missing"]),
        spelling=len(verdict["spelling"]),
        counts=verdict["counts"],
        agree=verdict["counts_agree"],
        wall_s=round(wall, 1),
        function_p50_s=round(median(seconds), 3),
        function_p95_s=p95(seconds),
        function_max_s=round(max(seconds), 3),
        failed_calls=sum(one.error is not None for one in site.woken),
    )


def delivered_twice(site: Site, environments: Sequence[Running]) -> dict[str, int]:
    """Messages and files that are there more than once, or that were not there before."""
    outputs, told = set(site.outputs()), Counter(site.messages(site.settings.response_queue))
    calls = site.deliver_again(environments, [one.event for one in site.woken[:AGAIN]])
    doubled = sum(count - 1 for count in told.values()) + len(site.messages(site.settings.response_queue))
    return {"again": calls, "doubled": doubled + len(set(site.outputs()) - outputs), "messages": sum(told.values())}


def poisoned(site: Site, environments: Sequence[Running]) -> str:
    """Why a clip that is none was given up, as whoever reads the dead letters is told."""
    with site.events_to(environments):
        site.clients.s3.put_object(Bucket=site.settings.input_bucket, Key="poison.mp4", Body=b"no clip at all")
        (letter,) = awaited(lambda: site.messages(DEAD), "the clip that is none is given up")
    return str(loads(letter)["responsePayload"]["errorType"])


def extracted(clips: Path, to: Path) -> list[str]:
    """Frames of all clips as photos, half a second apart, by name; whom each shows."""
    with (clips / LABELS).open(newline="") as file:
        names = {row["file"]: row["name"] for row in csv.DictReader(file)}
    shown: list[str] = []
    to.mkdir()
    for clip in sorted(one for one in clips.iterdir() if one.suffix in SUFFIXES and one.name in names):
        with opened(clip, BOUNDS) as frames:
            for frame in frames.frames():
                photo = frame.picture.whole(frame.picture.longer_side)
                photo.save(to / f"{len(shown):04d}.jpg", quality=90)
                shown.append(names[clip.name])
    return shown


def live(site: Site, photos: Path, shown: list[str], url: str, frames: int, interval: float) -> Frames:
    """The Raspberry Pi's client, with the photos as its camera."""
    seconds = frames * interval
    session = ["--seconds", str(seconds), "--interval", str(interval), "--data", f"{site.folder}/pi"]
    told = told_by(["live", "--url", url, "--camera", f"folder:{photos}", *session], seconds + PATIENCE)
    if not told:
        raise SystemExit("bench: no frame was answered")
    numbers, latencies = [number for number, _, _ in told], [seconds for _, _, seconds in told]
    right = sum(words.startswith(shown[(number - 1) % len(shown)]) for number, words, _ in told)
    return Frames(
        frames, len(set(numbers)), right, numbers == sorted(numbers), round(median(latencies), 3), p95(latencies)
    )


def told_by(options: Sequence[str], patience: float) -> list[tuple[int, str, float]]:
    """Each frame that the client tells of: its number, who it shows, and the seconds since it was taken."""
    with subprocess.Popen(  # noqa: S603  # our own program, and no shell
        [sys.executable, "-m", "pi_uploader", *options],
        env=dict(os.environ) | {"FACEFLEET_API_KEY": KEY},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        # One that hangs is killed: what it told until then is less than was asked for.
        end = Timer(patience, process.kill)
        end.start()
        try:
            answers = [ANSWER.fullmatch(line.strip()) for line in process.stdout or ()]
        finally:
            end.cancel()
    return [(int(one[1]), one[2], int(one[3]) / 1000) for one in answers if one]


def started(site: Site, photo: bytes, command: Sequence[str]) -> Starts:
    event = event_of("POST", "/", {"content-type": "image/jpeg", "x-api-key": KEY}, photo)
    inits, firsts = [], []
    for _ in range(STARTS):
        with site.environment(command) as function:
            done = function.api.invoke(event)
            if done.error is not None or done.answer["statusCode"] != 200:
                raise SystemExit(f"bench: a cold function did not answer: {done.error or done.answer['body']}")
            inits.append(function.init_seconds)
            firsts.append(function.init_seconds + done.seconds)
    return Starts(round(median(firsts), 3), round(median(inits), 3))


def p95(seconds: Sequence[float]) -> float:
    return round(sorted(seconds)[max(0, -(-95 * len(seconds) // 100) - 1)], 3)


@contextmanager
def command_of(folder: Path, *, image: bool) -> Iterator[tuple[str, ...]]:
    """What starts the function."""
    with built("function", folder) if image else nullcontext(None) as made:
        yield COMMAND if made is None else made.entry()


def measure(
    clips: Path, *, image: bool, environments: int, frames: int, interval: float, rate: float | None, strangers: float
) -> dict[str, Any]:
    encodings = next(one for one in (clips / "encoding", clips / "encoding.safe.json") if one.exists())
    with tempfile.TemporaryDirectory() as name, ExitStack() as ending:
        folder = Path(name)
        command = ending.enter_context(command_of(folder, image=image))
        site = ending.enter_context(serverless(folder, STRANGER_RATE=str(strangers)))
        site.facefleet("roster", "encodings", str(encodings), "--store", "--yes")
        site.facefleet("roster", "load", str(clips / "student_data.json"), "--store", "--yes")
        shown = extracted(clips, folder / "frames")
        starts = started(site, (folder / "frames" / "0000.jpg").read_bytes(), command)
        site.log.unlink()
        up = [ending.enter_context(site.environment(command)) for _ in range(environments)]
        sent = sent_clips(site, clips, rate, up)
        twice = delivered_twice(site, up)
        buried = poisoned(site, up)
        with http_front(up[0].api) as url:
            seen = live(site, folder / "frames", shown, url, frames, interval)
        rss = max(peak_mb(one.process.pid) for one in up)
    told = asdict(sent) | twice | {"buried": buried} | asdict(seen) | asdict(starts)
    return told | {"rss_mb": round(rss, 1), "image": image, "stranger_rate": strangers}


@click.command(help=__doc__)
@click.option("--clips", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--image", is_flag=True, help="In the container image, built first.")
@click.option("--environments", default=2, show_default=True, type=click.IntRange(1, 100))
@click.option("--frames", default=120, show_default=True, type=click.IntRange(1, 10_000))
@click.option("--interval", default=0.5, show_default=True, type=click.FloatRange(0.05, 60))
@click.option("--rate", type=click.FloatRange(0.01, 1000), help="Clips a second; as fast as they go unless given.")
@click.option("--stranger-rate", "strangers", default=STRANGER_RATE, show_default=True, type=float)
@click.option("--json", "as_json", is_flag=True)
def main(*, as_json: bool, **options: Any) -> None:
    tell("a classroom's clips", measure(**options), as_json=as_json)


if __name__ == "__main__":
    main()
