"""What systemd is told of this process: https://www.freedesktop.org/software/systemd/man/252/sd_notify.html

Without systemd, nothing.
"""

import os
import socket
from contextlib import suppress

#: Seconds. systemd reads at once, unless it is itself in trouble; that is no reason for this program to hang as well.
PATIENCE = 1.0


def ready() -> None:
    """It can take a press from now on."""
    tell("READY=1")


def alive() -> None:
    """It gets on. Who does not say so for `WatchdogSec` of its unit is killed, and started again."""
    tell("WATCHDOG=1")


def stopping() -> None:
    """It ends by itself, and takes no more presses."""
    tell("STOPPING=1")


def status(words: str) -> None:
    """What it does, for `systemctl status`: one line."""
    tell(f"STATUS={' '.join(words.split())}")


def tell(words: str) -> None:
    """One message to where `NOTIFY_SOCKET` says; nothing where there is none, or nobody who listens."""
    if not (place := os.environ.get("NOTIFY_SOCKET", "")):
        return
    # A name that begins with @ is in the kernel alone, and no file; there it begins with a zero.
    address = f"\0{place[1:]}" if place.startswith("@") else place
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.settimeout(PATIENCE)
        # Connected: to send to a full queue without that is to be told all the time that there is room.
        sender.connect(address)
        # Half of a character is valid in the service's JSON.
        sender.send(words.encode(errors="replace"))
