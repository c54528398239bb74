"""The pins of a Pi, for one test alone: driven, and read, like hardware."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise

from gpiozero import Device
from gpiozero.pins.mock import MockFactory


@contextmanager
def own_pins() -> Iterator[MockFactory]:
    before, Device.pin_factory = Device.pin_factory, MockFactory()
    try:
        yield Device.pin_factory
    finally:
        Device.pin_factory.close()
        Device.pin_factory = before


def times_on(pins: MockFactory, number: int) -> int:
    """How often it went on so far, also where that was over before anybody looked."""
    states = [state.state for state in pins.pin(number).states]
    return sum(not before and after for before, after in pairwise(states))


def until(what: Callable[[], object], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.005)
