"""The button on a Raspberry Pi, driven like hardware."""

from collections.abc import Iterator
from pathlib import Path

import gpiozero
import pytest
import requests
from gpiozero.pins.mock import MockFactory
from services import Service

from pi_uploader.__main__ import answer_presses, ask, photos_in_turn

pytestmark = pytest.mark.slow


@pytest.fixture
def button() -> Iterator[gpiozero.Button]:
    with gpiozero.Button(17, pin_factory=MockFactory()) as button:
        yield button


def test_each_press_of_the_button_says_who_is_on_the_next_photo(
    service: Service, photos: Path, button: gpiozero.Button
) -> None:
    said: list[str] = []
    turn = photos_in_turn(photos)
    with requests.Session() as session:
        answer_presses(button, look=lambda: ask(session, service.url, next(turn)), say=said.append)
        for _ in range(2):
            button.pin.drive_low()
            button.pin.drive_high()
    assert [words.split(" (")[0] for words in said] == ["32bit.png: obama", "biden.jpg: biden"]


def test_a_service_that_does_not_answer_is_said_and_nothing_dies(photos: Path, button: gpiozero.Button) -> None:
    said: list[str] = []
    with requests.Session() as session:
        answer_presses(button, look=lambda: ask(session, "http://127.0.0.1:9", photos / "obama.jpg"), say=said.append)
        button.pin.drive_low()
    assert said[0].startswith("obama.jpg: no answer from http://127.0.0.1:9")
