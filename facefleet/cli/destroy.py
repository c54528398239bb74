"""`facefleet destroy`: a deployment taken away, people's data only where that is said."""

import json
import os
from collections.abc import Sequence

import click

from facefleet.backends.aws.account.deployment import Account
from facefleet.backends.aws.account.destruction import demolition, leftovers, settings_of
from facefleet.backends.aws.account.resources import Step
from facefleet.backends.aws.account.serverless_destruction import function_settings, of_function
from facefleet.cli.setup import carry_out, may_erase_people, names, report, show_steps
from facefleet.settings import Settings


@click.command()
@click.option("--name", default="facefleet", show_default=True, help="Of the deployment.")
@click.option(
    "--people", is_flag=True, help="With --yes: what lasts, too, and people's data in it, without being asked."
)
@click.option("--serverless", is_flag=True, help="The function alone, and not the machines.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Show what would be done, and do nothing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for scripts: needs --yes or --dry-run.")
def destroy(*, name: str, people: bool, serverless: bool, yes: bool, dry_run: bool, as_json: bool) -> None:
    """Take a deployment away: machines, network, roles; and, only if that is said by name, what it stores.

    A function beside a fleet goes with its buckets, whose clips and answers S3 forgets in days. One that stands alone
    has people of its own, and stays unless they are to go.

    Shows what would go before anything does. What lasts (queues, buckets, tables, the API key, logs: the stack
    NAME-store) stays unless the table's name is typed, and costs next to nothing meanwhile; `facefleet deploy` takes it
    up again. Run again, it removes what is left, if anything is.

    \b
    Examples:
      facefleet destroy --dry-run
      facefleet destroy
      facefleet destroy --yes --people --json | jq -r '.left[]'
    """
    if people and not yes:
        raise click.UsageError("--people answers a question in advance: add --yes, or type the table's name when asked")
    if as_json and not (yes or dry_run):
        raise click.UsageError("--json answers no questions: add --yes or --dry-run")
    account = Account(name)
    settings = _settings(account, serverless=serverless)
    steps = tuple(of_function(account)) if serverless else demolition(account, settings)
    if not as_json:
        show_steps(steps)
    done = () if dry_run else _chosen(steps, settings, yes=yes, people=people)
    carry_out(done, quiet=as_json)
    left = () if dry_run or serverless else leftovers(account, everything=people or done == steps)
    if as_json:
        told = {"steps": [report(step, did=step in done) for step in steps], "left": list(left)}
        click.echo(json.dumps(told))
    else:
        click.echo(_in_short(steps, done, left, dry_run=dry_run))
    if left:
        raise SystemExit(1)


def _settings(account: Account, *, serverless: bool) -> Settings:
    """What was told whoever stands there: the fleet, and where there is none, or it is not meant, the function."""
    told = account.told()
    alone = function_settings(account) if serverless or not any(told) else None
    return alone or settings_of(told, os.environ)


def _chosen(steps: Sequence[Step], settings: Settings, *, yes: bool, people: bool) -> tuple[Step, ...]:
    """Those that may be done: as asked for, or as answered."""
    lasting = tuple(step for step in steps if step.holds_people)
    running = tuple(step for step in steps if not step.holds_people)
    if yes:
        return running + (lasting if people else ())
    if running:
        click.confirm(f"Remove {names(running)}? Nobody is answered from then on.", abort=True)
    return running + (lasting if lasting and may_erase_people(lasting, settings) else ())


def _in_short(steps: Sequence[Step], done: Sequence[Step], left: Sequence[str], *, dry_run: bool) -> str:
    if not (steps or left):
        return "there is nothing to remove"
    if dry_run:
        return f"{len(steps)} to do; nothing was done"
    if left:
        return f"{len(done)} done; still there, and perhaps paid for: {', '.join(left)}"
    kept = [step for step in steps if step not in done]
    return f"{len(done)} done" + (f"; {kept[-1].what} is kept, with all that lasts" if kept else "")
