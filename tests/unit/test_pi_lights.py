"""What the LEDs and the buzzer of the Pi client do, read from the pins."""

import time
from collections.abc import Iterator

import pytest
from gpiozero.pins.mock import MockFactory
from hardware import own_pins, times_on, until

from pi_uploader.answers import Outcome
from pi_uploader.lights import BEEP, Lights
from pi_uploader.settings import Settings

SETTINGS = Settings(show=0.6, buzzer_pin=25)
KNOWN, UNKNOWN, WORKING, OFFLINE, BUZZER = 27, 23, 22, 24, 25


@pytest.fixture(autouse=True)
def pins() -> Iterator[MockFactory]:
    with own_pins() as pins:
        yield pins


@pytest.fixture
def lights(pins: MockFactory) -> Iterator[Lights]:
    lights = Lights(SETTINGS)
    yield lights
    lights.close()


def lit(pins: MockFactory) -> set[int]:
    return {number for number in (KNOWN, UNKNOWN, WORKING, OFFLINE) if pins.pin(number).state}


def test_none_is_lit_at_first(lights: Lights, pins: MockFactory) -> None:
    assert lit(pins) == set()


def test_working_and_offline_are_lit_as_long_as_it_is_so(lights: Lights, pins: MockFactory) -> None:
    lights.working(True)
    lights.offline(True)
    assert lit(pins) == {WORKING, OFFLINE}
    lights.working(False)
    assert lit(pins) == {OFFLINE}
    lights.offline(False)
    assert lit(pins) == set()


@pytest.mark.parametrize(
    ("outcome", "pin"), [(Outcome.KNOWN, KNOWN), (Outcome.ENROLLED, KNOWN), (Outcome.UNKNOWN, UNKNOWN)]
)
def test_an_answer_is_shown_for_so_long(lights: Lights, pins: MockFactory, outcome: Outcome, pin: int) -> None:
    started = time.monotonic()
    lights.answered(outcome)
    until(lambda: times_on(pins, pin) and lit(pins) == set())
    assert SETTINGS.show <= time.monotonic() - started < SETTINGS.show + 5
    assert [times_on(pins, number) for number in (KNOWN, UNKNOWN)] == [pin == KNOWN, pin == UNKNOWN]


def test_the_next_answer_takes_the_place_of_the_last(pins: MockFactory) -> None:
    # Shown for longer than anybody waits here.
    lights = Lights(Settings(show=60.0))
    lights.answered(Outcome.KNOWN)
    until(lambda: lit(pins) == {KNOWN})
    lights.answered(Outcome.UNKNOWN)
    until(lambda: lit(pins) == {UNKNOWN})
    lights.answered(Outcome.KNOWN)
    until(lambda: lit(pins) == {KNOWN})
    lights.close()


def test_both_blink_where_a_capture_was_refused(lights: Lights, pins: MockFactory) -> None:
    lights.answered(Outcome.REFUSED)
    until(lambda: times_on(pins, KNOWN) == times_on(pins, UNKNOWN) == 3)
    until(lambda: lit(pins) == set())
    assert round(SETTINGS.show / (2 * BEEP)) == 3


@pytest.mark.parametrize(("outcome", "beeps"), [(Outcome.KNOWN, 1), (Outcome.UNKNOWN, 2), (Outcome.REFUSED, 1)])
def test_the_buzzer_tells_known_from_unknown(lights: Lights, pins: MockFactory, outcome: Outcome, beeps: int) -> None:
    lights.answered(outcome)
    until(lambda: times_on(pins, BUZZER) == beeps and not pins.pin(BUZZER).state)
    time.sleep(3 * BEEP)
    assert times_on(pins, BUZZER) == beeps


def test_pins_that_are_0_are_none_and_all_goes_on(pins: MockFactory) -> None:
    none = Settings(working_pin=0, known_pin=0, unknown_pin=0, offline_pin=0, buzzer_pin=0)
    lights = Lights(none)
    for outcome in Outcome:
        lights.answered(outcome)
    lights.working(True)
    lights.offline(True)
    assert pins.pins == {}
    lights.close()


def test_none_stays_lit_or_on_in_the_end(pins: MockFactory) -> None:
    lights = Lights(SETTINGS)
    lights.working(True)
    lights.offline(True)
    lights.answered(Outcome.UNKNOWN)
    lights.close()
    assert lit(pins) == set() and not pins.pin(BUZZER).state
