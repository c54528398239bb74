"""`facefleet setup`: what the service needs on an account of AWS, made, brought up to date, removed."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from facefleet.backends.aws.account.resources import IDLE, Step, Verb, apply, instances_left, plan, removal
from facefleet.backends.aws.clients import Clients, connect_clients
from facefleet.backends.openstack import servers_left
from facefleet.errors import BadSettings, ServiceError
from facefleet.settings import Settings

COLOURS = dict(zip(Verb, ("green", "cyan", "yellow", "red", "yellow"), strict=True))


@click.command()
@click.option("--teardown", is_flag=True, help="Remove what setup made; people's data only where that is said, too.")
@click.option("--adopt", is_flag=True, help="Change buckets, too, that were there before and are not empty.")
@click.option("--people", is_flag=True, help="With --teardown: people's data, too; with --yes without being asked.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Show what would be done, and do nothing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for scripts: needs --yes or --dry-run.")
@click.pass_obj
def setup(
    settings: Settings, *, teardown: bool, adopt: bool, people: bool, yes: bool, dry_run: bool, as_json: bool
) -> None:
    """Make queues, buckets and tables on AWS as the settings say, and change those that differ.

    Shows what is to be done before anything is. Again, it finds that all is fine. A teardown leaves alone what was
    there before. Machines and roles are not its own: `facefleet doctor` says what is missing of those.

    \b
    Examples:
      FACEFLEET_BACKEND=aws facefleet setup --dry-run
      FACEFLEET_BACKEND=aws facefleet setup
      FACEFLEET_BACKEND=aws facefleet setup --yes --json | jq '.steps[] | select(.verb != "fine")'
      FACEFLEET_BACKEND=aws facefleet setup --teardown
    """
    _check_usage(teardown=teardown, adopt=adopt, people=people, as_json=as_json, asks=not (yes or dry_run))
    _check_backend(settings)
    clients = connect_clients()
    if teardown:
        _tell_of_instances(clients, settings)
    steps = removal(clients, settings, people=True) if teardown else plan(clients, settings, adopt=adopt)
    if not as_json:
        show_steps(steps)
    done = () if dry_run else _chosen(steps, settings, yes=yes, people=people)
    carry_out(done, quiet=as_json)
    if as_json:
        click.echo(json.dumps({"steps": [report(step, did=step in done) for step in steps]}))
    else:
        click.echo(in_short(steps, done, dry_run=dry_run))


def _check_backend(settings: Settings) -> None:
    if settings.backend != "aws":
        raise BadSettings(
            f"setup is for AWS, and the backend is {settings.backend}: set FACEFLEET_BACKEND=aws "
            "(the embedded one makes what it needs by itself)"
        )


def _check_usage(*, teardown: bool, adopt: bool, people: bool, as_json: bool, asks: bool) -> None:
    if adopt and teardown:
        raise click.UsageError("--adopt is for what is to be changed, and --teardown removes: give one of them")
    if people and not teardown:
        raise click.UsageError("--people says what --teardown removes: give both")
    if as_json and asks:
        raise click.UsageError("--json answers no questions: add --yes or --dry-run")


def _tell_of_instances(clients: Clients, settings: Settings) -> None:
    if settings.asks_ec2:
        command = "aws ec2 terminate-instances --instance-ids"
        _tell_of(
            lambda: instances_left(clients, settings), "instances of the fleet are left, and are paid for", command
        )
    if "openstack" in settings.clouds:
        words = "servers of the fleet are left on OpenStack"
        _tell_of(lambda: servers_left(settings), words, "openstack server delete")


def _tell_of(look: Callable[[], Sequence[str]], words: str, command: str) -> None:
    try:
        ids = look()
    except ServiceError as e:
        click.echo(f"whether instances are left cannot be told: {e}", err=True)
        return
    if ids:
        click.echo(
            f"{words}: {', '.join(ids)}. First stop the controller, then end them: {command} {' '.join(ids)}", err=True
        )


def _chosen(steps: Sequence[Step], settings: Settings, *, yes: bool, people: bool) -> tuple[Step, ...]:
    """Those that may be done: as asked for, or as answered."""
    todo = tuple(step for step in steps if step.verb not in IDLE)
    plain = tuple(step for step in todo if not (step.verb is Verb.REMOVE and step.holds_people))
    of_people = tuple(step for step in todo if step not in plain)
    if yes or not todo:
        return todo if people else plain
    if not any(step.verb is Verb.REMOVE for step in todo):
        click.confirm("Do this?", abort=True)
        return todo
    if plain:
        click.confirm(f"Remove {names(plain)}, with all messages, images and answers?", abort=True)
    return plain + (of_people if of_people and may_erase_people(of_people, settings) else ())


def may_erase_people(steps: Sequence[Step], settings: Settings) -> bool:
    """Whether the one who is asked types the table's name; anything else keeps people."""
    click.echo(f"\n{names(steps)}\nhold EVERYBODY ENROLLED: attributes, encodings, photos. There is no backup.")
    question = f"To erase them for good type {settings.people_table}, to keep them just press Enter"
    answer: str = click.prompt(question, default="", show_default=False)
    return answer.strip() == settings.people_table


def carry_out(steps: Sequence[Step], *, quiet: bool) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True, quiet=quiet or not sys.stderr.isatty())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=len(steps))
        for step in steps:
            progress.update(task, description=f"{step.verb} {step.what}")
            apply([step])
            progress.advance(task)


def show_steps(steps: Sequence[Step]) -> None:
    table = Table("", "what", "now", "wanted")
    for step in steps:
        now = "" if step.verb in IDLE else _words(step.now)
        wanted = "" if step.verb in IDLE else _words(step.wanted)
        table.add_row(f"[{COLOURS[step.verb]}]{step.verb}[/]", step.what, now, wanted)
    if steps:
        Console().print(table)


def _words(facts: Mapping[str, str] | None) -> str:
    """A step that removes does not say what all a resource is like."""
    if not facts:
        return "not there" if facts is None else "there"
    return "\n".join(f"{about}: {words}" for about, words in facts.items())


def names(steps: Sequence[Step]) -> str:
    return ", ".join(step.what for step in steps)


def report(step: Step, *, did: bool) -> dict[str, object]:
    return {"what": step.what, "verb": step.verb, "now": step.now, "wanted": step.wanted, "done": did}


def in_short(steps: Sequence[Step], done: Sequence[Step], *, dry_run: bool) -> str:
    todo = [step for step in steps if step.verb not in IDLE]
    left = [step for step in steps if step.verb is Verb.LEAVE]
    spared = f"; setup did not make, and leaves: {names(left)}" if left else ""
    if not todo:
        return f"all is fine: nothing to do{spared}"
    if dry_run:
        return f"{len(todo)} to do; nothing was done{spared}"
    kept = [step for step in todo if step not in done]
    return f"{len(done)} done" + (f"; kept: {names(kept)}" if kept else "") + spared
