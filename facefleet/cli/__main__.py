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

#: Each command's module, imported when it is asked for: `calibrate` brings the recogniser, `site` all of OpenStack's
#: library, which take a second. So what it does stands here, for the list of all.
COMMANDS = {
    "up": ("up", "Start everything on this machine."),
    "enrol": ("enrol", "Enrol people by their photos, a folder for each."),
    "send": ("send", "Ask who is on photos or clips."),
    "status": ("status", "Show the queue, the fleet, and why it has this size."),
    "people": ("people", "List or erase people; say whom a face does not show."),
    "roster": ("roster", "Load or export what people study."),
    "calibrate": ("calibrate", "Measure error rates, and recommend a stranger rate."),
    "simulate": ("simulate", "Run policies in simulated time: cost and waiting."),
    "purge": ("status", "Empty the queues; delete all images and answers."),
    "load": ("load", "Send a folder of files, and tell how long it took."),
    "verify": ("verify", "Hold answers against the truth, and count them."),
    "setup": ("setup", "Make queues, buckets and tables on AWS."),
    "doctor": ("doctor", "Check what the service needs, and say what to do."),
    "deploy": ("deploy", "Put the service on AWS, or change what stands there."),
    "upgrade": ("upgrade", "Replace all machines, and lose no request."),
    "destroy": ("destroy", "Take a deployment away."),
    "relay": ("relay", "Show what a private cloud's relay does; try again."),
    "site": ("site", "Make a private cloud's network, and a relay's server."),
}
MODULES = {name: module for name, (module, _) in COMMANDS.items()}


class Commands(click.Group):
    """Errors that we know end in one line on stderr, not in a traceback."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in MODULES:
            return None
        command: click.Command = getattr(import_module(f"facefleet.cli.{MODULES[cmd_name]}"), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, does) for name, (_, does) in COMMANDS.items()])

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
