"""`facefleet people`: who is enrolled, and erasing somebody."""

import json

import click
from rich.console import Console
from rich.table import Table

from facefleet.cli.client import Client
from facefleet.settings import Settings


@click.group()
def people() -> None:
    """List or erase people.

    \b
    Examples:
      facefleet people list
      facefleet people erase paul
    """


@people.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for scripts.")
@click.pass_obj
def list_people(settings: Settings, *, as_json: bool) -> None:
    """List everybody enrolled.

    \b
    Examples:
      facefleet people list
      facefleet people list --json | jq -r .id
    """
    found = list(Client(settings).people())
    if as_json:
        for person in found:
            click.echo(json.dumps(person))
        return
    table = Table("id", "name", "photos", "attributes")
    for person in found:
        attributes = ", ".join(f"{k}={v}" for k, v in person["attributes"].items())
        table.add_row(person["id"], person["name"], str(len(person["photos"])), attributes)
    Console().print(table if found else "nobody is enrolled: facefleet enrol FOLDER", markup=False)


@people.command()
@click.argument("person_id")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="The receipt, for scripts.")
@click.pass_obj
def erase(settings: Settings, person_id: str, *, yes: bool, as_json: bool) -> None:
    """Erase PERSON_ID: attributes, photos, encodings, and every answer that names the person.

    \b
    Examples:
      facefleet people erase paul
      facefleet people erase paul --yes --json
    """
    if not yes:
        click.confirm(f"Erase {person_id} and every answer that names this person?", abort=True)
    erased = Client(settings).erase(person_id).get("erased", {})
    if as_json:
        click.echo(json.dumps(erased))
        return
    words = ", ".join(f"{count} {what}" for what, count in erased.items())
    click.echo(f"erased: {words}" if erased else f"there is nobody called {person_id}")
