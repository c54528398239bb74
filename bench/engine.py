"""The engine beside the package `face_recognition`, on the same photos and the same dlib, by CPU time.

    python -m bench.engine [--photos DIR] [--limit 40] [--rounds 5] [--soak N] [--json]

Every image in DIR and the folders in it, `--limit` of them, evenly spread, is made a JPEG of 1 megapixel, if it has
half of one, and a face crop of 250×250: a square around the largest face that `face_recognition` finds, the face 45 %
of its side, as in Labelled Faces in the Wild. The sides take turns, each with all photos. A side is a process with one
thread, as a worker is. Ours: from the file's bytes to names, as a worker recognises it, settings as built in. Theirs:
`load_image_file`, `face_locations`, `face_encodings` at these locations, `compare_faces`. The gallery has ten people.

`speedup_1mp`, `speedup_250`: their CPU time to ours, the median of the photos; `…_least`: of the photo that gained
least; `…_total`: of all photos together; `…_twice`: where `face_encodings(image)` is not told the locations, and looks
for the faces again. `ms_…`: CPU time of the median photo. `faces_missed`: faces of theirs that none of ours shares more
than 0.4 of its area with (IoU). `encoding_error_max`: how far any of the 128 numbers is from theirs at the same box.

`encoder_gflops`: dlib's network here, eight faces at once, an operation for each multiplication and addition that its
convolutions ask for. `peak_fraction`: to numpy's float32 matrix products of the same sizes, what a convolution comes to
once its pixels are laid out (which is not counted), with the quickest of OpenBLAS's kernels. It is above 1: thin
matrices do not suit OpenBLAS. `peak_fraction_square`: to the best that it does with matrices of any size here, which is
near the most that the core can. `peak_fraction_as_it_comes`: as `peak_fraction`, with the kernel that OpenBLAS picks,
where that is not the quickest: `bench/peak.py` says why.

`ready_s`: from the start of a process that opens what a worker opens, the model converted and its file in the page
cache, until it can answer. `rss_mb`, `peak_mb`: what such a process holds after all photos, and held at most. `--soak`
sends so many images, all of them different, through one more, a tenth of them of 1 megapixel; `soak_growth_mb`: what it
holds more at the end than after a tenth.
"""

import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import median
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bench.comparison import Measured, compare, summary
from bench.peak import Peak, measure_peaks
from bench.photoset import LEAST_CROP, Chosen, Sets, choose, make_sets
from bench.sides import Side, enrol, our_side, their_side
from bench.soak import Soaked, soak
from facefleet.backends.embedded import WORKER_ENVIRONMENT
from facefleet.model import Box
from facefleet.settings import Settings

SAMPLES = Path(".samples/photos")
TRY = f"try --photos {SAMPLES}, after `make {SAMPLES.parent}/done`"
#: Fresh processes, of which the median is told.
STARTS = 5
MADE = "image.jpg"

#: Makes a progress bar of so many steps; what it returns is called after each.
Bar = Callable[[str, int], Callable[[], None]]


@dataclass(frozen=True)
class Report:
    """All that is measured. A set is None where no photo was fit for it."""

    damaged: int
    megapixel: Measured | None
    crops: Measured | None
    ready_s: float
    rss_mb: float
    peak_mb: float
    peaks: list[Peak]
    soaked: Soaked | None


def measure(chosen: Chosen, rounds: int, images: int, bar: Bar) -> Report:
    """Everything, one after the other: nothing else of ours runs beside what is timed."""
    os.environ.update(WORKER_ENVIRONMENT)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        enrol(folder)
        with their_side(folder) as theirs, our_side(folder) as ours:
            sets = _sets(chosen, folder, theirs, bar("photos", len(chosen.photos)))
            megapixel = _compared(sets.megapixel, ours, theirs, rounds, bar)
            crops = _compared(sets.crops, ours, theirs, rounds, bar)
            rss_mb, peak_mb = ours.rss_mb, ours.peak_mb
        ready_s = _ready_s(folder, bar("starts", STARTS))
        peaks = measure_peaks(Settings().models_folder.absolute())
        soaked = _soaked(sets, folder, images, bar("soak", images)) if images else None
    return Report(sets.damaged, megapixel, crops, ready_s, round(rss_mb, 1), round(peak_mb, 1), peaks, soaked)


def _sets(chosen: Chosen, folder: Path, theirs: Side, advance: Callable[[], None]) -> Sets:
    def find(photo: Path) -> list[Box]:
        advance()
        return [Box(*box) for box in theirs.ask(photo)["boxes"]]

    sets = make_sets(chosen.photos, folder, find)
    if not sets.megapixel and not sets.crops:
        raise click.UsageError(
            f"none of {len(chosen.photos)} photos has half a megapixel, or a face large enough for a crop; {TRY}"
        )
    return sets


def _compared(photos: list[Path], ours: Side, theirs: Side, rounds: int, bar: Bar) -> Measured | None:
    if not photos:
        return None
    return summary(compare(photos, ours, theirs, rounds, bar("both sides", rounds * len(photos))))


def _ready_s(folder: Path, advance: Callable[[], None]) -> float:
    starts = []
    for _ in range(STARTS):
        with our_side(folder) as side:
            starts.append(side.ready_s)
        advance()
    return round(median(starts), 2)


def _soaked(sets: Sets, folder: Path, images: int, advance: Callable[[], None]) -> Soaked:
    with our_side(folder) as side:
        return soak(side, sets, images, folder / MADE, advance)


def told(report: Report, chosen: Chosen) -> dict[str, Any]:
    """What `--json` prints."""
    sets = {"1mp": report.megapixel, "250": report.crops}
    return {
        **{f"speedup_{name}": one and one.speedup for name, one in sets.items()},
        **{f"speedup_{name}_twice": one and one.speedup_twice for name, one in sets.items()},
        **_found([one for one in sets.values() if one is not None]),
        **_peak(report.peaks),
        "ready_s": report.ready_s,
        "rss_mb": report.rss_mb,
        "peak_mb": report.peak_mb,
        **(asdict(report.soaked) if report.soaked else {}),
        "skipped": chosen.skipped + report.damaged,
        "too_small": chosen.small,
        "sets": {name: one and asdict(one) for name, one in sets.items()},
        "peaks": [asdict(peak) for peak in report.peaks],
    }


def _found(sets: list[Measured]) -> dict[str, Any]:
    errors = [one.encoding_error_max for one in sets if one.encoding_error_max is not None]
    return {
        "faces_ours": sum(one.faces_ours for one in sets),
        "faces_theirs": sum(one.faces_theirs for one in sets),
        "faces_missed": sum(one.faces_missed for one in sets),
        "encoding_error_max": max(errors, default=None),
    }


def _peak(peaks: list[Peak]) -> dict[str, float]:
    as_it_comes, best = peaks[0], max(peaks, key=lambda peak: peak.products_gflops)
    return {
        "encoder_gflops": best.encoder_gflops,
        "peak_gflops": best.products_gflops,
        "square_gflops": best.square_gflops,
        "peak_fraction": best.fraction,
        "peak_fraction_square": best.fraction_square,
        "peak_fraction_as_it_comes": as_it_comes.fraction,
    }


def _print(report: Report, figures: dict[str, Any]) -> None:
    console = Console()
    sets = {"1 megapixel": report.megapixel, "250×250": report.crops}
    table = Table("CPU time of an image", *sets, title="facefleet beside face_recognition")
    for name in (field.name for field in fields(Measured)):
        table.add_row(name, *("–" if one is None else str(getattr(one, name)) for one in sets.values()))
    console.print(table)
    rest = Table("measured", "", title="The engine")
    nested = ("sets", "peaks")
    for name, value in figures.items():
        if name not in nested and not name.startswith(("speedup", "faces")):
            rest.add_row(name, str(value))
    console.print(rest)
    if report.megapixel is None:
        click.echo("No photo has half a megapixel: nothing was measured at 1 megapixel.")


@click.command()
@click.option("--photos", type=click.Path(exists=True, file_okay=False, path_type=Path), default=SAMPLES)
@click.option("--limit", default=40, show_default=True, type=click.IntRange(min=1), help="Photos, evenly spread.")
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(min=1), help="Turns of each photo.")
@click.option("--soak", "images", default=0, type=click.IntRange(min=0), help="Images through one process, at the end.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def main(photos: Path, limit: int, rounds: int, images: int, *, as_json: bool) -> None:
    """Measure the engine beside face_recognition."""
    chosen = choose(photos, limit)
    if not chosen.photos:
        raise click.UsageError(
            f"{photos} has no photo to measure with: {chosen.skipped} files are no images, "
            f"and {chosen.small} have a side of fewer than {LEAST_CROP} pixels; {TRY}"
        )
    with Progress(console=Console(stderr=True), transient=True) as progress:

        def bar(what: str, steps: int) -> Callable[[], None]:
            task = progress.add_task(what, total=steps)
            return lambda: progress.advance(task)

        report = measure(chosen, rounds, images, bar)
    figures = told(report, chosen)
    if as_json:
        click.echo(json.dumps(figures))
        return
    _print(report, figures)


if __name__ == "__main__":
    main()
