"""`facefleet site`: a network, a router, who may come in, and a server for the relay, on a private cloud."""

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from facefleet.backends.openstack.connection import connect
from facefleet.backends.openstack.site import Part, Site, Step, Wish
from facefleet.backends.openstack.site_end import WORDS, removal
from facefleet.backends.openstack.site_found import relays_server
from facefleet.backends.openstack.site_made import plan
from facefleet.errors import Throttled, Unavailable
from facefleet.settings import Settings

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
COLOURS = {"fine": "green", "make": "cyan", "change": "yellow", "remove": "red"}
#: The word for a network outside that there is none of.
NONE = "none"
#: Tries while the cloud breaks off, and seconds between two.
TRIES, PAUSE = 3, 2.0


@click.group()
def site() -> None:
    """Make what a private cloud (OpenStack) needs: network, router, key pair, security group, the relay's server.

    Which cloud: FACEFLEET_OPENSTACK_CLOUD, a name in clouds.yaml; or OS_CLOUD, or the other OS_ variables.

    \b
    Examples:
      facefleet site up --key ~/.ssh/id_ed25519.pub --ssh-from 198.51.100.0/24 --relay --dry-run
      facefleet site up --key ~/.ssh/id_ed25519.pub --ssh-from 198.51.100.0/24 --relay
      facefleet site status
      facefleet site down
    """


NAME = click.option("--name", default="facefleet", show_default=True, help="Of the site; a cloud may have several.")
YES = click.option("--yes", is_flag=True, help="Do not ask.")
DRY_RUN = click.option("--dry-run", is_flag=True, help="Show what would be done, and do nothing.")
AS_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object, for scripts.")


@site.command()
@NAME
@click.option("--public", help="The network outside that the router leads to, or `none`; else the only one there is.")
@click.option("--subnet", help="Addresses within.  [default: 10.77.0.0/24]")
@click.option("--key", type=FILE, help="Your public key, as ~/.ssh/id_ed25519.pub.")
@click.option("--ssh-from", help="Who may come in by SSH, as 198.51.100.0/24.  [default: nobody]")
@click.option("--relay", is_flag=True, help="A server for the relay, too, with a floating IP; needs a key.")
@DRY_RUN
@AS_JSON
@click.pass_obj
def up(
    settings: Settings,
    *,
    name: str,
    public: str | None,
    subnet: str | None,
    key: Path | None,
    ssh_from: str | None,
    relay: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Make the site, or what is missing of it; what is not named again stays as it is.

    All that it makes it describes as its own. Nothing secret leaves this machine: of the key the public half, and no
    user data. Run again, it finds that all is fine.

    \b
    Examples:
      facefleet site up --dry-run
      facefleet site up --public public --key ~/.ssh/id_ed25519.pub --ssh-from 198.51.100.0/24 --relay
    """
    with connect(settings) as cloud:
        found = Site(cloud, name)
        server = relays_server(cloud, settings) if relay else None
        wish = Wish("" if public == NONE else public, subnet, ssh_from, _text_of(key), server)
        steps = plan(found, wish)
        _show(steps, as_json=as_json)
        if not dry_run:
            _carry_out(steps, lambda: plan(found, wish), quiet=as_json)
        parts = found.parts()
    _tell(steps, parts, dry_run=dry_run, as_json=as_json)


@site.command()
@NAME
@AS_JSON
@click.pass_obj
def status(settings: Settings, *, name: str, as_json: bool) -> None:
    """Show what there is of the site.

    \b
    Examples:
      facefleet site status
      facefleet site status --json | jq -r '.parts[] | select(.kind == "address").name'
    """
    with connect(settings) as cloud:
        parts = Site(cloud, name).parts()
    if as_json:
        click.echo(json.dumps({"parts": [_part(part) for part in parts]}))
        return
    if not parts:
        click.echo(f"there is no site {name} in this project: `facefleet site up` makes it")
        return
    table = Table("", "name", "", "id")
    for part in parts:
        table.add_row(WORDS.get(part.kind, part.kind), escape(part.name), escape(part.about), part.id)
    Console().print(table)


@site.command()
@NAME
@YES
@DRY_RUN
@AS_JSON
@click.pass_obj
def down(settings: Settings, *, name: str, yes: bool, dry_run: bool, as_json: bool) -> None:
    """Remove the site: what carries its mark, and nothing else. Not while servers of a fleet are in it.

    \b
    Examples:
      facefleet site down --dry-run
      facefleet site down --yes --json | jq .left
    """
    if as_json and not (yes or dry_run):
        raise click.UsageError("--json answers no questions: add --yes or --dry-run")
    with connect(settings) as cloud:
        found = Site(cloud, name)
        steps = removal(found)
        _show(steps, as_json=as_json)
        if steps and not (yes or dry_run):
            click.confirm("Remove all this, with what lies on the relay's disk?", abort=True)
        if not dry_run:
            _carry_out(steps, lambda: removal(found), quiet=as_json)
        left = () if dry_run else found.parts()
    if as_json:
        click.echo(json.dumps({"steps": [_step(step) for step in steps], "left": [_part(part) for part in left]}))
    else:
        click.echo(_ended(steps, left, dry_run=dry_run))
    if left:
        raise SystemExit(1)


def _text_of(key: Path | None) -> str | None:
    """What is no text becomes something that is no key."""
    return key.read_text(errors="replace") if key else None


def _show(steps: Sequence[Step], *, as_json: bool) -> None:
    if as_json or not steps:
        return
    table = Table("", "what", "")
    for step in steps:
        table.add_row(f"[{COLOURS[step.verb]}]{step.verb}[/]", escape(step.what), escape(step.about))
    Console().print(table)


def _carry_out(steps: Sequence[Step], again: Callable[[], Sequence[Step]], *, quiet: bool) -> None:
    """Each is told as it begins. Where the cloud breaks off, what there is then is looked at before going on."""
    for _ in range(TRIES - 1):
        try:
            return _do(steps, quiet=quiet)
        except Unavailable as e:
            # What else is called so is a refusal, as that there is no room.
            if type(e) not in (Unavailable, Throttled):
                raise
            if not quiet:
                click.echo(f"{e}; once more", err=True)
            time.sleep(PAUSE)
            steps = again()
    return _do(steps, quiet=quiet)


def _do(steps: Sequence[Step], *, quiet: bool) -> None:
    for step in steps:
        if step.verb != "fine":
            if not quiet:
                click.echo(f"{step.verb} {step.what}", err=True)
            step.act()


def _tell(steps: Sequence[Step], parts: Sequence[Part], *, dry_run: bool, as_json: bool) -> None:
    todo = [step for step in steps if step.verb != "fine"]
    if as_json:
        told = {"steps": [_step(step) for step in steps], "parts": [_part(part) for part in parts], "done": not dry_run}
        click.echo(json.dumps(told))
    elif not todo:
        click.echo("all is fine: nothing to do")
    elif dry_run:
        click.echo(f"{len(todo)} to do; nothing was done")
    else:
        click.echo(f"{len(todo)} done" + "".join(f"; {words}" for words in _ways_in(parts)))


def _ways_in(parts: Sequence[Part]) -> list[str]:
    """To the relay's server, and for whom they are open."""
    addresses = [f"the relay's server: ssh debian@{part.name}" for part in parts if part.kind == "address"]
    return [*addresses, *(part.about for part in parts if part.kind == "group" and addresses)]


def _ended(steps: Sequence[Step], left: Sequence[Part], *, dry_run: bool) -> str:
    if not (steps or left):
        return "there is nothing to remove"
    if dry_run:
        return f"{len(steps)} to do; nothing was done"
    still = ", ".join(f"{part.kind} {part.name}" for part in left)
    return f"{len(steps)} done" + (f"; still there: {still}" if left else "; nothing is left")


def _step(step: Step) -> dict[str, Any]:
    return {"verb": step.verb, "what": step.what, "about": step.about}


def _part(part: Part) -> dict[str, Any]:
    return {"kind": part.kind, "name": part.name, "id": part.id, "about": part.about}
