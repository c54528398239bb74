"""Simulated runs as a picture: queue, fleet and waiting over the same time, policies side by side."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from controller.simulation.engine import Run
from controller.simulation.loads import Load
from controller.simulation.traces import Floats

#: By a file's ending its form is known.
ENDINGS = (".png", ".svg")
#: From how many seconds on time is told in which unit, and how many seconds that has.
UNITS = ((172_800.0, "days", 86_400.0), (7200.0, "hours", 3600.0), (120.0, "minutes", 60.0), (0.0, "seconds", 1.0))
#: A policy's column, in inches.
WIDTH, HEIGHT = 7.0, 8.0
#: Waiting is shown for so many parts of the time: more could not be told apart.
PARTS = 300


def draw(load: Load, runs: Mapping[str, Run], file: Path) -> None:
    """Writes a PNG or an SVG, as the file's ending says: a column for each policy's run with the load."""
    # Here, for it takes a second to load, and nobody else needs it.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH * len(runs) + 2, HEIGHT), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(3, len(runs), sharex=True, sharey="row", squeeze=False)
    length = max(run.finished for run in runs.values())
    for column, (name, run) in zip(grid.T, runs.items(), strict=True):
        column[0].set_title(name)
        _draw_run(column, load, run, length)
    for axes, label in zip(grid[:, 0], ("jobs in the queue", "instances", "waiting, seconds"), strict=True):
        # What is shared is set once; nothing is below none.
        axes.set(ylabel=label, ylim=(0, None))
    figure.suptitle(f"{load.name}: {load.arrivals.size} jobs, at most {load.most} instances")
    figure.savefig(file, dpi=120)


def _draw_run(column: Any, load: Load, run: Run, length: float) -> None:
    queue, fleet, waits = column
    unit, size = _unit(length)
    seen, times = run.timeline, run.timeline.times / size
    queue.fill_between(times, seen.backlog, step="post", color="tab:blue", alpha=0.6, linewidth=0)
    up, on_top = seen.running, seen.running + seen.pending
    fleet.fill_between(times, up, step="post", color="tab:green", alpha=0.6, linewidth=0, label="running")
    fleet.fill_between(times, up, on_top, step="post", color="tab:orange", alpha=0.6, linewidth=0, label="pending")
    fleet.step(times, seen.desired, where="post", color="black", linewidth=1, label="desired")
    at, median, longest = waiting(load.arrivals, run.waits, length)
    waits.vlines(at / size, median, longest, color="tab:red", alpha=0.4, label="median to longest")
    waits.plot(at / size, median, ".", color="tab:red", markersize=4, label="median, by arrival")
    waits.set_xlabel(unit)
    for axes in (queue, fleet, waits):
        axes.grid(visible=True, alpha=0.3)
    for axes in (fleet, waits):
        # Above the axes: within them it hides what happens.
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, frameon=False, fontsize=8)


def waiting(arrivals: Floats, waits: Floats, end: float) -> tuple[Floats, Floats, Floats]:
    """Of each part of the time in which jobs arrived: when it began to, the median of their waits, and the longest."""
    part = np.minimum((arrivals / end * PARTS).astype(int), PARTS - 1)
    firsts = np.flatnonzero(np.diff(part, prepend=-1))
    of_parts = np.split(waits, firsts[1:])
    medians, longest = ([float(of(those)) for those in of_parts] for of in (np.median, np.max))
    return arrivals[firsts], np.array(medians), np.array(longest)


def _unit(seconds: float) -> tuple[str, float]:
    """In which to tell so long a time."""
    return next((unit, size) for least, unit, size in UNITS if seconds >= least)
