"""How many known people are named right, and how many strangers are named, on photos of people who are known.

    python -m bench.openset --people DIR --strangers DIR [--enrol 3] [--splits 20] [--seed 1] [--json]

`--people` holds a folder for each person; people with too few photos to enrol `--enrol` and ask for one more are
strangers. `--strangers` holds such folders or loose photos. In every split, people and strangers are dealt into two
halves, and each half in turn gives the threshold at which the other is measured: nobody is in both. Of each known
person in a half `--enrol` photos are enrolled, drawn by chance, and the others are probes; strangers are searched for
in the same gallery. All searches of all splits are pooled.

`known_right`: the share of known people's probes given the right name (1 - FNIR, ISO/IEC 19795-1); a photo without a
face counts as wrong, `photos_without_face` says how many there were. `strangers_named`: the share of strangers' photos
given any name (FPIR); a stranger's photo without a face is left out. At top level both are those of our rule, its
threshold chosen on one half and measured on the other. Intervals are of 95 %, from a bootstrap over people, never
narrower than Wilson's for as many tries as there are different photos (`facefleet/recognition/rates.py` says why).

Beside: the built-in threshold, which needs no choosing; `face_recognition`'s way, the nearest example at 0.6; and
plain thresholds on the nearest example and on the mean, chosen for the same stranger rate on the same halves.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from facefleet.recognition import identification, trials
from facefleet.recognition.choosing import (
    Chooser,
    Course,
    Measured,
    built_in,
    cross_validated,
    fitted,
    measured,
    observed,
)
from facefleet.recognition.encoder import Encoder, open_encoder
from facefleet.recognition.identification import Encodings, Floats
from facefleet.recognition.labelled import Album, Labelled, albums, encoded, split_known, stranger_albums
from facefleet.recognition.rates import Rate
from facefleet.recognition.trials import Rule
from facefleet.settings import LEAST_STRANGER_RATE, MOST_STRANGER_RATE, Settings

#: `face_recognition.compare_faces` takes this as its tolerance.
LIBRARY_THRESHOLD = 0.6
RATE = click.FloatRange(LEAST_STRANGER_RATE, MOST_STRANGER_RATE)
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@dataclass(frozen=True)
class Way:
    """A way to tell people from strangers, as a key and in words."""

    key: str
    words: str
    choose: Chooser
    rule: Rule


def nearest_example(gallery: Sequence[Encodings], probes: Encodings) -> Floats:
    """As with `face_recognition`: the distance to the nearest of a person's photos."""
    distances = identification.distances(probes, np.concatenate(gallery))
    return trials.least(distances, gallery)


def plain_mean(gallery: Sequence[Encodings], probes: Encodings) -> Floats:
    """The distance to the mean of a person's encodings as they are."""
    return identification.distances(probes, np.array([encodings.mean(axis=0) for encodings in gallery]))


NEAREST = Rule(nearest_example, margin=False)
MEAN = Rule(plain_mean, margin=False)


def ways(stranger_rate: float, course: Course) -> tuple[Way, ...]:
    """What is measured; the first is the product's."""
    return (
        Way("chosen", "our rule, chosen", fitted(stranger_rate, course), trials.OWN),
        Way("built_in", "our rule, built in", built_in(stranger_rate), trials.OWN),
        Way("library", f"nearest example at {LIBRARY_THRESHOLD}", lambda *_: LIBRARY_THRESHOLD, NEAREST),
        Way("nearest", "nearest example, chosen", observed(stranger_rate), NEAREST),
        Way("mean", "plain mean, chosen", observed(stranger_rate), MEAN),
    )


def measure(
    known: Sequence[Labelled], strangers: Sequence[Labelled], stranger_rate: float, course: Course
) -> dict[str, Measured]:
    """Each way by its key, all on the same splits."""
    found = {}
    for way in ways(stranger_rate, course):
        tried = cross_validated(known, strangers, way.choose, replace(course, rule=way.rule))
        found[way.key] = measured(tried, left_out=False)
    return found


def encode_all(found: list[Album], encode: Encoder, *, max_pixels: int) -> list[Labelled]:
    """All people encoded, with a progress bar on stderr."""
    columns = (TextColumn("encoding"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=sum(len(photos) for _, photos in found))
        return encoded(found, encode, max_pixels=max_pixels, done=lambda: progress.advance(task))


def report(found: dict[str, Measured], known: Sequence[Labelled], strangers: Sequence[Labelled]) -> dict[str, Any]:
    """What `--json` prints, but for the course."""
    chosen = found["chosen"]
    return {
        "known_right": _rate(chosen.known_right),
        "strangers_named": _rate(chosen.strangers_named),
        "threshold": round(chosen.threshold, 4),
        "gallery_people": chosen.people,
        "people": len(known),
        "strangers": len(strangers),
        "photos_without_face": {
            "known": sum(person.faceless for person in known),
            "strangers": sum(person.faceless for person in strangers),
        },
        "beside": {key: _measured(one) for key, one in found.items() if key != "chosen"},
    }


def _measured(one: Measured) -> dict[str, Any]:
    return {
        "known_right": _rate(one.known_right),
        "strangers_named": _rate(one.strangers_named),
        "threshold": round(one.threshold, 4),
    }


def _rate(rate: Rate | None) -> dict[str, float] | None:
    return None if rate is None else {name: round(value, 5) for name, value in asdict(rate).items()}


def _in_words(rate: Rate | None) -> str:
    return "–" if rate is None else f"{rate.value:.1%} ({100 * rate.low:.1f}–{100 * rate.high:.1f})"


def _print(found: dict[str, Measured], stranger_rate: float, course: Course, told: dict[str, Any]) -> None:
    title = f"{told['gallery_people']} people × {course.enrol} photos enrolled, {course.splits} splits"
    table = Table("way", "known right", "strangers named", "threshold", title=title)
    for way in ways(stranger_rate, course):
        one = found[way.key]
        table.add_row(way.words, _in_words(one.known_right), _in_words(one.strangers_named), f"{one.threshold:.3f}")
    Console().print(table)
    faceless = told["photos_without_face"]
    click.echo(
        f"{told['people']} people and {told['strangers']} strangers, half of each in a split; seed {course.seed}; "
        f"photos without a face: {faceless['known']} of people (count as wrong), {faceless['strangers']} of strangers"
    )


@click.command()
@click.option("--people", type=FOLDER, required=True, help="A folder for each person, with photos.")
@click.option("--strangers", type=FOLDER, required=True, help="Folders or photos of people who are never enrolled.")
@click.option("--enrol", default=3, show_default=True, type=click.IntRange(min=1), help="Photos enrolled of each.")
@click.option("--splits", default=20, show_default=True, type=click.IntRange(min=1), help="Splits into halves.")
@click.option("--seed", default=1, show_default=True, help="Of all chance: the same seed, the same figures.")
@click.option("--stranger-rate", default=0.01, show_default=True, type=RATE, help="Wanted.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def main(
    people: Path, strangers: Path, enrol: int, splits: int, seed: int, stranger_rate: float, *, as_json: bool
) -> None:
    """Measure how many known people are named right, and how many strangers are named."""
    settings = Settings()
    encode = open_encoder(settings.models_folder, smallest_face=settings.smallest_face)
    known, few = split_known(encode_all(albums(people), encode, max_pixels=settings.max_pixels), enrol)
    others = encode_all(stranger_albums(strangers), encode, max_pixels=settings.max_pixels)
    outside = [*few, *(one for one in others if len(one.encodings))]
    if len(known) < 4 or len(outside) < 2:
        raise click.UsageError(f"{len(known)} people with more than {enrol} photos, {len(outside)} strangers: too few")
    course = Course(enrol, splits, seed)
    found = measure(known, outside, stranger_rate, course)
    told = report(found, known, others) | {"enrol": enrol, "splits": splits, "seed": seed}
    told["stranger_rate"] = stranger_rate
    if as_json:
        click.echo(json.dumps(told))
        return
    _print(found, stranger_rate, course, told)


if __name__ == "__main__":
    main()
