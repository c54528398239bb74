"""`facefleet status` and `facefleet purge`: what waits, what runs, and starting afresh."""

import json

import click
from rich.console import Console

from facefleet.cli.client import Client
from facefleet.cli.watch import facts, watch, workers_table
from facefleet.settings import Settings


@click.command()
@click.option(
    "--watch", "again", is_flag=True, help="Go on showing it, until Ctrl-C; without a terminal a line each time."
)
@click.option(
    "--every", default=1.0, show_default=True, type=click.FloatRange(min=0.1), help="Seconds between two looks."
)
@click.option("--json", "as_json", is_flag=True, help="The answer of /v1/fleet, for scripts.")
@click.pass_obj
def status(settings: Settings, *, again: bool, every: float, as_json: bool) -> None:
    """Show the queue, the fleet, and why it has this size.

    \b
    Examples:
      facefleet status
      facefleet status --watch
      facefleet status --watch --every 5 >> fleet.log
      facefleet status --json | jq .queue.visible
    """
    client = Client(settings)
    if again:
        watch(client, every=every, as_json=as_json)
        return
    fleet = client.call("GET", "/v1/fleet")
    if as_json:
        click.echo(json.dumps(fleet))
        return
    for name, words in facts(fleet):
        click.echo(f"{name:<11}{words}")
    if fleet["workers"]:
        Console().print(workers_table(fleet))


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
