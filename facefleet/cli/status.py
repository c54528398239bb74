"""`facefleet status` and `facefleet purge`: what waits, what runs, and starting afresh."""

import json
from collections import deque
from pathlib import Path

import click
from rich.console import Console

from facefleet.cli import newfile
from facefleet.cli.client import Client
from facefleet.cli.record import ENDINGS, MAX_LOOKS, draw
from facefleet.cli.watch import Look, Pace, facts, watch, workers_table
from facefleet.settings import Settings


@click.command()
@click.option(
    "--watch", "again", is_flag=True, help="Go on showing it, until Ctrl-C; without a terminal a line each time."
)
@click.option(
    "--every", default=1.0, show_default=True, type=click.FloatRange(min=0.1), help="Seconds between two looks."
)
@click.option("--seconds", type=click.FloatRange(min=0), help="With --watch or --record: stop after so many.")
@click.option(
    "--record",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Watch, and at the end draw queue and instances over time into this PNG or SVG.",
)
@click.option("--json", "as_json", is_flag=True, help="The answer of /v1/fleet, for scripts.")
@click.pass_obj
def status(
    settings: Settings, *, again: bool, every: float, seconds: float | None, record: Path | None, as_json: bool
) -> None:
    """Show the queue, the fleet, and why it has this size.

    \b
    Examples:
      facefleet status
      facefleet status --watch
      facefleet status --watch --every 5 >> fleet.log
      facefleet status --record fleet.png --seconds 300
      facefleet status --json | jq .queue.visible
    """
    client = Client(settings)
    if record is not None:
        _record(client, Pace(every, seconds), record, as_json=as_json)
        return
    if again:
        watch(client, Pace(every, seconds), as_json=as_json)
        return
    fleet = client.call("GET", "/v1/fleet")
    if as_json:
        click.echo(json.dumps(fleet))
        return
    for name, words in facts(fleet):
        click.echo(f"{name:<11}{words}")
    if fleet["workers"]:
        Console().print(workers_table(fleet))


def _record(client: Client, pace: Pace, file: Path, *, as_json: bool) -> None:
    newfile.check(file, ENDINGS)
    looks: deque[Look] = deque(maxlen=MAX_LOOKS)
    watch(client, pace, as_json=as_json, keep=looks.append)
    draw(looks, file)
    click.echo(f"drawn: {file}", err=True)


@click.command()
@click.option("--people", is_flag=True, help="Erase everybody enrolled, too.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="What was removed, for scripts.")
@click.pass_obj
def purge(settings: Settings, *, people: bool, yes: bool, as_json: bool) -> None:
    """Empty the queues and delete all images and answers. People stay unless asked for.

    \b
    Examples:
      facefleet purge
      facefleet purge --people --yes
    """
    what = "all messages, images, answers and PEOPLE" if people else "all messages, images and answers"
    if not yes:
        click.confirm(f"Delete {what} at {settings.service_url}?", abort=True)
    removed = Client(settings).call("POST", "/v1/purge", json={"confirm": "purge", "people": people})["removed"]
    words = ", ".join(f"{count} {what}" for what, count in removed.items())
    click.echo(json.dumps(removed) if as_json else f"removed: {words}")
