"""Button mode as a whole, but for the process: presses in, answers and lights out."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
from gpiozero.pins.mock import MockFactory
from hardware import own_pins, times_on, until
from standin import Asked, Reply, Said, StandIn, problem, result

from pi_uploader import presses
from pi_uploader import uploader as uploaders
from pi_uploader.answers import Answer, Outcome
from pi_uploader.button import watched
from pi_uploader.client import ANSWERS, Client, opened
from pi_uploader.journal import DAY, Journal
from pi_uploader.lights import Lights
from pi_uploader.presses import MAX_PRESSES, Event, Events, answer_presses, ask_for_poweroff, tell
from pi_uploader.settings import Settings
from pi_uploader.spool import Item

MARY, NOBODY = result("Mary"), result(None)
DOWN = Said(503, b"<html>")
BUTTON, WORKING, KNOWN, UNKNOWN, OFFLINE = 17, 22, 27, 23, 24


@pytest.fixture(autouse=True)
def pins(monkeypatch: pytest.MonkeyPatch) -> Iterator[MockFactory]:
    monkeypatch.setattr(uploaders, "FIRST_PAUSE", 0.05)
    with own_pins() as pins:
        yield pins


@dataclass
class Pi:
    """A Pi with somebody in front of it."""

    pins: MockFactory
    photos: Path
    events: Events = field(default_factory=Events)
    said: list[str] = field(default_factory=list)
    ended_by: list[Event] = field(default_factory=list)

    def press(self) -> None:
        self.pins.pin(BUTTON).drive_low()
        time.sleep(0.06)
        self.pins.pin(BUTTON).drive_high()
        time.sleep(0.06)

    def run(self, client: Client) -> None:
        self.ended_by.append(answer_presses(client, self.events))

    def lit(self) -> set[int]:
        return {number for number in (WORKING, KNOWN, UNKNOWN, OFFLINE) if self.pins.pin(number).state}

    def blinked(self) -> bool:
        """Both at once, more than once: no answer does that."""
        return min(times_on(self.pins, KNOWN), times_on(self.pins, UNKNOWN)) > 1

    def photo_answers(self) -> list[str]:
        return [words.split(" (")[0] for words in self.said if words.startswith("photo ")]


@pytest.fixture
def pi(tmp_path: Path, pins: MockFactory) -> Pi:
    (photos := tmp_path / "photos").mkdir()
    (photos / "1.jpg").write_bytes(b"\xff\xd8\xff one")
    return Pi(pins, photos)


@pytest.fixture
def at(pi: Pi, tmp_path: Path) -> Iterator[Callable[..., StandIn]]:
    """The client at work, for a service with these replies: `at(MARY, spool_bytes=…)`."""
    with ExitStack() as running:

        def start(*replies: Reply, **settings: object) -> StandIn:
            standin = running.enter_context(StandIn(*replies))
            camera, data = f"folder:{pi.photos}", str(tmp_path / "data")
            own = Settings(url=standin.url, camera=camera, data=data, free_bytes=0, show=0.5, **settings)
            lights = Lights(own)
            running.callback(lights.close)
            client = running.enter_context(
                opened(own, lights, pi.said.append, partial(tell, pi.said.append), uploads=1)
            )
            running.enter_context(watched(own, pressed=pi.events.press, held=pi.events.hold))
            thread = threading.Thread(target=pi.run, args=(client,))
            thread.start()
            running.callback(thread.join, 20)
            running.callback(pi.events.stop)
            return standin

        yield start


def test_a_press_brings_a_name_and_the_lights_that_go_with_it(pi: Pi, at) -> None:
    let_go = threading.Event()

    def late(_: Asked) -> Said:
        let_go.wait(20)
        return MARY

    at(late)
    pi.press()
    until(lambda: pi.lit() == {WORKING})
    let_go.set()
    until(lambda: pi.lit() == {KNOWN})
    until(lambda: pi.lit() == set())
    assert pi.said[0].startswith("photo 1: Mary (similarity 0.97) (")
    assert pi.said[0].endswith(" ms)") and " ms, round trip " in pi.said[0]


def test_two_presses_while_one_is_sent_are_two_captures_and_two_answers(pi: Pi, at) -> None:
    let_go, asked = threading.Event(), threading.Event()

    def late(_: Asked) -> Said:
        asked.set()
        let_go.wait(20)
        return MARY

    standin = at(late, NOBODY)
    pi.press()
    assert asked.wait(20)
    pi.press()
    pi.press()
    let_go.set()
    until(lambda: len(pi.photo_answers()) == 3)
    assert pi.photo_answers() == ["photo 1: Mary", "photo 2: unknown", "photo 3: unknown"]
    assert len({asked.headers["Idempotency-Key"] for asked in standin.asked}) == 3
    until(lambda: pi.lit() <= {UNKNOWN})


def test_a_service_that_is_away_is_said_once_and_lit_until_it_is_back(pi: Pi, at) -> None:
    back = threading.Event()
    at(lambda _: MARY if back.is_set() else DOWN)
    pi.press()
    until(lambda: pi.lit() == {WORKING, OFFLINE})
    back.set()
    until(lambda: pi.lit() == {KNOWN})
    assert [words.partition(";")[2] for words in pi.said[:1]] == [" 1 capture waits"]
    until(lambda: len(pi.said) == 3)
    assert pi.said[1] == "the service answers again"


def test_a_photo_that_the_service_refuses_blinks_both_and_says_why(pi: Pi, at) -> None:
    at(problem(415, "not_an_image", "not an image that we read: send JPEG"))
    pi.press()
    until(pi.blinked)
    until(lambda: pi.said and pi.said[0].startswith("photo 1: not an image that we read: send JPEG ("))
    until(lambda: pi.lit() == set())


def test_a_camera_that_is_missing_is_said_and_taken_once_it_is_there(pi: Pi, at) -> None:
    (pi.photos / "1.jpg").rename(pi.photos / "gone")
    at(MARY)
    until(lambda: pi.said)
    assert "put a .jpg or .png there" in pi.said[0]
    pi.press()
    until(lambda: len(pi.said) == 2)
    assert pi.said[1] == f"no photo: {pi.said[0]}"
    until(pi.blinked)
    (pi.photos / "gone").rename(pi.photos / "1.jpg")
    pi.press()
    until(lambda: pi.photo_answers() == ["photo 1: Mary"])


def test_a_full_spool_is_said_and_what_waits_is_answered_later(pi: Pi, at) -> None:
    (pi.photos / "1.jpg").write_bytes(b"\xff\xd8\xff" + b"x" * 600_000)
    back = threading.Event()
    at(lambda _: MARY if back.is_set() else DOWN, spool_bytes=1_000_000)
    pi.press()
    until(lambda: OFFLINE in pi.lit())
    pi.press()
    until(lambda: any(words.startswith("no photo: no room in ") for words in pi.said))
    assert WORKING in pi.lit()
    back.set()
    until(lambda: pi.photo_answers() == ["photo 1: Mary"])


def test_a_press_that_lasts_ends_it_after_its_own_photo(pi: Pi, at) -> None:
    at(MARY, hold=0.5)
    until(lambda: pi.pins.pin(BUTTON).when_changed is not None)
    pi.pins.pin(BUTTON).drive_low()
    until(lambda: pi.ended_by)
    assert pi.ended_by == [Event.HELD]
    until(lambda: pi.photo_answers() == ["photo 1: Mary"])


def test_what_an_earlier_process_took_is_said_and_answered(pi: Pi, at, tmp_path: Path) -> None:
    (tmp_path / "data" / "spool").mkdir(parents=True)
    (tmp_path / "data" / "spool" / f"0000000041_1000_{'a' * 32}_photo.jpg").write_bytes(b"x")
    at(MARY)
    until(lambda: pi.photo_answers() == ["photo 41: Mary"])
    assert pi.said[0] == "1 capture waits from before, to be sent now"
    assert "taken earlier" in pi.said[1]


def test_what_was_answered_long_after_it_was_taken_is_not_sent_again(pi: Pi, at, tmp_path: Path) -> None:
    # Killed between writing the answer down and deleting the capture; its line is old enough to be thrown away.
    item = Item(41, time.time() - 30 * DAY, "a" * 32, "photo", "jpg")
    (tmp_path / "data" / "spool").mkdir(parents=True)
    (tmp_path / "data" / "spool" / item.name).write_bytes(b"x")
    Journal(tmp_path / "data" / ANSWERS, keep_days=7.0).record(item, Answer(Outcome.KNOWN, "Mary"), 1e9)
    standin = at(MARY)
    pi.press()
    until(lambda: "photo 42: Mary" in pi.photo_answers())
    assert [asked.body for asked in standin.asked] == [b"\xff\xd8\xff one"]


def test_presses_that_nobody_can_keep_up_with_are_not_all_kept() -> None:
    events = Events()
    for _ in range(100):
        events.press()
    events.stop()
    told = [events.next(0) for _ in range(MAX_PRESSES + 2)]
    assert told == [Event.PRESS] * MAX_PRESSES + [Event.STOP, None]


def test_the_machine_is_powered_off_by_systemd_where_it_is_set_up(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    assert not ask_for_poweroff()
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    assert ask_for_poweroff()
    assert (tmp_path / presses.POWEROFF).exists()
