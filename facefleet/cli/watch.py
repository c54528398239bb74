"""What `facefleet status` shows, once or again and again: queue, fleet, and why it has this size."""

import json
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import click
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from facefleet.cli.client import Client, Refused
from facefleet.errors import ServiceError
from facefleet.wire import Json

#: What asking again does not mend.
FINAL = ("key_required", "scope_missing", "foreign_host")
#: Looks that the curves show: with one a second, a minute.
LOOKS = 60
BLOCKS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class Look:
    """What the service said of its fleet, or why it said nothing."""

    at: float
    fleet: Json | None
    trouble: ServiceError | None = None


@dataclass(frozen=True)
class Pace:
    """How often to look, and for how long; None: until Ctrl-C."""

    every: float
    seconds: float | None = None


def watch(client: Client, pace: Pace, *, as_json: bool, keep: Callable[[Look], object] = lambda look: None) -> None:
    """Looks again and again, and hands each look to `keep`; a service that is away is waited for."""
    console = Console()
    try:
        if as_json:
            _go_on(client, pace, keep, lambda look: click.echo(json_line(look)))
        elif not console.is_terminal:
            _go_on(client, pace, keep, lambda look: click.echo(line(look)))
        else:
            _draw(client, pace, keep, console)
    except KeyboardInterrupt:
        return


def _go_on(client: Client, pace: Pace, keep: Callable[[Look], object], show: Callable[[Look], None]) -> None:
    deadline = time.monotonic() + (math.inf if pace.seconds is None else pace.seconds)
    while True:
        look = _look(client)
        keep(look)
        show(look)
        if time.monotonic() + pace.every > deadline:
            return
        time.sleep(pace.every)


def _look(client: Client) -> Look:
    try:
        return Look(time.time(), client.call("GET", "/v1/fleet"))
    except ServiceError as e:
        if isinstance(e, Refused) and e.code in FINAL:
            raise
        return Look(time.time(), None, e)


def _draw(client: Client, pace: Pace, keep: Callable[[Look], object], console: Console) -> None:
    looks: deque[Look] = deque(maxlen=LOOKS)

    def show(look: Look) -> None:
        looks.append(look)
        live.update(picture(looks), refresh=True)

    with Live(console=console, auto_refresh=False) as live:
        _go_on(client, pace, keep, show)


def json_line(look: Look) -> str:
    if look.trouble is not None:
        return json.dumps({"error": {"code": look.trouble.code, "detail": look.trouble.detail}})
    return json.dumps(look.fleet)


def line(look: Look) -> str:
    if look.fleet is None:
        return f"{_clock(look.at)}  {look.trouble}"
    fleet = look.fleet
    why = f"{fleet.get('decision', 'none')}: {fleet['reason']}"
    return "; ".join((f"{_clock(look.at)}  {queue_in_words(fleet)}", fleet_in_words(fleet), why))


def _clock(at: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(at))


def queue_in_words(fleet: Json) -> str:
    """`12 visible, 2 in flight, 0 dead letters; the oldest waits for 3.1 s`."""
    queue, oldest = fleet["queue"], fleet.get("oldest")
    counts = f"{queue['visible']} visible, {queue['in_flight']} in flight, {queue['dead']} dead letters"
    return counts if oldest is None else f"{counts}; the oldest waits for {oldest:.1f} s"


def fleet_in_words(fleet: Json) -> str:
    """`2 running, 0 pending, …; desired 2 of at most 2`."""
    states = ", ".join(f"{count} {state}" for state, count in fleet["instances"].items())
    return f"{states}; desired {fleet['desired']} of at most {fleet['max']}"


def clouds_in_words(clouds: Json) -> str:
    """`openstack 5 of 5, does not answer; ec2 3 of 19`."""
    return "; ".join(
        f"{name} {cloud['up']} of {cloud['max']}{'' if cloud['answers'] else ', does not answer'}"
        for name, cloud in clouds.items()
    )


def facts(fleet: Json) -> tuple[tuple[str, str], ...]:
    """Lines to show, each with its name; what no controller has told is left out."""
    lines = [("queue", queue_in_words(fleet)), ("fleet", fleet_in_words(fleet))]
    if clouds := fleet.get("clouds"):
        lines.append(("clouds", clouds_in_words(clouds)))
    lines.append(("decision", f"{fleet.get('decision', 'none')}: {fleet['reason']}"))
    if last := fleet.get("last"):
        lines.append(("last deed", f"{_clock(last['at'])}  {last['decision']}: {last['reason']}"))
    if "policy" in fleet:
        spent = f"; cost so far {fleet['cost']:.4f}" if fleet["cost"] else ""
        lines.append(("policy", fleet["policy"] + spent))
    return tuple(lines)


def workers_table(fleet: Json) -> Table:
    table = Table("worker", "state", "jobs", *(["cloud"] if fleet.get("clouds") else []))
    for worker in fleet["workers"]:
        table.add_row(worker["id"], worker["state"], str(worker["jobs"]), worker.get("cloud", ""))
    return table


def picture(looks: Sequence[Look]) -> RenderableType:
    """The newest look that brought something, how it came to that, and what is wrong since."""
    seen = [look.fleet for look in looks if look.fleet is not None]
    grid = Table.grid(padding=(0, 2))
    if trouble := looks[-1].trouble:
        grid.add_row("trouble", Text(str(trouble), style="red"))
    if not seen:
        return grid
    for name, words in facts(seen[-1]):
        grid.add_row(name, Text(words))
    grid.add_row("backlog", curve([fleet["queue"]["visible"] + fleet["queue"]["in_flight"] for fleet in seen]))
    grid.add_row("running", curve([fleet["instances"]["running"] for fleet in seen]))
    return Group(grid, workers_table(seen[-1])) if seen[-1]["workers"] else grid


def curve(values: Sequence[int]) -> str:
    """A block for each value, as high as it is beside the largest, only zero lowest; the newest stands behind."""
    most = max(values)
    return "".join(BLOCKS[math.ceil(value / (most or 1) * (len(BLOCKS) - 1))] for value in values) + f"  {values[-1]}"
