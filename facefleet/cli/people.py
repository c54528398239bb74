"""`facefleet people`: who is enrolled, who a face is not, and erasing somebody."""

import json
from collections.abc import Mapping

import click
from rich.console import Console
from rich.table import Table

from facefleet.backends import connect
from facefleet.cli.client import Client
from facefleet.settings import Settings
from web_tier.erasure import erase_person


@click.group()
def people() -> None:
    """List or erase people, and say whom a face does not show.

    \b
    Examples:
      facefleet people list
      facefleet people reject 5e0cb7a1f1c24b6f9d0a3c5e7f901122
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
@click.option(
    "--store", is_flag=True, help="Straight in the store, without a service: on AWS, with your account's credentials."
)
@click.pass_obj
def erase(settings: Settings, person_id: str, *, yes: bool, as_json: bool, store: bool) -> None:
    """Erase PERSON_ID: attributes, photos, encodings, and every answer that names the person.

    \b
    Examples:
      facefleet people erase paul
      facefleet people erase paul --yes --json
      FACEFLEET_BACKEND=aws facefleet people erase paul --store
    """
    if not yes:
        click.confirm(f"Erase {person_id} and every answer that names this person?", abort=True)
    erased = _erased_in_store(settings, person_id) if store else Client(settings).erase(person_id).get("erased", {})
    if as_json:
        click.echo(json.dumps(erased))
        return
    words = ", ".join(f"{count} {what}" for what, count in erased.items())
    click.echo(f"erased: {words}" if erased else f"there is nobody called {person_id}")


def _erased_in_store(settings: Settings, person_id: str) -> Mapping[str, int]:
    backend = connect(settings)
    return erase_person(backend.people, backend.blobs, backend.requests, person_id) or {}


@people.command()
@click.argument("job_id")
@click.option("--face", default=0, show_default=True, help="Which face of the photo, from 0: the largest.")
@click.option("--person", help="Whom it does not show; without this, the person who was named.")
@click.option("--json", "as_json", is_flag=True, help="The rejection, for scripts.")
@click.pass_obj
def reject(settings: Settings, job_id: str, *, face: int, person: str | None, as_json: bool) -> None:
    """Say that a face is not the person who was named; later answers heed it.

    JOB_ID stands behind each name that `facefleet send` tells.

    \b
    Examples:
      facefleet people reject 5e0cb7a1f1c24b6f9d0a3c5e7f901122
      facefleet people reject 5e0cb7a1f1c24b6f9d0a3c5e7f901122 --face 1 --person paul
    """
    rejection = Client(settings).reject(job_id, face=face, person_id=person)
    if as_json:
        click.echo(json.dumps(rejection))
        return
    who, id = rejection["person"], rejection["id"]
    click.echo(f"rejected: this is not {who}. To undo it: facefleet people unreject {who} {id}")


@people.command()
@click.argument("person_id")
@click.argument("rejection_id")
@click.option("--json", "as_json", is_flag=True, help="What was undone, for scripts.")
@click.pass_obj
def unreject(settings: Settings, person_id: str, rejection_id: str, *, as_json: bool) -> None:
    """Undo a rejection: the face may be PERSON_ID again.

    \b
    Examples:
      facefleet people unreject paul 5e0cb7a1f1c24b6f9d0a3c5e7f901122-0
    """
    Client(settings).unreject(person_id, rejection_id)
    if as_json:
        click.echo(json.dumps({"id": rejection_id, "person": person_id}))
        return
    click.echo(f"undone: {rejection_id} is no rejection of {person_id} any more")
