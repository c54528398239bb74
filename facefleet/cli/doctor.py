"""`facefleet doctor`: whether all is there that the service needs, and what to do about what is not."""

import json
import logging
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import fields
from functools import partial
from typing import TYPE_CHECKING

import click

from facefleet import __version__
from facefleet.cli import here
from facefleet.errors import BadSettings, ServiceError
from facefleet.findings import Finding, Look, State, ok, unknown, wrong
from facefleet.settings import Settings
from facefleet.settingtext import PREFIX

if TYPE_CHECKING:
    from facefleet.backends.aws.account.checks import Account

log = logging.getLogger(__name__)

COLOURS = {State.OK: "green", State.WRONG: "red", State.UNKNOWN: "yellow"}
TIERS = ("web", "worker", "controller")
#: Whoever sets up: all else that is looked at here is what they may do.
OPERATOR = "operator"
#: Who launches nothing, and is not to be able to.
ASK_NO_FLEET = {"web", "worker"}


@click.command()
@click.option(
    "--tier",
    "tiers",
    multiple=True,
    type=click.Choice((*TIERS, OPERATOR)),
    help="Whose these credentials are; else they are tried for all tiers.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for scripts.")
@click.pass_obj
def doctor(settings: Settings, *, tiers: tuple[str, ...], as_json: bool) -> None:
    """Check everything that the service needs, and say what to do.

    A line for each thing: ok, wrong, or cannot tell. Exit code 1 if anything is wrong. On AWS it makes real calls
    with the credentials at hand, which leave nothing behind.

    \b
    Examples:
      facefleet doctor
      FACEFLEET_BACKEND=aws facefleet doctor
      FACEFLEET_BACKEND=aws facefleet doctor --tier worker
      facefleet doctor --json | jq '.findings[] | select(.state == "wrong")'
    """
    found = []
    for finding in _findings(settings, tiers or TIERS):
        found.append(finding)
        if not as_json:
            _show(finding)
    if as_json:
        click.echo(json.dumps({"findings": [_report(finding) for finding in found]}))
    sys.exit(any(finding.state is State.WRONG for finding in found))


def _findings(settings: Settings, tiers: tuple[str, ...]) -> Iterator[Finding]:
    for about, look in _looks(settings, tiers):
        yield from looked(about, look)


def looked(about: str, look: Look) -> Iterator[Finding]:
    """What was found; that it could not be looked at, whatever went wrong, is a finding too."""
    try:
        yield from look()
    except BadSettings as e:
        yield wrong(about, str(e))
    except ServiceError as e:
        yield unknown(about, str(e))
    except Exception as e:
        # One check that stumbles keeps nobody from the others.
        log.debug("%s", about, exc_info=True)
        yield unknown(about, f"{type(e).__name__}: {e}")


def _looks(settings: Settings, tiers: tuple[str, ...]) -> Iterable[tuple[str, Look]]:
    yield "settings", partial(_settings, settings)
    yield "python", here.python
    yield "libraries", here.libraries
    yield "data folder", partial(here.data_folder, settings.data)
    yield "model", partial(here.model, settings.models_folder)
    yield "port", partial(here.port, settings)
    if settings.backend == "aws":
        yield from _of_aws(settings, tiers)
    if "openstack" in settings.clouds and set(tiers) - ASK_NO_FLEET:
        yield from _of_openstack(settings)


def _of_aws(settings: Settings, tiers: tuple[str, ...]) -> Iterable[tuple[str, Look]]:
    # Here, since it takes half a second that the embedded backend need not.
    from facefleet.backends.aws.account.checks import open_account

    try:
        account = open_account(settings)
    except BadSettings as e:
        why = wrong("region", str(e))
        yield "region", lambda: [why]
        return
    yield "credentials", account.identity
    yield "endpoints", account.endpoints
    yield "resources", account.resources
    yield "message size", account.message_size
    yield "relay", account.dead_letters
    if settings.asks_ec2:
        yield from _of_ec2(settings, account)
    yield "permissions", partial(account.permissions, tiers)


def _of_ec2(settings: Settings, account: "Account") -> Iterable[tuple[str, Look]]:
    if settings.auto_scaling_group:
        # What is launched, and by which template, the group says.
        yield "Auto Scaling group", account.group
    else:
        yield "launch template", account.launch_template
    yield "vCPU quota", account.quotas_of_instances


def _of_openstack(settings: Settings) -> Iterable[tuple[str, Look]]:
    from facefleet.backends.openstack.user_data import user_data

    # First, since it asks nobody.
    yield "user data", partial(user_data, settings, os.environ)
    # Here, as above.
    from facefleet.backends.openstack.checks import ABOUT, open_cloud

    try:
        cloud = open_cloud(settings)
    except BadSettings as e:
        why = wrong(ABOUT, str(e))
        yield ABOUT, lambda: [why]
        return
    yield from cloud.looks()


def _settings(settings: Settings) -> Iterator[Finding]:
    given = sum(f"{PREFIX}{f.name.upper()}" in os.environ for f in fields(settings))
    yield ok("settings", f"facefleet {__version__}, {settings.backend} backend, {given} given and none unknown")


def _show(finding: Finding) -> None:
    state = click.style(f"{finding.state:<12}", fg=COLOURS[finding.state])
    click.echo(f"{state}{finding.about}: {' '.join(finding.words.split())}")


def _report(finding: Finding) -> dict[str, str]:
    return {"about": finding.about, "state": finding.state, "words": finding.words}
