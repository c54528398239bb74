"""`--check`: what it finds of pins, camera, disk, clock and service, over real sockets and gpiozero's mock pins."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import gpiozero
import pytest
from gpiozero import Device
from gpiozero.pins.mock import MockFactory

from bench.local import free_port
from pi_uploader import check as checking
from pi_uploader import check_board
from pi_uploader.check import check, everything, in_words
from pi_uploader.check_board import board, camera, photo
from pi_uploader.check_disk import CAPTURE, disk, foreign_owner, spool, waiting, written
from pi_uploader.findings import Finding, Look, found
from pi_uploader.pins import NoPins
from pi_uploader.settings import Settings
from pi_uploader.spool import Spool


@pytest.fixture
def pins(monkeypatch: pytest.MonkeyPatch) -> Iterator[MockFactory]:
    factory = MockFactory()
    monkeypatch.setattr(Device, "pin_factory", factory)
    monkeypatch.setattr(check_board, "LIT", 0.01)
    yield factory
    factory.reset()


@pytest.fixture
def settings(tmp_path: Path, photos: Path) -> Settings:
    # Nobody listens there, whatever else runs on this machine.
    url = f"http://127.0.0.1:{free_port()}"
    return Settings(url=url, data=str(tmp_path / "data"), camera=f"folder:{photos}", free_bytes=0)


def test_a_machine_without_pins_has_neither_button_nor_leds_and_that_is_no_fault(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "none")
    monkeypatch.setattr(Device, "pin_factory", None)
    findings = list(board(settings, None))
    assert [(f.check, f.ok) for f in findings] == [("button", True), ("leds", True)]
    assert "Enter is the button" in findings[0].detail and "words alone" in findings[1].detail


def test_pins_that_may_not_be_used_are_told_with_what_to_do(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> bool:
        raise NoPins("no access: be in the group gpio")

    monkeypatch.setattr(check_board, "open_pins", refuse)
    (finding,) = board(settings, None)
    assert (finding.check, finding.ok, finding.next) == ("button", False, "no access: be in the group gpio")


def test_nobody_is_asked_for_a_press_where_nobody_watches(settings: Settings, pins: MockFactory) -> None:
    button, leds = board(settings, None)
    assert (button.ok, button.detail) == (True, "GPIO 17 is at rest")
    assert leds.ok
    assert [state.state for state in pins.pin(22).states] == [False]


def test_a_press_that_was_asked_for_is_seen_and_each_led_lit_in_turn(settings: Settings, pins: MockFactory) -> None:
    told: list[str] = []

    def tell(words: str) -> None:
        told.append(words)
        if words.startswith("press"):
            pins.pin(17).drive_low()

    button, leds = board(settings, tell)
    assert (button.ok, button.detail) == (True, "GPIO 17 was pressed")
    assert leds.ok
    names = ["working (GPIO 22)", "known (GPIO 27)", "unknown (GPIO 23)", "offline (GPIO 24)"]
    assert told[1:] == [f"on now: {name}" for name in names]
    for number in (22, 27, 23, 24):
        assert [state.state for state in pins.pin(number).states][:3] == [False, True, False]


def test_a_press_that_does_not_come_is_a_fault(
    settings: Settings, pins: MockFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check_board, "PRESS_WITHIN", 0.05)
    button = next(iter(board(settings, lambda _: None)))
    assert not button.ok
    assert "ground" in button.next


def test_a_button_that_is_stuck_is_told_and_nobody_is_asked_to_press(
    settings: Settings, pins: MockFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check_board, "RELEASE_WITHIN", 0.05)
    told: list[str] = []
    pin = pins.pin(17)
    # A wire to ground is stronger than the resistor that pulls up.
    monkeypatch.setattr(pin, "_set_pull", lambda value: pin.drive_low())
    button = check_board.button(17, told.append)
    assert (button.ok, button.detail, told) == (False, "GPIO 17 is pressed all the time", [])


def test_a_pin_that_is_in_use_is_named(settings: Settings, pins: MockFactory) -> None:
    with gpiozero.LED(27), gpiozero.Button(17):
        button, leds = board(settings, None)
    assert not button.ok and "GPIO 17 cannot be used" in button.detail
    assert not leds.ok and leds.detail.startswith("known: GPIO 27 cannot be used")
    assert "end the other program" in leds.next


def test_a_buzzer_is_looked_at_where_there_is_one(settings: Settings, pins: MockFactory, tmp_path: Path) -> None:
    assert [f.check for f in board(Settings(buzzer_pin=25), None)] == ["button", "leds", "buzzer"]


def test_a_camera_gives_a_photo_and_how_long_it_took(settings: Settings, photos: Path) -> None:
    finding, _video = camera(settings)
    size = (photos / "32bit.png").stat().st_size
    assert finding.ok
    assert f"a PNG of {size:,} bytes in 0." in finding.detail


@pytest.mark.parametrize(("spec", "told"), [("folder:nowhere", "no folder"), ("film", "there is no camera 'film'")])
def test_a_camera_that_cannot_be_opened_says_what_to_do(spec: str, told: str) -> None:
    (finding,) = camera(Settings(camera=spec))
    assert not finding.ok
    assert told in finding.next


def test_what_is_no_photo_is_no_photo() -> None:
    assert not photo(b"GIF89a", "usb", 0.0, 0.0).ok
    assert photo(b"\xff\xd8\xff", "usb", 0.0, 0.0) == Finding(
        "camera", True, "usb: a JPEG of 3 bytes in 0.00 s, after 0.00 s to open"
    )


def test_a_slow_photo_is_told_and_no_fault() -> None:
    finding = photo(b"\xff\xd8\xff", "usb", 0.0, 4.0)
    assert finding.ok and finding.next
    assert in_words(finding).startswith("note  camera")


def test_the_disk_is_written_and_nothing_stays_there(settings: Settings) -> None:
    (finding,) = disk(settings)
    assert finding.ok
    assert list((settings.folder / "spool").iterdir()) == []


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (finding,) = disk(Settings(data=str(tmp_path / "file")))
    assert not finding.ok and "Not a directory" in finding.detail
    assert "--data" in finding.next


@pytest.mark.parametrize(
    ("options", "told"), [("ro", "the disk is read-only"), ("size=600k", "the disk is full")], ids=["read-only", "full"]
)
def test_a_disk_that_takes_nothing_is_told(tmp_path: Path, options: str, told: str) -> None:
    unshare = shutil.which("unshare")
    if unshare is None or os.geteuid() != 0:
        pytest.skip("mounts a disk of its own, which needs root")
    look = "import sys; from pi_uploader.check_disk import *; print(*disk(Settings(data=sys.argv[1])))"
    command = f'mount -t tmpfs -o {options} none {tmp_path} && exec {sys.executable} -c "$0" {tmp_path}/data'
    done = subprocess.run(
        [unshare, "--mount", "sh", "-c", command, look], capture_output=True, text=True, timeout=60, check=False
    )
    if "unshare:" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"nothing can be mounted here: {done.stderr}")
    assert told in done.stdout, done.stderr


def test_too_little_room_and_a_slow_card_are_told(tmp_path: Path) -> None:
    assert written(tmp_path, 10 * CAPTURE, 9 * CAPTURE, 0.1) == Finding(
        "disk", True, f"{tmp_path}: 10 MB are free, a capture of 1 MB is safe in 0.10 s"
    )
    assert not written(tmp_path, 10 * CAPTURE, 9 * CAPTURE + 1, 0.1).ok
    slow = written(tmp_path, 10 * CAPTURE, 0, 3.0)
    assert slow.ok and "card" in slow.next


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root finds folders that it should not use")
def test_root_leaves_the_folder_of_another_user_alone(settings: Settings) -> None:
    settings.folder.mkdir()
    os.chown(settings.folder, 1234, 1234)
    assert foreign_owner(settings.folder) == 1234
    assert [f.ok for f in (*disk(settings), *spool(settings))] == [False, False]
    assert list(settings.folder.iterdir()) == []


def test_the_spool_tells_what_waits(settings: Settings) -> None:
    with Spool(settings.folder / "spool", max_bytes=10**9, free_bytes=0) as held:
        held.put(bytes(200_000), taken_at=1.0)
    (finding,) = spool(settings)
    assert (finding.ok, finding.detail) == (True, "1 capture waits, 0.2 of 500 MB")
    assert "sent once pi_uploader runs" in finding.next


def test_a_spool_that_is_nearly_full_is_a_fault() -> None:
    assert not waiting(9, 91, 100).ok
    assert waiting(9, 90, 100).ok


def test_another_pi_uploader_is_told_its_parts_left_alone_and_the_rest_looked_at(
    settings: Settings, pins: MockFactory
) -> None:
    with Spool(settings.folder / "spool", max_bytes=10**9, free_bytes=0):
        findings = {f.check: f for f in everything(settings, None)}
    assert not findings["spool"].ok and "systemctl stop pi_uploader" in findings["spool"].next
    assert {name: f.detail for name, f in findings.items() if f.detail == checking.OTHERS} == {
        "button": checking.OTHERS,
        "leds": checking.OTHERS,
    }
    # One of a folder is nobody's.
    assert findings["camera"].ok and findings["disk"].ok
    assert pins.pins == {}


def test_a_look_that_breaks_is_a_finding() -> None:
    def find() -> Iterator[Finding]:
        yield Finding("x", True, "fine")
        raise RuntimeError("out of order")

    assert list(found(Look("x", find, 5.0, "restart"))) == [
        Finding("x", True, "fine"),
        Finding("x", False, "cannot be looked at (RuntimeError: out of order)", "restart"),
    ]


def test_what_is_found_is_told_before_the_next_is_looked_for() -> None:
    happened: list[str] = []

    def find() -> Iterator[Finding]:
        for number in ("1", "2"):
            happened.append(f"looked for {number}")
            yield Finding(number, True, "fine")

    for finding in found(Look("x", find, 30.0, "restart")):
        happened.append(f"told {finding.check}")
    assert happened == ["looked for 1", "told 1", "looked for 2", "told 2"]


def test_a_reader_gets_a_line_for_each_and_what_to_do_next(settings: Settings, pins: MockFactory) -> None:
    said: list[str] = []
    assert check(settings, said.append, as_json=False) == 1
    assert [words.split()[0] for words in said[1:-1]] == ["ok"] * 5 + ["WRONG"] * 2  # the disk may be slow: a note
    assert "\n              next: " in said[6]
    assert said[-1] == "2 of 8 are wrong"
