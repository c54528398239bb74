"""The latencies of a run as a picture: how many took how long, and where the percentiles lie."""

from collections.abc import Sequence
from pathlib import Path

from facefleet.cli.loading.figures import Figures
from facefleet.errors import NotFound

#: By a file's ending its form is known.
ENDINGS = (".png", ".svg")
BINS = 60
COLOURS = {"p50": "tab:green", "p90": "tab:olive", "p95": "tab:orange", "p99": "tab:red"}


def draw(latencies: Sequence[float], figures: Figures, file: Path) -> None:
    """Writes a PNG or an SVG, as the file's ending says; raises `NotFound` where nothing was answered."""
    if figures.latency is None:
        raise NotFound("nothing was answered, so there is nothing to draw")
    # Here, for it takes a second to load, and nobody else needs it.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.hist(latencies, bins=BINS, color="tab:blue", alpha=0.8)
    for name, colour in COLOURS.items():
        axes.axvline(figures.latency[name], color=colour, label=f"{name}: {figures.latency[name]:.3f} s")
    axes.set(xlabel="seconds until answered", ylabel="uploads", xlim=(0, None))
    axes.set_title(f"{figures.answered} of {figures.sent} answered, {figures.throughput:.2f} a second")
    axes.grid(visible=True, alpha=0.3)
    axes.legend()
    figure.savefig(file, dpi=120)
