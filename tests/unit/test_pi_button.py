"""The button of the Pi client, driven like hardware: bounces are one press, and a long one is a hold."""

import threading
import time
from collections.abc import Iterator
from itertools import accumulate, pairwise

import gpiozero
import pytest
from gpiozero.exc import BadPinFactory
from gpiozero.pins.mock import MockFactory, MockPin
from hardware import own_pins
from hypothesis import given
from hypothesis import strategies as st

from pi_uploader.button import Bounces, watched
from pi_uploader.pins import NoPins, open_pins
from pi_uploader.settings import Settings

# Longer than a busy machine takes from one edge to the next.
SETTINGS = Settings(hold=0.5, bounce=0.15)
GAPS = st.lists(st.floats(0, 0.12), min_size=1)


@pytest.fixture(autouse=True)
def pins() -> Iterator[MockFactory]:
    """Pins of this test alone."""
    with own_pins() as pins:
        yield pins


@pytest.fixture
def pin(pins: MockFactory) -> MockPin:
    return pins.pin(SETTINGS.button_pin)


class Told:
    def __init__(self) -> None:
        self.presses = 0
        self.held = threading.Event()

    def press(self) -> None:
        self.presses += 1


@pytest.fixture
def told() -> Iterator[Told]:
    told = Told()
    with watched(SETTINGS, pressed=told.press, held=told.held.set):
        yield told


def edges(pin: MockPin, *, times: int, seconds: float) -> None:
    """Down and up in turn, beginning with what it is not; it ends as it began."""
    for _ in range(times // 2):
        for drive in (pin.drive_low, pin.drive_high) if pin.state else (pin.drive_high, pin.drive_low):
            drive()
            time.sleep(seconds / times)


def rest() -> None:
    """Until contacts are taken to be at rest."""
    time.sleep(1.5 * SETTINGS.bounce)


def test_a_press_is_told_at_once_and_its_release_is_not(told: Told, pin: MockPin) -> None:
    pin.drive_low()
    assert told.presses == 1
    rest()
    pin.drive_high()
    assert told.presses == 1


def test_ten_edges_within_twenty_milliseconds_are_one_press(told: Told, pin: MockPin) -> None:
    edges(pin, times=10, seconds=0.02)
    pin.drive_low()
    assert told.presses == 1


def test_a_release_that_bounces_is_no_press(told: Told, pin: MockPin) -> None:
    pin.drive_low()
    rest()
    pin.drive_high()
    edges(pin, times=10, seconds=0.02)
    assert told.presses == 1


def test_each_press_after_a_rest_counts(told: Told, pin: MockPin) -> None:
    for count in (1, 2, 3):
        pin.drive_low()
        assert told.presses == count
        rest()
        pin.drive_high()
        rest()


def test_a_press_that_lasts_is_a_hold_and_a_short_one_is_none(told: Told, pin: MockPin) -> None:
    pin.drive_low()
    time.sleep(SETTINGS.hold / 5)
    pin.drive_high()
    assert not told.held.wait(2 * SETTINGS.hold)
    pin.drive_low()
    assert told.held.wait(20)
    assert told.presses == 2


def test_without_a_pin_there_is_no_button(pins: MockFactory) -> None:
    with watched(Settings(button_pin=0), pressed=lambda: None, held=lambda: None) as button:
        assert button is None
    assert pins.pins == {}


def test_it_is_let_go_in_the_end(pins: MockFactory) -> None:
    for _ in range(2):
        with watched(SETTINGS, pressed=lambda: None, held=lambda: None) as button:
            assert button is not None and not button.closed
        assert button.closed


@given(GAPS)
def test_only_an_edge_after_a_rest_counts_however_long_the_others_go_on(gaps: list[float]) -> None:
    bounces, times = Bounces(0.05), list(accumulate(gaps))
    counts = [bounces.edge(now) for now in times]
    assert counts == [True, *(after - before >= 0.05 for before, after in pairwise(times))]


@pytest.fixture
def no_pins(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a desktop: gpiozero finds no way to any."""

    def none() -> None:
        raise BadPinFactory("Unable to load any default pin factory!")

    monkeypatch.setattr(gpiozero.Device, "ensure_pin_factory", none)


@pytest.mark.usefixtures("no_pins")
def test_a_desktop_gets_pins_that_do_nothing_and_a_pi_words(tmp_path) -> None:
    assert open_pins(tmp_path / "model") is False
    assert isinstance(gpiozero.Device.pin_factory, MockFactory)
    (tmp_path / "model").write_text("Raspberry Pi Zero 2 W Rev 1.0")
    with pytest.raises(NoPins, match="sudo apt install python3-lgpio"):
        open_pins(tmp_path / "model")


def test_pins_that_are_there_are_taken_as_they_are(pins: MockFactory) -> None:
    assert open_pins() is True
    assert gpiozero.Device.pin_factory is pins
