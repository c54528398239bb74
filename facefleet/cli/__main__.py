"""`facefleet …`: everything that a person does with the service from a terminal."""

import os
import sys
from importlib import import_module
from typing import Any

import click

from facefleet import __version__
from facefleet.entry import exit_code
from facefleet.errors import ServiceError
from facefleet.settings import Settings

#: Each command's module, imported when it is asked for: `calibrate` brings the recogniser, which takes half a second.
MODULES = {
    "up": "up",
    "enrol": "enrol",
    "send": "send",
    "status": "status",
    "people": "people",
    "roster": "roster",
    "calibrate": "calibrate",
    "simulate": "simulate",
    "purge": "status",
    "load": "load",
    "verify": "verify",
    "setup": "setup",
    "doctor": "doctor",
    "deploy": "deploy",
    "upgrade": "upgrade",
    "destroy": "destroy",
    "relay": "relay",
    "site": "site",
}


class Commands(click.Group):
    """Errors that we know end in one line on stderr, not in a traceback."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in MODULES:
            return None
        command: click.Command = getattr(import_module(f"facefleet.cli.{MODULES[cmd_name]}"), cmd_name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            ctx.obj = Settings.from_env(os.environ)
            return super().invoke(ctx)
        except ServiceError as e:
            click.echo(f"facefleet: {e}", err=True)
            sys.exit(exit_code(e))


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Face recognition that you run yourself.

    Settings come from the environment, FACEFLEET_…: the README lists them.
    Exit codes: 0 done, 1 something failed and stderr says what, 2 wrong usage, 78 wrong settings.

    \b
    Examples:
      facefleet up                      start everything on this machine
      facefleet enrol people/           a folder for each person, photos inside
      facefleet send photo.jpg          who is this?
    """


if __name__ == "__main__":
    main()
