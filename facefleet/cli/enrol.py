"""`facefleet enrol`: a folder for each person, photos inside."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn as Bar
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from facefleet.cli.client import Client, Refused
from facefleet.imagefile import SUFFIXES
from facefleet.people import id_of
from facefleet.settings import Settings

#: Those of cameras that we cannot read are tried too, so that each gets its line.
PHOTOS = SUFFIXES | {".heic", ".heif", ".tif", ".tiff", ".avif"}


@dataclass(frozen=True)
class Outcome:
    """What became of one photo; `why` is empty where it was enrolled."""

    person: str
    photo: str
    code: str = ""
    why: str = ""
    #: Whether `--force` would enrol it all the same.
    forcible: bool = False

    @property
    def is_present(self) -> bool:
        """Whether it, or one that is practically the same, was enrolled before: so a folder may be enrolled again."""
        return self.code == "duplicate_photo"

    @property
    def is_refused(self) -> bool:
        return self.code != "" and not self.is_present


def photos_in(folder: Path) -> list[tuple[str, Path]]:
    """(Folder name, photo) pairs in order; hidden files and what is no photo by its name are left out."""
    return [
        (person.name, photo)
        for person in sorted(folder.iterdir())
        if person.is_dir() and not person.name.startswith(".")
        for photo in sorted(person.iterdir())
        if photo.suffix.lower() in PHOTOS and not photo.name.startswith(".")
    ]


def enrol_all(client: Client, photos: list[tuple[str, Path]], *, force: bool = False) -> Iterator[Outcome]:
    """Adds each person once and each photo in turn; a photo that will not do is told, and the rest goes on."""
    added: set[str] = set()
    for name, photo in photos:
        id = id_of(name)
        try:
            if id not in added:
                client.add_person(id, name)
                added.add(id)
            client.enrol(id, photo, force=force)
            yield Outcome(id, str(photo))
        except Refused as e:
            yield Outcome(id or name, str(photo), e.code, e.detail, e.forcible)


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--force", is_flag=True, help="Also enrol photos refused for poor quality or for being like somebody else's."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for scripts.")
@click.pass_obj
def enrol(settings: Settings, folder: Path, *, force: bool, as_json: bool) -> None:
    """Enrol FOLDER: a folder for each person, named as the person, with photos of just that person.

    A photo that cannot be used gets a line that says why; the others are enrolled. Exit code 1 if there was one.

    \b
    Examples:
      people/Paul/1.jpg people/Paul/2.jpg people/Mary/a.png
      facefleet enrol people/
      facefleet enrol people/ --force
      facefleet enrol people/ --json | jq .refused
    """
    photos = photos_in(folder)
    if not photos:
        raise click.UsageError(f"no photos in {folder}: it must hold a folder for each person, with photos inside")
    if twice := _same_id({name for name, _ in photos}):
        raise click.UsageError(f"the folders {' and '.join(twice)} would be one person: rename one")
    outcomes = _with_progress(Client(settings), photos, force=force, quiet=as_json)
    click.echo(_as_json(outcomes) if as_json else _in_words(outcomes))
    if any(outcome.is_refused for outcome in outcomes):
        raise SystemExit(1)


def _as_json(outcomes: list[Outcome]) -> str:
    enrolled, present = sum(not o.code for o in outcomes), sum(o.is_present for o in outcomes)
    refused = [asdict(o) for o in outcomes if o.is_refused]
    return json.dumps({"enrolled": enrolled, "present": present, "refused": refused}, indent=2)


def _in_words(outcomes: list[Outcome]) -> str:
    enrolled, present = [o for o in outcomes if not o.code], sum(o.is_present for o in outcomes)
    words = f"{len(enrolled)} of {len(outcomes)} photos enrolled, {len({o.person for o in enrolled})} people"
    if present:
        words += f", {present} were there already"
    if forcible := sum(o.is_refused and o.forcible for o in outcomes):
        words += f"\n{forcible} of these may be enrolled all the same: --force"
    return words


def _same_id(names: set[str]) -> list[str]:
    """Folder names that make one and the same id, if there are any."""
    by_id: dict[str, list[str]] = {}
    for name in sorted(names):
        by_id.setdefault(id_of(name), []).append(name)
    return next((same for same in by_id.values() if len(same) > 1), [])


def _with_progress(client: Client, photos: list[tuple[str, Path]], *, force: bool, quiet: bool) -> list[Outcome]:
    outcomes = []
    columns = (TextColumn("enrolling"), Bar(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as progress:
        task = progress.add_task("", total=len(photos))
        for outcome in enrol_all(client, photos, force=force):
            outcomes.append(outcome)
            progress.advance(task)
            if outcome.is_refused:
                progress.console.print(f"{outcome.photo}: {outcome.why}", markup=False, highlight=False, soft_wrap=True)
    return outcomes
