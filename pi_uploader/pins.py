"""The pins of the Pi; on a machine without any, pins that only tests drive."""

import warnings
from pathlib import Path

from gpiozero import Device
from gpiozero.exc import BadPinFactory
from gpiozero.pins.mock import MockFactory

#: Names the board, on one that has pins.
MODEL = Path("/proc/device-tree/model")


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
                raise NoPins(f"{e}: apt-get install python3-lgpio, and be in the group gpio") from None
            Device.pin_factory = MockFactory()
            return False
    return True
