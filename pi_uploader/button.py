"""The button, its bounces counted as one press.

gpiozero's own `bounce_time` is left alone: what it does differs from one kind of pins to the next, and some of them
drop edges or report a bounce of the release as a press (gpiozero issues 378, 550 and 559).
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf

import gpiozero

from pi_uploader.pins import part
from pi_uploader.settings import Settings


class Bounces:
    """A press counts if no edge, down or up, came less than `bounce` seconds before it."""

    def __init__(self, bounce: float) -> None:
        self._bounce = bounce
        self._last_edge = -inf

    def edge(self, now: float) -> bool:
        """Whether contacts had been at rest until this edge."""
        at_rest = now - self._last_edge >= self._bounce
        self._last_edge = now
        return at_rest


@contextmanager
def watched(
    settings: Settings, *, pressed: Callable[[], object], held: Callable[[], object]
) -> Iterator[gpiozero.Button | None]:
    """Calls `pressed` at each press at once, and `held` once it lasts; None where there is no button.

    Raises `NoPins`.
    """
    if not settings.button_pin:
        yield None
        return
    bounces = Bounces(settings.bounce)

    def press() -> None:
        if bounces.edge(time.monotonic()):
            pressed()

    with part(gpiozero.Button, settings.button_pin, hold_time=settings.hold) as button:
        button.when_pressed = press
        button.when_released = lambda: bounces.edge(time.monotonic())
        button.when_held = held
        yield button
