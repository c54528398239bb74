"""What systemd is told of a process: https://www.freedesktop.org/software/systemd/man/252/sd_notify.html

Without systemd, nothing.
"""

import logging

from gunicorn.systemd import sd_notify

log = logging.getLogger(__name__)


def ready() -> None:
    """It can do its work from now on."""
    sd_notify("READY=1", log)


def alive() -> None:
    """It gets on. Who does not say so for `WatchdogSec` of its unit is killed, and started again."""
    sd_notify("WATCHDOG=1", log)


def stopping() -> None:
    """It ends by itself, and takes no new work."""
    sd_notify("STOPPING=1", log)


def status(words: str) -> None:
    """What it does, for `systemctl status`: one line."""
    sd_notify(f"STATUS={words}", log)
