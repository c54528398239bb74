"""`facefleet calibrate`: a folder of one's own labelled photos in, error rates and the settings that suit them out."""

import csv
import json
from math import isnan
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn as Bar
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from facefleet.cli.figures import draw, report, show
from facefleet.recognition.calibration import LEAST_PEOPLE, calibrated
from facefleet.recognition.choosing import Course
from facefleet.recognition.encoder import Encoder, open_encoder
from facefleet.recognition.labelled import Album, Labelled, albums, encoded, split_known, stranger_albums
from facefleet.settings import LEAST_STRANGER_RATE, MOST_STRANGER_RATE, Settings

#: Folders of this name in the folder hold the people, and those who are never enrolled.
PEOPLE, STRANGERS = "people", "strangers"
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
CSV = click.Path(exists=True, dir_okay=False, path_type=Path)
PNG = click.Path(dir_okay=False, writable=True, path_type=Path)
RATE = click.FloatRange(LEAST_STRANGER_RATE, MOST_STRANGER_RATE)


def _place(context: click.Context, parameter: click.Parameter, file: Path | None) -> Path | None:
    """Looked at before all the work: at its end it would be for nothing."""
    if file is not None and not file.absolute().parent.is_dir():
        raise click.BadParameter(f"there is no folder {file.parent}")
    return file


def _number(context: click.Context, parameter: click.Parameter, rate: float | None) -> float | None:
    if rate is not None and isnan(rate):
        raise click.BadParameter("nan is no share")
    return rate


@click.command()
@click.argument("folder", type=FOLDER)
@click.option("--groups", type=CSV, help="CSV with the columns person,group: rates for each group, too.")
@click.option("--stranger-rate", type=RATE, callback=_number, help="Share of strangers that may be named; else as set.")
@click.option("--enrol", default=3, show_default=True, type=click.IntRange(min=1), help="Photos enrolled of each.")
@click.option("--picture", type=PNG, callback=_place, help="Draw the curves into this PNG file.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for scripts.")
@click.pass_obj
def calibrate(
    settings: Settings,
    folder: Path,
    groups: Path | None,
    stranger_rate: float | None,
    enrol: int,
    picture: Path | None,
    *,
    as_json: bool,
) -> None:
    """Measure error rates on FOLDER, and recommend the stranger rate to set for faces like these.

    FOLDER holds a folder for each person, with photos; or two folders: people/, with such folders, and strangers/,
    with folders or loose photos of people who are never enrolled. People with too few photos are strangers, too, and
    so is everybody to a gallery without them. Nobody is used both for choosing a threshold and for measuring it. Runs
    here, without the service.

    \b
    Examples:
      facefleet calibrate album/
      facefleet calibrate album/ --stranger-rate 0.001 --picture rates.png
      facefleet calibrate album/ --groups groups.csv --json | jq .recommended
    """
    people, strangers = _found(folder, enrol)
    group_of = {} if groups is None else read_groups(groups, {name for name, _ in [*people, *strangers]})
    encode = open_encoder(settings.models_folder, smallest_face=settings.smallest_face)
    encoded_people = _with_progress([*people, *strangers], encode, settings.max_pixels)
    known, others = _sorted_out(encoded_people[: len(people)], encoded_people[len(people) :], enrol)
    rate = settings.stranger_rate if stranger_rate is None else stranger_rate
    course = Course(enrol)
    found = calibrated(known, others, rate, course, group_of)
    if picture is not None:
        draw(found, rate, picture)
    about = _about(known, others, encoded_people, rate, course)
    if as_json:
        click.echo(json.dumps(about | report(found), indent=2))
    else:
        show(found, about, Console())


def read_groups(file: Path, people: set[str]) -> dict[str, str]:
    """Each person's group; raises `click.UsageError` where the file says nothing of these people."""
    try:
        with file.open(newline="", encoding="utf-8-sig") as lines:
            group_of = {row["person"].strip(): row["group"].strip() for row in csv.DictReader(lines)}
    except (KeyError, AttributeError, UnicodeDecodeError, csv.Error) as e:
        raise click.UsageError(f"{file} must be CSV in UTF-8 with the header person,group") from e
    if not group_of.keys() & people:
        raise click.UsageError(f"{file} names none of the folders: the column person holds the folders' names")
    return group_of


def _found(folder: Path, enrol: int) -> tuple[list[Album], list[Album]]:
    inner = albums(folder / PEOPLE) if (folder / PEOPLE).is_dir() else []
    people = inner or albums(folder)
    strangers = stranger_albums(folder / STRANGERS) if inner and (folder / STRANGERS).is_dir() else []
    if not people:
        raise click.UsageError(
            f"no photos in {folder}: it must hold a folder for each person, with photos inside, or the folders "
            f"{PEOPLE}/ and {STRANGERS}/"
        )
    # Before anything is encoded: that takes minutes, and cannot make up for missing photos.
    _enough(sum(len(photos) > enrol for _, photos in people), enrol, "photos")
    return people, strangers


def _sorted_out(people: list[Labelled], strangers: list[Labelled], enrol: int) -> tuple[list[Labelled], list[Labelled]]:
    if not any(len(person.encodings) for person in people):
        raise click.ClickException("no face on any of the people's photos: give sharper ones, seen from the front")
    known, few = split_known(people, enrol)
    _enough(len(known), enrol, "photos with a face")
    return known, [*few, *(one for one in strangers if len(one.encodings))]


def _enough(people: int, enrol: int, what: str) -> None:
    if people < LEAST_PEOPLE:
        fewer = ", or enrol fewer of each, with --enrol 1" if enrol > 1 else ""
        raise click.UsageError(
            f"too few people: {people} of them have {enrol + 1} {what} or more, and {LEAST_PEOPLE} are needed, better "
            f"50: add people and photos{fewer}"
        )


def _with_progress(found: list[Album], encode: Encoder, max_pixels: int) -> list[Labelled]:
    columns = (TextColumn("encoding"), Bar(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=sum(len(photos) for _, photos in found))
        return encoded(found, encode, max_pixels=max_pixels, done=lambda: progress.advance(task))


def _about(
    known: list[Labelled], others: list[Labelled], everybody: list[Labelled], rate: float, course: Course
) -> dict[str, Any]:
    return {
        "people": len(known),
        "strangers": len(others),
        "photos_without_face": sum(person.faceless for person in everybody),
        "stranger_rate": rate,
        "enrol": course.enrol,
        "splits": course.splits,
        "seed": course.seed,
    }
