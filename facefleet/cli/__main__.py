"""`facefleet …`: everything that a person does with the service from a terminal."""

import os
import sys
from typing import Any

import click

from facefleet import __version__
from facefleet.cli.enrol import enrol
from facefleet.cli.people import people
from facefleet.cli.send import send
from facefleet.cli.status import purge, status
from facefleet.cli.up import up
from facefleet.entry import exit_code
from facefleet.errors import ServiceError
from facefleet.settings import Settings


class Commands(click.Group):
    """Errors that we know end in one line on stderr, not in a traceback."""

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


for command in (up, enrol, send, status, people, purge):
    main.add_command(command)

if __name__ == "__main__":
    main()
