"""`facefleet up`: web tier and controller side by side on this machine, until Ctrl-C."""

import os
import shlex
import signal
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import click
import requests
from honcho import manager as honcho

from facefleet import keys
from facefleet.backends import connect
from facefleet.cli.client import Client
from facefleet.cli.enrol import enrol_all, photos_in
from facefleet.entry import refuse_taken_port
from facefleet.errors import NotFound, ServiceError
from facefleet.model import Instance
from facefleet.people import id_of
from facefleet.ports import Backend, People
from facefleet.settings import Settings

#: What runs, by the name under which its lines appear.
TIERS = {"web": "web_tier", "controller": "controller --finish"}
#: Seconds beyond the drain time for what else a tier does before it ends.
ALLOWANCE = 10.0
#: How long the tiers may take to answer at all.
START_TIMEOUT = 60.0


@click.command()
@click.option(
    "--samples",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Enrol this folder (a folder for each person) before the service calls itself ready.",
)
@click.pass_obj
def up(settings: Settings, samples: Path | None) -> None:
    """Start everything on this machine: web tier, controller, and as many workers as the work deserves.

    Ctrl-C finishes the images in hand, and leaves nothing running.

    \b
    Examples:
      facefleet up
      FACEFLEET_PORT=9000 FACEFLEET_DATA=~/faces facefleet up
    """
    refuse_taken_port(settings)
    backend = connect(settings)
    with backend.only_one("service"):
        _mark_setting_up(backend, samples)
        threading.Thread(target=_welcome, args=(settings, backend, samples), daemon=True).start()
        try:
            code = _run(settings)
        finally:
            _drain(backend, settings.drain_timeout)
    # honcho's codes for Ctrl-C and SIGTERM: that is how it is meant to end.
    sys.exit(0 if code in (None, 128 + signal.SIGINT, 128 + signal.SIGTERM) else code)


def _run(settings: Settings) -> int | None:
    """Runs the tiers until one ends or we are told to; if one ends, so does the other."""
    # The longest that a tier takes to finish what it has in hand; honcho's own five seconds would cut uploads off.
    honcho.KILL_WAIT = settings.drain_timeout + ALLOWANCE
    runner = honcho.Manager()
    signal.signal(signal.SIGHUP, _hang_up)
    environment = dict(os.environ) | {"PYTHONUNBUFFERED": "1"}
    for name, module in TIERS.items():
        runner.add_process(name, f"exec {shlex.quote(sys.executable)} -m {module}", env=environment)
    runner.loop()
    code: int | None = runner.returncode
    return code


def _hang_up(*_: object) -> None:
    """The terminal was closed: ends as by Ctrl-C, and writes no more to where nobody reads."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for output in (1, 2):
        os.dup2(nowhere, output)
    signal.raise_signal(signal.SIGTERM)


def _mark_setting_up(backend: Backend, samples: Path | None) -> None:
    """Until the samples are enrolled the service is not ready; a mark left by a run that was cut short goes."""
    backend.blobs.delete(keys.SETTING_UP)
    if samples is not None and _missing(backend.people, samples):
        backend.blobs.put(keys.SETTING_UP, b"")


def _missing(people: People, samples: Path) -> list[tuple[str, Path]]:
    """The photos of people who are not enrolled yet."""
    photos = photos_in(samples)
    known = {name for name, _ in photos if _is_enrolled(people, id_of(name))}
    return [(name, photo) for name, photo in photos if name not in known]


def _is_enrolled(people: People, id: str) -> bool:
    try:
        return bool(people.get(id).photos)
    except NotFound:
        return False


def _welcome(settings: Settings, backend: Backend, samples: Path | None) -> None:
    """Once the tiers answer: enrols what is missing, then says where to go."""
    here = replace(settings, url="").service_url
    try:
        if not _await(f"{here}/healthz"):
            click.echo(f"facefleet: nothing answers at {here}", err=True)
            return
        if samples is not None:
            _enrol_samples(settings, backend, samples)
        if _await(f"{here}/readyz"):
            click.secho(f"facefleet is ready: {here}   (Ctrl-C stops it)", bold=True)
    except ServiceError as e:
        click.echo(f"facefleet: the samples could not be enrolled: {e}", err=True)


def _enrol_samples(settings: Settings, backend: Backend, samples: Path) -> None:
    """Until each person of the samples is enrolled, the service does not call itself ready."""
    for outcome in enrol_all(Client(_with_own_key(settings)), _missing(backend.people, samples)):
        click.echo(f"sample {outcome.photo}: {outcome.why or 'enrolled as ' + outcome.person}")
    if not _missing(backend.people, samples):
        backend.blobs.delete(keys.SETTING_UP)


def _with_own_key(settings: Settings) -> Settings:
    """With a key that may enrol here: whoever starts the service knows them all."""
    own = next((key for key, scopes in settings.keys.items() if "enrol" in scopes), "")
    return replace(settings, api_key=own, url="")


def _await(url: str) -> bool:
    """Whether it answers 200 within the time allowed."""
    deadline = time.monotonic() + START_TIMEOUT
    session = requests.Session()
    # No proxy stands between us and ourselves.
    session.trust_env = False
    while time.monotonic() < deadline:
        try:
            if session.get(url, timeout=5).ok:
                return True
        except requests.RequestException:
            pass
        time.sleep(0.1)
    return False


def _drain(backend: Backend, drain_timeout: float) -> None:
    """Retires every worker and waits until none is left; those that take longer than that are ended."""
    deadline = time.monotonic() + drain_timeout
    while (left := backend.fleet.instances()) and time.monotonic() < deadline + ALLOWANCE:
        ids = [instance.id for instance in left]
        if time.monotonic() < deadline:
            backend.fleet.retire(ids)
        else:
            backend.fleet.end(ids)
        time.sleep(0.1)
    _report(left)


def _report(left: list[Instance]) -> None:
    if left:
        click.echo(f"facefleet: still running: {', '.join(instance.id for instance in left)}", err=True)
