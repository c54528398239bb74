"""What the README of the Pi's client tells: settings, pins, commands, units, figures."""

import re
import shlex
from dataclasses import fields
from pathlib import Path

import pytest
from gpiozero.pins.pi import PiBoardInfo

import pi_uploader
from pi_uploader.__main__ import SEEN, parser
from pi_uploader.client import ANSWERS
from pi_uploader.settings import CHOICES, PLACE, Settings, load
from pi_uploader.uploader import MAX_PAUSE

PI = Path(__file__).parents[2] / "pi_uploader"
README = (PI / "README.md").read_text()
#: A Pi Zero 2 W: https://www.raspberrypi.com/documentation/computers/raspberry-pi.html#raspberry-pi-revision-codes
ZERO_2_W = 0x902120
COMMANDS = [
    line.partition(" # ")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
]


def test_each_module_has_its_place_on_the_map() -> None:
    places = re.findall(r"^ {4}(\w+(?:, \w+)*)", pi_uploader.__doc__ or "", re.MULTILINE)
    assert sorted(", ".join(places).split(", ")) == sorted({path.stem for path in PI.glob("*.py")} - {"__init__"})


def positions(name: str) -> set[int]:
    """On the header."""
    found = PiBoardInfo.from_revision(ZERO_2_W).find_pin(name)
    return {pin.number for header, pin in found if header.name == "J8"}


def position(gpio: int) -> int:
    (number,) = positions(f"GPIO{gpio}")
    return number


def row(setting: str, help: str, default: object) -> str:
    return f"| `{setting}` | {f'`{default}`' if default != '' else '–'} | {help} |"


def test_each_setting_is_told_with_its_default() -> None:
    rows = "\n".join(row(f.name, f.metadata["help"], f.default) for f in fields(Settings))
    assert f"|---|---|---|\n{rows}\n\n" in README, f"write this there:\n{rows}"


@pytest.mark.parametrize(
    ("what", "name"),
    [("button", "button_pin"), *((f"LED {n}", f"{n}_pin") for n in ("working", "known", "unknown", "offline"))],
)
def test_each_pin_is_where_the_settings_have_it(what: str, name: str) -> None:
    gpio = getattr(Settings(), name)
    assert re.search(rf"^\| {what}[^|]*\| {gpio} \| {position(gpio)} \|", README, re.MULTILINE)


def test_what_goes_to_ground_goes_to_ground() -> None:
    ground = {int(pin) for pin in re.findall(r"to ground \(pin (\d+)\)", README)}
    assert ground
    assert ground <= positions("GND")
    assert f"as 25 | {position(25)} |" in README


def ours() -> list[list[str]]:
    """The arguments of each command that is ours."""
    words = [shlex.split(command) for command in COMMANDS]
    starts = (["sudo", "pi_uploader"], [".pi/bin/python", "-m", "pi_uploader"])
    return [one[len(start) :] for one in words for start in starts if one[: len(start)] == start]


@pytest.mark.parametrize("words", ours(), ids=" ".join)
def test_a_command_is_one_that_there_is(words: list[str]) -> None:
    parser().parse_args(words)


def test_every_word_that_a_setting_may_be_is_told() -> None:
    helps = {f.name: f.metadata["help"] for f in fields(Settings)}
    assert all(word in helps[name] for name, words in CHOICES.items() for word in words)


def test_every_mode_is_told() -> None:
    assert {word for words in ours() for word in words} >= {"live", "video", "enrol", "--check"}


def test_install_sh_knows_what_the_readme_tells_it() -> None:
    told = set(re.findall(r"`?(--[a-z-]+)", " ".join(c for c in COMMANDS if "install.sh" in c)))
    told |= set(re.findall(r"install\.sh[^`\n]* (--[a-z]+)", README)) | {"--usb-camera"}
    known = set(re.findall(r"^    (--[a-z-]+)\)", (PI / "install.sh").read_text(), re.MULTILINE))
    assert known == told - {"--preserve-env"} | {"--erase"}


def test_each_unit_that_is_named_is_there() -> None:
    named = set(re.findall(r"pi_uploader[a-z-]*\.(?:service|path)", README))
    assert named == {"pi_uploader.service", "pi_uploader-poweroff.path"}
    assert all((PI / "systemd" / name).exists() for name in named)


def test_figures_and_places_are_those_of_code_and_units() -> None:
    unit = (PI / "systemd/pi_uploader.service").read_text()
    told = " ".join(README.split())
    for words in (
        f"at most after {MAX_PAUSE:.0f} s",
        f"/{ANSWERS}`",
        f"/{SEEN}`",
        f"`{PLACE}`",
        "three seconds powers the Pi off",
    ):
        assert words in told
    assert Settings().hold == 3.0
    for key, words in (("WatchdogSec", "silent for {} s"), ("RestartSec", "started again after {} s")):
        found = re.search(rf"^{key}=(\d+)$", unit, re.MULTILINE)
        assert found and words.format(found[1]) in told


def test_settings_that_are_shown_can_be_used(tmp_path: Path) -> None:
    (shown,) = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    (file := tmp_path / "pi.toml").write_text(shown)
    assert load(file, {}, {}).upload == "presigned"


def test_what_encodes_clips_is_what_the_service_reads_them_with() -> None:
    (pinned,) = re.findall(r"^av==\S+", (PI / "requirements-video.txt").read_text(), re.MULTILINE)
    assert f"\n{pinned} " in (PI.parent / "requirements.txt").read_text()


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)\s]+)\)", README))
def test_a_link_leads_somewhere(link: str) -> None:
    path, _, anchor = link.partition("#")
    target = PI / path if path else PI / "README.md"
    headings = re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE)
    assert anchor in {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings}
