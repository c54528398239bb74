"""`facefleet relay`: what a relay has done and does, and its dead letters, to be tried again."""

import json
import math
import time
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import Any

import click
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from facefleet.backends.aws.relay import RelayAccount, connect
from facefleet.cli.plain import plain
from facefleet.cli.relay_letters import LEASE, MOST_LISTED, Moved, letters_in, sent_again
from facefleet.model import Depth
from facefleet.settings import Settings
from openstack_relay import status as told_of
from openstack_relay.places import dead_letters_of, output_of
from openstack_relay.spool import FILE

#: Commands of other modules, imported when they are asked for.
ELSEWHERE = {"setup": "facefleet.cli.relay_setup"}


class Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *ELSEWHERE])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in ELSEWHERE:
            return super().get_command(ctx, cmd_name)
        command: click.Command = getattr(import_module(ELSEWHERE[cmd_name]), cmd_name)
        return command


@click.group(cls=Commands)
def relay() -> None:
    """What a private cloud's relay has done, does, and could not do.

    \b
    Examples:
      facefleet relay status --watch
      facefleet relay retry
    """


@relay.command()
@click.option("--watch", "again", is_flag=True, help="Go on showing it, until Ctrl-C.")
@click.option(
    "--every", default=2.0, show_default=True, type=click.FloatRange(min=0.1), help="Seconds between two looks."
)
@click.option("--seconds", type=click.FloatRange(min=0), help="With --watch: stop after so many.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a look, for scripts.")
@click.pass_obj
def status(settings: Settings, *, again: bool, every: float, seconds: float | None, as_json: bool) -> None:
    """Show what came, what became of it, and why nothing is taken, if so.

    Of events of the last FACEFLEET_KEEP_DAYS. Run it where the relay runs, as its user.

    \b
    Examples:
      facefleet relay status
      facefleet relay status --json | jq .queues
    """
    look = partial(_look, settings, connect(settings))
    if not again:
        seconds = 0.0
    try:
        _show(look, every=every, seconds=math.inf if seconds is None else seconds, as_json=as_json)
    except KeyboardInterrupt:
        return


def _look(settings: Settings, account: RelayAccount) -> Mapping[str, Any]:
    seen = told_of.spooled(settings.data / FILE)
    queues: dict[str, Depth | str] = {}
    for name, queue in queues_of(settings).items():
        queues[name] = told_of.depth_of(partial(account.queue, queue))
    return told_of.as_json(seen, queues, time.time())


def queues_of(settings: Settings) -> dict[str, str]:
    """By what the status calls them."""
    ends = {"input": settings.relay_input}
    if settings.relay_by == "function":
        ends["output"] = output_of(settings)
    return {
        name: where
        for end, queue in ends.items()
        for name, where in ((end, queue), (f"{end} dead", dead_letters_of(queue)))
    }


def _show(look: Callable[[], Mapping[str, Any]], *, every: float, seconds: float, as_json: bool) -> None:
    deadline, console = time.monotonic() + seconds, Console()
    if as_json or not console.is_terminal or not seconds:
        _go_on(look, lambda told: _say(told, as_json=as_json), every=every, deadline=deadline)
        return
    with Live(console=console, auto_refresh=False) as live:
        _go_on(look, lambda told: live.update(_table(told), refresh=True), every=every, deadline=deadline)


def _go_on(
    look: Callable[[], Mapping[str, Any]], show: Callable[[Mapping[str, Any]], None], *, every: float, deadline: float
) -> None:
    while True:
        show(look())
        if time.monotonic() + every > deadline:
            return
        time.sleep(every)


def _say(told: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(told))
        return
    for name, words in told_of.lines(told):
        click.echo(plain(f"{name:<13}{words}"))


def _table(told: Mapping[str, Any]) -> Table:
    grid = Table.grid(padding=(0, 2))
    for name, words in told_of.lines(told):
        # Words in brackets, as an error has, are none of rich's.
        grid.add_row(name, Text(plain(words)))
    return grid


@relay.command()
@click.option("--dry-run", is_flag=True, help="Show what lies there and why, and send nothing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a letter, for scripts.")
@click.pass_obj
def retry(settings: Settings, *, dry_run: bool, as_json: bool) -> None:
    """Send the relay's dead letters again, to the queues that they came by.

    Each is done anew; one that fails again lies there again, and is not sent a second time.

    \b
    Examples:
      facefleet relay retry --dry-run
      facefleet relay retry
    """
    account = connect(settings)
    ends = [where for name, where in queues_of(settings).items() if not name.endswith(" dead")]
    counts = [_retried(account, end, dry_run=dry_run, as_json=as_json) for end in ends]
    if not as_json:
        more = " and more" if dry_run and MOST_LISTED in counts else ""
        click.echo(f"{sum(counts)} dead letters{more}" + (" lie there" if dry_run else " were sent again"))


def _retried(account: RelayAccount, end: str, *, dry_run: bool, as_json: bool) -> int:
    """How many letters of this queue were told, and, unless it is a dry run, sent again."""
    dead, queue = account.queue(dead_letters_of(end), lease=LEASE), account.queue(end)
    count = 0
    for letter in letters_in(dead) if dry_run else sent_again(dead, queue):
        count += 1
        _tell(letter, as_json=as_json)
    return count


def _tell(letter: Moved, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"queue": letter.queue, "what": letter.what, "why": letter.why}))
    else:
        click.echo(plain(f"{letter.queue}: {letter.what}: {letter.why}"))
