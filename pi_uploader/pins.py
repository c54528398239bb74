"""The pins of the Pi; on a machine without any, pins that only tests drive."""

import warnings
from pathlib import Path
from typing import Any, TypeVar

from gpiozero import Device, GPIODevice
from gpiozero.exc import BadPinFactory
from gpiozero.pins.mock import MockFactory

#: Names the board, on one that has pins.
MODEL = Path("/proc/device-tree/model")
BUSY = "end the other program that uses the pin, or name another pin in the settings"

MISSING = "`sudo apt install python3-lgpio`, `sudo usermod --append --groups gpio $USER`, and log in again"

Part = TypeVar("Part", bound=GPIODevice)


class NoPins(OSError):
    """The board has pins, and we may not use them; the words say what to do."""


def open_pins(model: Path = MODEL) -> bool:
    """Whether button and LEDs are real, or those of `GPIOZERO_PIN_FACTORY`. Raises `NoPins`."""
    with warnings.catch_warnings():
        # One for each way that there might have been.
        warnings.simplefilter("ignore")
        try:
            Device.ensure_pin_factory()
        except BadPinFactory as e:
            if model.exists():
                raise NoPins(f"{e}: {MISSING}") from None
            Device.pin_factory = MockFactory()
            return False
    return True


def part(kind: type[Part], pin: int, **how: Any) -> Part:
    """A button, LED or buzzer at a pin. Raises `NoPins`."""
    try:
        made: Part = kind(pin, **how)
    except Exception as e:
        raise NoPins(f"{unusable(pin, e)}: {BUSY}") from e
    return made


def unusable(pin: int, e: Exception) -> str:
    """Of an error of whatever kind of pins: lgpio's, for one, is a plain `Exception`."""
    return f"GPIO {pin} cannot be used ({e or type(e).__name__})"
