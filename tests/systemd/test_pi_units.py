"""What the Pi's units promise, as systemd's own tools see it, and against the constants of the code."""

import shutil
from pathlib import Path

from facefleet.entry import EXIT_UNUSABLE
from pi_uploader.__main__ import EXIT_UNUSABLE as THE_PIS
from pi_uploader.client import LAST_ANSWER
from pi_uploader.presses import LOOK_EVERY, POWEROFF
from pi_uploader.settings import PLACE

from .analyze import MOST_EXPOSED, exposure, needs_analyze, said_against
from .units import only, read, seconds

PI = Path(__file__).parents[2] / "pi_uploader"
UNITS = PI / "systemd"
NAME = "pi_uploader.service"
UNIT, SERVICE = (read(str(UNITS / NAME))[section] for section in ("Unit", "Service"))


@needs_analyze
def test_systemd_finds_nothing_to_say_against_the_units(tmp_path: Path) -> None:
    shutil.copytree(UNITS, tmp_path / "etc/systemd/system")
    names = sorted(path.name for path in UNITS.iterdir() if path.suffix in {".service", ".path"})
    assert len(names) == 3
    programs = ("opt/pi_uploader/bin/python", "usr/bin/rm", "usr/bin/systemctl", "sbin/modprobe")
    assert said_against(names, tmp_path, programs=programs) == ""


@needs_analyze
def test_the_client_exposes_little_and_the_readme_tells_how_little() -> None:
    level = exposure(UNITS / NAME)
    assert float(level) <= MOST_EXPOSED
    told = " ".join((PI / "README.md").read_text().split())
    assert f"`systemd-analyze security` counts {level} of 10" in told


def test_a_press_does_not_wait_for_the_network() -> None:
    ordered = " ".join(words for key in ("After", "Wants", "Requires") for words in UNIT.get(key, []))
    assert "network" not in ordered
    assert "time-sync" not in ordered


def test_it_says_itself_when_it_takes_presses_and_that_it_lives() -> None:
    assert (only(SERVICE, "Type"), only(SERVICE, "NotifyAccess")) == ("notify", "main")
    assert seconds(SERVICE, "WatchdogSec") >= 3 * LOOK_EVERY
    assert seconds(SERVICE, "TimeoutAbortSec") <= 10


def test_a_failure_is_tried_again_for_ever_and_wrong_settings_never() -> None:
    assert only(SERVICE, "Restart") == "on-failure"
    assert 1 <= seconds(SERVICE, "RestartSec") <= 5
    assert only(UNIT, "StartLimitIntervalSec") == "0"
    assert only(SERVICE, "RestartPreventExitStatus") == str(EXIT_UNUSABLE) == str(THE_PIS)


def test_what_is_in_hand_has_the_time_to_end() -> None:
    assert seconds(SERVICE, "TimeoutStopSec") >= 2 * LAST_ANSWER


def test_the_settings_are_those_that_install_sh_writes() -> None:
    assert only(SERVICE, "ExecStart").endswith(f"-m pi_uploader --settings {PLACE}")
    assert f"settings={PLACE} " in (PI / "install.sh").read_text()


def test_of_devices_it_may_use_pins_and_cameras_alone() -> None:
    allowed = {value.removesuffix(" rw") for value in SERVICE["DeviceAllow"]}
    assert allowed == {"char-gpiochip", "char-video4linux", "char-media", "char-dma_heap"}
    assert only(SERVICE, "DevicePolicy") == "closed"


def test_nobody_else_reads_what_it_keeps_and_no_core_holds_faces() -> None:
    assert only(SERVICE, "StateDirectoryMode") == "0700"
    assert only(SERVICE, "UMask") == "0077"
    assert only(SERVICE, "LimitCORE") == "0"


def test_the_wish_to_power_off_lies_where_systemd_looks_for_it_and_outlives_who_had_it() -> None:
    (watched,) = read(str(UNITS / "pi_uploader-poweroff.path"))["Path"]["PathExists"]
    assert watched == f"/run/{only(SERVICE, 'RuntimeDirectory')}/{POWEROFF}"
    assert only(SERVICE, "RuntimeDirectoryPreserve") == "yes"
    removes, powers_off = read(str(UNITS / "pi_uploader-poweroff.service"))["Service"]["ExecStart"]
    assert removes.endswith(f"rm -f {watched}")
    assert powers_off.endswith("systemctl poweroff")


def test_both_start_at_boot() -> None:
    for name in (NAME, "pi_uploader-poweroff.path"):
        assert only(read(str(UNITS / name))["Install"], "WantedBy") == "multi-user.target"
