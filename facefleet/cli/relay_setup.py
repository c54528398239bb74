"""`facefleet relay setup`: the queues that a relay works on, and the bucket that tells one of them what came."""

import json
from collections.abc import Sequence

import click

from facefleet.backends.aws.account.relay import plan, removal
from facefleet.backends.aws.account.resources import IDLE, Step
from facefleet.backends.aws.clients import connect_clients
from facefleet.backends.aws.relay import check
from facefleet.cli.setup import carry_out, in_short, names, report, show_steps
from facefleet.settings import Settings


@click.command()
@click.option("--remove", is_flag=True, help="Take the notification away, and the queues that this command made.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Show what would be done, and do nothing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for scripts: needs --yes or --dry-run.")
@click.pass_obj
def setup(settings: Settings, *, remove: bool, yes: bool, dry_run: bool, as_json: bool) -> None:
    """Have the input bucket tell a queue of what comes, and make that queue, for a relay.

    On AWS, or where queues and buckets speak as SQS and S3 do. The bucket must be there: `facefleet setup` makes it.
    Again, it finds that all is fine. Whom else the bucket tells of other things, and what else a queue's policy says,
    stays. Not for a function that `facefleet deploy --serverless --relay` made, which has all of this.

    \b
    Examples:
      FACEFLEET_BACKEND=aws facefleet relay setup --dry-run
      FACEFLEET_BACKEND=aws FACEFLEET_RELAY_BY=itself facefleet relay setup --yes
      FACEFLEET_BACKEND=aws facefleet relay setup --remove
    """
    if as_json and not (yes or dry_run):
        raise click.UsageError("--json answers no questions: add --yes or --dry-run")
    check(settings)
    clients = connect_clients()
    steps = removal(clients, settings) if remove else plan(clients, settings)
    if not as_json:
        show_steps(steps)
    done = () if dry_run else _agreed(steps, yes=yes, remove=remove)
    carry_out(done, quiet=as_json)
    if as_json:
        click.echo(json.dumps({"steps": [report(step, did=step in done) for step in steps]}))
    else:
        click.echo(in_short(steps, done, dry_run=dry_run))


def _agreed(steps: Sequence[Step], *, yes: bool, remove: bool) -> tuple[Step, ...]:
    """What is to be done, once whoever is asked says so."""
    todo = tuple(step for step in steps if step.verb not in IDLE)
    if todo and not yes:
        click.confirm(f"Remove {names(todo)}, with all messages?" if remove else "Do this?", abort=True)
    return todo
