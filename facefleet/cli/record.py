"""What a fleet did, as a picture: the queue and the instances over the same time."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from facefleet.cli.watch import Look
from facefleet.errors import NotFound

#: A day of looks, one a second; of a longer recording the end is drawn.
MAX_LOOKS = 86_400
#: By a file's ending its form is known.
ENDINGS = (".png", ".svg")
#: From the bottom up, as an instance comes and goes.
STATES = (("running", "tab:green"), ("pending", "tab:orange"), ("draining", "tab:olive"), ("stopping", "tab:brown"))


def draw(looks: Iterable[Look], file: Path) -> None:
    """Writes a PNG or an SVG, as the file's ending says; raises `NotFound` where nothing was seen."""
    seen = [(look.at, look.fleet) for look in looks if look.fleet is not None]
    if not seen:
        raise NotFound("the service said nothing all the time, so there is nothing to draw")
    # Here, for it takes a second to load, and nobody else needs it.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 7), layout="constrained")
    FigureCanvasAgg(figure)
    queue, fleet = figure.subplots(2, 1, sharex=True)
    times = [at - seen[0][0] for at, _ in seen]
    _draw_queue(queue, times, [one["queue"] for _, one in seen])
    _draw_fleet(fleet, times, [one for _, one in seen])
    fleet.set_xlabel("seconds")
    figure.savefig(file, dpi=120)


def _draw_queue(axes: Any, times: list[float], queues: list[dict[str, int]]) -> None:
    waiting, leased = ([queue[name] for queue in queues] for name in ("visible", "in_flight"))
    axes.stackplot(
        times, leased, waiting, labels=("in flight", "visible"), colors=("tab:cyan", "tab:blue"), alpha=0.7, step="post"
    )
    if any(queue["dead"] for queue in queues):
        axes.step(times, [queue["dead"] for queue in queues], where="post", color="tab:red", label="dead letters")
    _finish(axes, "messages")


def _draw_fleet(axes: Any, times: list[float], fleets: list[dict[str, Any]]) -> None:
    counts = [[fleet["instances"].get(state, 0) for fleet in fleets] for state, _ in STATES]
    names, colours = zip(*STATES, strict=True)
    axes.stackplot(times, *counts, labels=names, colors=colours, alpha=0.7, step="post")
    axes.step(times, [fleet["desired"] for fleet in fleets], where="post", color="black", linewidth=1, label="desired")
    axes.axhline(fleets[-1]["max"], color="tab:grey", linestyle=":", label=f"at most {fleets[-1]['max']}")
    _finish(axes, "instances")


def _finish(axes: Any, label: str) -> None:
    axes.set(ylabel=label, ylim=(0, None))
    axes.grid(visible=True, alpha=0.3)
    # Above the axes: within them it hides what happens.
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=6, frameon=False, fontsize=8)
