"""What two clouds did over time, as a picture: instances that are up in each, and the queue."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

OWN, BURST = "tab:green", "tab:orange"


@dataclass(frozen=True)
class Moment:
    """`at`: seconds from the first upload."""

    at: float
    own: int
    burst: int
    backlog: int


def draw(moments: Sequence[Moment], file: Path, *, marks: Sequence[tuple[float, str]] = (), title: str = "") -> None:
    """Writes a PNG or an SVG, as the file's ending says. `marks`: what happened, and when."""
    # Here, for it takes a second to load, and nobody else needs it.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 7), layout="constrained")
    FigureCanvasAgg(figure)
    queue, fleet = figure.subplots(2, 1, sharex=True)
    at = [moment.at for moment in moments]
    queue.fill_between(at, [m.backlog for m in moments], step="post", color="tab:blue", alpha=0.6, linewidth=0)
    own, burst = [m.own for m in moments], [m.burst for m in moments]
    # One's own at the bottom: it comes first and goes last.
    labels = (f"one's own cloud (up to {max(own)})", f"EC2, for the burst (up to {max(burst)})")
    fleet.stackplot(at, own, burst, labels=labels, colors=(OWN, BURST), alpha=0.7, step="post")
    for when, what in marks:
        for axes in (queue, fleet):
            axes.axvline(when, color="tab:red", linewidth=1, linestyle="--")
        queue.annotate(what, (when, 1), (4, -12), xycoords=("data", "axes fraction"), textcoords="offset points")
    for axes, label in ((queue, "messages in the queue"), (fleet, "instances that are up")):
        axes.set(ylabel=label, ylim=(0, None))
        axes.grid(visible=True, alpha=0.3)
    fleet.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False)
    fleet.set(xlabel="seconds since the first upload", xlim=(0, at[-1]))
    figure.suptitle(title)
    figure.savefig(file, dpi=120)
