"""What `facefleet status` makes of an answer of the service."""

import json

import pytest
from rich.console import Console

from facefleet.cli.client import Refused
from facefleet.cli.watch import Look, curve, json_line, line, picture
from facefleet.errors import Unavailable

FLEET = {
    "queue": {"visible": 12, "in_flight": 2, "dead": 1},
    "instances": {"pending": 1, "running": 2, "draining": 0, "stopping": 0, "stopped": 0},
    "desired": 3,
    "max": 4,
    "reason": "[bold]because[/bold]",
    "policy": "priced",
    "oldest": 3.14,
    "cost": 0.0625,
    "workers": [{"id": "w-1", "state": "busy", "jobs": 31, "since": 1.0}],
}
AWAY = Look(2.0, None, Unavailable("no service answers [at] x"))


def drawn(*looks: Look) -> str:
    console = Console(width=120)
    with console.capture() as shown:
        console.print(picture(looks))
    return shown.get()


@pytest.mark.parametrize(
    ("values", "blocks"),
    [((0,), "▁  0"), ((0, 1, 1000), "▁▂█  1000"), ((4, 2, 0), "█▅▁  0"), ((3, 3), "██  3")],
)
def test_a_curve_is_as_high_as_its_values(values: tuple[int, ...], blocks: str) -> None:
    assert curve(values) == blocks


def test_a_picture_tells_all_and_takes_no_word_for_markup() -> None:
    shown = drawn(Look(1.0, FLEET))
    for words in (
        "12 visible, 2 in flight, 1 dead",
        "1 pending, 2 running",
        "desired 3 of at most 4",
        "[bold]because[/bold]",
    ):
        assert words in shown
    assert "w-1" in shown and "31" in shown
    assert "oldest waits for 3.1 s" in shown and "priced; cost so far 0.0625" in shown


def test_what_was_seen_last_stays_while_the_service_is_away() -> None:
    shown = drawn(Look(1.0, FLEET), AWAY)
    assert "no service answers [at] x" in shown and "12 visible" in shown
    assert " ".join(drawn(AWAY).split()) == "trouble no service answers [at] x"


def test_lines_say_why_there_is_nothing() -> None:
    assert line(AWAY).endswith("no service answers [at] x")
    refused = json.loads(json_line(Look(1.0, None, Refused("busy", "try again"))))
    assert refused == {"error": {"code": "busy", "detail": "try again"}}
