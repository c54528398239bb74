"""`facefleet roster`: what people study, in from a file and out into one; and the course's encodings in."""

import json
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from facefleet.classroom import encodings as encodings_file
from facefleet.classroom import roster as roster_file
from facefleet.classroom.plan import Plan, newcomers_about, plan
from facefleet.cli.registers import Register, register_of
from facefleet.cli.roster_told import Import, imports, imports_as_json, plan_as_json, show_imports, show_plan
from facefleet.errors import ServiceError
from facefleet.model import Person
from facefleet.settings import Settings

FILE = click.Path(dir_okay=False, path_type=Path)
WRITERS = {".json": roster_file.as_json, ".csv": roster_file.as_csv}
Command = Callable[..., None]
#: Whose it is, and what is done.
Deed = tuple[str, Callable[[], object]]

store_option = click.option(
    "--store", is_flag=True, help="Straight in the store, without a service: on AWS, with your account's credentials."
)
yes_option = click.option("--yes", is_flag=True, help="Do not ask.")
dry_run_option = click.option("--dry-run", is_flag=True, help="Show what would be done, and do nothing.")
json_option = click.option(
    "--json", "as_json", is_flag=True, help="One JSON object, for scripts: needs --yes or --dry-run."
)


@click.group()
def roster() -> None:
    """Load or export what people study, and import encodings of the course.

    \b
    Examples:
      facefleet roster load student_data.json
      facefleet roster export class.csv
      facefleet roster encodings encoding
    """


@roster.command()
@click.argument("file", type=FILE)
@click.option("--replace", is_flag=True, help="Remove attributes that the roster does not tell.")
@click.option("--keep", type=click.Choice(["id"]), help="Keep the rows' numbers, under id, as an attribute.")
@yes_option
@dry_run_option
@json_option
@store_option
@click.pass_obj
def load(
    settings: Settings,
    file: Path,
    *,
    replace: bool,
    keep: str | None,
    yes: bool,
    dry_run: bool,
    as_json: bool,
    store: bool,
) -> None:
    """Make everybody in FILE a person with the attributes that stand there; nobody is removed.

    FILE is JSON, as [{"name": "mr_bean", "major": "lawyer"}], or CSV with a header. The column `name` is the person's
    id, made a word (Mr Bean: Mr_Bean), or `id` or `person` where those hold words. Shows first what would change, old
    and new. Loaded again, there is nothing to do; cut short, the same again goes on. Exit code 1 if FILE is wrong:
    then nothing is done.

    \b
    Examples:
      facefleet roster load student_data.json
      facefleet roster load class.csv --dry-run
      facefleet roster load class.csv --yes --json | jq .changed
      FACEFLEET_BACKEND=aws facefleet roster load student_data.json --store
    """
    _check_usage(as_json=as_json, asks=not (yes or dry_run))
    read = roster_file.read(file, keep_id=keep == "id")
    register = register_of(settings, store=store)
    wanted = plan(read, register.everybody(), replace=replace)
    if not as_json:
        show_plan(wanted, Console())
    deeds = [] if dry_run or not _agreed(wanted.todo, _question(wanted), yes=yes) else _deeds(wanted, register)
    _carry_out(deeds, "changing", quiet=as_json)
    _tell(plan_as_json(wanted), wanted.todo, deeds, as_json=as_json)


@roster.command()
@click.argument("file", type=FILE, required=False)
@yes_option
@store_option
@click.pass_obj
def export(settings: Settings, file: Path | None, *, yes: bool, store: bool) -> None:
    """Write everybody's attributes to FILE, JSON or CSV by its suffix, or as JSON to stdout.

    Loaded, such a file changes nothing. No photos and no encodings stand in it.

    \b
    Examples:
      facefleet roster export class.csv
      facefleet roster export | jq -r '.[].person'
    """
    if file is not None and file.suffix.lower() not in WRITERS:
        raise click.UsageError(f"{file}: a name that ends in .json or .csv says which it is to be")
    if file is not None and file.exists() and not yes:
        click.confirm(f"{file} is there: write over it?", abort=True)
    people = list(register_of(settings, store=store).everybody())
    suffix = ".json" if file is None else file.suffix.lower()
    text = WRITERS[suffix](people)
    _tell_left_out(people, is_text=suffix == ".csv")
    if file is None:
        click.echo(text, nl=False)
        return
    _write(file, text)
    click.echo(f"{len(people)} people written to {file}")


@roster.command()
@click.argument("file", type=FILE)
@yes_option
@dry_run_option
@json_option
@store_option
@click.pass_obj
def encodings(settings: Settings, file: Path, *, yes: bool, dry_run: bool, as_json: bool, store: bool) -> None:
    """Enrol the encodings in FILE, without photos: the course's pickle, or JSON of the same form.

    They must come from dlib's face network, as face_recognition.face_encodings makes them; of another network they
    match nobody, and nothing here can tell. No code in a pickle is run: it is read as data, and one that holds anything
    else is refused. Whoever is not there is made. Imported again, there is nothing to do.

    \b
    Examples:
      {"name": ["mr_bean", ...], "encoding": [[128 numbers], ...]}
      facefleet roster encodings encoding --dry-run
      facefleet roster encodings encoding.json --yes
      FACEFLEET_BACKEND=aws facefleet roster encodings encoding --store
    """
    _check_usage(as_json=as_json, asks=not (yes or dry_run))
    read = encodings_file.read(file)
    register = register_of(settings, store=store)
    names = {named.id for named in read}
    found = imports(read, {person.id: person for person in register.everybody() if person.id in names})
    todo = [one for one in found if one.new]
    if not as_json:
        show_imports(found, Console())
    question = f"Enrol {sum(len(one.new) for one in todo)} encodings of {len(todo)} people?"
    agreed = not dry_run and _agreed(len(todo), question, yes=yes)
    deeds: list[Deed] = [(one.named.id, partial(_enrol, one, register)) for one in todo] if agreed else []
    _carry_out(deeds, "enrolling", quiet=as_json)
    _tell(imports_as_json(found), len(todo), deeds, as_json=as_json)


def _check_usage(*, as_json: bool, asks: bool) -> None:
    if as_json and asks:
        raise click.UsageError("--json answers no questions: add --yes or --dry-run")


def _question(wanted: Plan) -> str:
    return f"Add {len(wanted.added)} people and change {len(wanted.changed)}?"


def _agreed(todo: int, question: str, *, yes: bool) -> bool:
    if todo and not yes:
        click.confirm(question, abort=True)
    return bool(todo)


def _deeds(wanted: Plan, register: Register) -> list[Deed]:
    add: list[Deed] = [(who.id, partial(register.add, who.id, newcomers_about(who))) for who in wanted.added]
    return add + [(who.id, partial(register.change, who.id, who.about)) for who in wanted.changed]


def _enrol(one: Import, register: Register) -> None:
    if one.is_new_person:
        register.add(one.named.id, {"name": one.named.name})
    register.enrol(one.named.id, one.new)


def _carry_out(deeds: Sequence[Deed], what: str, *, quiet: bool) -> None:
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True, quiet=quiet or not sys.stderr.isatty())) as progress:
        task = progress.add_task("", total=len(deeds))
        for count, (who, deed) in enumerate(deeds):
            try:
                deed()
            except (ServiceError, KeyboardInterrupt):
                click.echo(f"{count} of {len(deeds)} done, not {who}; the same again goes on from there", err=True)
                raise
            progress.advance(task)


def _tell(report: dict[str, Any], todo: int, deeds: Sequence[Deed], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(report | {"done": len(deeds)}))
    elif not todo:
        click.echo("nothing to do")
    else:
        click.echo(f"{len(deeds)} done" if deeds else f"{todo} to do; nothing was done")


def _tell_left_out(people: Sequence[Person], *, is_text: bool) -> None:
    names = {name for person in people for name in person.attributes}
    if left_out := sorted(name for name in names if not roster_file.may_hold(name, is_text=is_text)):
        words = ", ".join(map(repr, left_out))
        click.echo(f"left out, as a roster holds no attributes of these names: {words}", err=True)


def _write(file: Path, text: str) -> None:
    """Beside, then renamed, so that a roster that was there is lost only once the new one is whole."""
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        beside.write_text(text, encoding="utf-8", newline="")
        beside.replace(file)
    except OSError as e:
        beside.unlink(missing_ok=True)
        raise click.FileError(str(file), e.strerror) from e
