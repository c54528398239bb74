"""`facefleet status` and `facefleet purge`: what waits, what runs, and starting afresh."""

import json

import click
from rich.console import Console
from rich.table import Table

from facefleet.cli.client import Client
from facefleet.settings import Settings


@click.command()
@click.option("--json", "as_json", is_flag=True, help="The answer of /v1/fleet, for scripts.")
@click.pass_obj
def status(settings: Settings, *, as_json: bool) -> None:
    """Show the queue, the fleet, and why it has this size.

    \b
    Examples:
      facefleet status
      facefleet status --json | jq .queue.visible
    """
    fleet = Client(settings).call("GET", "/v1/fleet")
    if as_json:
        click.echo(json.dumps(fleet))
        return
    queue, instances = fleet["queue"], fleet["instances"]
    click.echo(f"queue   {queue['visible']} visible, {queue['in_flight']} in flight, {queue['dead']} dead letters")
    states = ", ".join(f"{count} {state}" for state, count in instances.items())
    click.echo(f"fleet   {states}; desired {fleet['desired']} of at most {fleet['max']}")
    click.echo(f"reason  {fleet['reason']}")
    if fleet["workers"]:
        table = Table("worker", "state", "jobs")
        for worker in fleet["workers"]:
            table.add_row(worker["id"], worker["state"], str(worker["jobs"]))
        Console().print(table)


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
