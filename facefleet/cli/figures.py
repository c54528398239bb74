"""The figures of a calibration as tables, as JSON, and as a picture."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from facefleet.recognition.calibration import Calibration
from facefleet.recognition.choosing import Measured
from facefleet.recognition.rates import Rate
from facefleet.settingtext import PREFIX


def report(found: Calibration) -> dict[str, Any]:
    """All figures as JSON has them."""
    figures = asdict(found)
    figures["identification_curve"] = _points(found.identification_curve, "known_right", "strangers_named")
    figures["verification_curve"] = _points(found.verification_curve, "fmr", "fnmr")
    return dict(_rounded(figures))


def show(found: Calibration, about: dict[str, Any], console: Console) -> None:
    """The tables, and in words what to set."""
    console.print(_verification(found))
    console.print(_identification(found))
    if found.groups:
        console.print(_groups(found))
    for line in in_words(found, about):
        console.print(line, highlight=False, soft_wrap=True)


def in_words(found: Calibration, about: dict[str, Any]) -> list[str]:
    """What was tried, how the built-in threshold fares, and what to set."""
    suits, rate, named = found.recommended, about["stranger_rate"], found.built_in.strangers_named
    keeps = named is not None and named.low <= rate <= named.high
    return [
        f"{about['people']} people with more than {about['enrol']} photos, {about['strangers']} others; "
        f"photos without a face: {about['photos_without_face']}.",
        f"Wanted: {rate:.2%} of strangers named. Measured in galleries of {found.chosen.people}, on people not used to "
        "choose by:",
        f"  built-in threshold: {_measured(found.built_in)}",
        f"  threshold chosen here: {_measured(found.chosen)}",
        f"For a gallery of these {suits.people} people set {PREFIX}STRANGER_RATE={suits.stranger_rate:.2g}: "
        f"a base threshold of {suits.threshold:.3f}, which goes on to follow the gallery's size.",
        *(["The built-in threshold keeps to the wanted rate too, as far as these photos can tell."] if keeps else []),
    ]


def draw(found: Calibration, stranger_rate: float, file: Path) -> None:
    """Writes a PNG: the trade-off between the two errors of verification, and rates over the threshold."""
    # Here, for it takes a second to load, and nobody else needs it.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 5), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    _draw_verification(left, found)
    _draw_identification(right, found, stranger_rate)
    figure.savefig(file, dpi=120, format="png")


def _draw_verification(axes: Any, found: Calibration) -> None:
    # A logarithmic axis has no place for nothing.
    points = [(fmr, 1 - fnmr) for _, fmr, fnmr in found.verification_curve if fmr > 0]
    axes.plot([x for x, _ in points], [y for _, y in points], color="tab:blue")
    for row in found.verification:
        if row.fmr and row.fnmr and row.fmr.value > 0:
            at = (row.fmr.value, 1 - row.fnmr.value)
            axes.plot(*at, "o", color="tab:blue", markersize=4)
            axes.annotate(f"{row.threshold:.2f}", at, textcoords="offset points", xytext=(6, -10), fontsize=8)
    axes.set(xscale="log", ylim=(0, 1.02), title="Verification: two photos, one person? (distances at the points)")
    axes.set(xlabel="false match rate (FMR), logarithmic", ylabel="true match rate (1 - FNMR)")
    axes.grid(visible=True, alpha=0.3)


def _draw_identification(axes: Any, found: Calibration, stranger_rate: float) -> None:
    thresholds = [threshold for threshold, _, _ in found.identification_curve]
    axes.plot(thresholds, [100 * right for _, right, _ in found.identification_curve], label="known people named right")
    axes.plot(thresholds, [100 * named for _, _, named in found.identification_curve], label="strangers named")
    axes.axhline(100 * stranger_rate, color="tab:grey", linestyle=":", label=f"wanted: {stranger_rate:.2%}")
    chosen, plain = found.chosen.threshold, found.built_in.threshold
    axes.axvline(chosen, color="tab:green", label=f"chosen here, mean: {chosen:.3f}")
    axes.axvline(plain, color="tab:red", linestyle="--", label=f"built in: {plain:.3f}")
    axes.set(title=f"Identification: who of {found.chosen.people} is it?", ylim=(-2, 102))
    axes.set(xlabel="base threshold", ylabel="share of searches, %")
    axes.grid(visible=True, alpha=0.3)
    axes.legend(loc="center right", fontsize=8)


def _verification(found: Calibration) -> Table:
    table = Table("distance", "FMR", "FNMR", title="Verification: two photos, one person? (95 % intervals)")
    for row in found.verification:
        table.add_row(f"{row.threshold:.2f}", _rate(row.fmr, digits=3), _rate(row.fnmr))
    return table


def _identification(found: Calibration) -> Table:
    title = f"Identification: who of {found.chosen.people} is it? (95 % intervals)"
    table = Table("base threshold", "known right (1 - FNIR)", "strangers named (FPIR)", title=title)
    for row in found.identification:
        table.add_row(f"{row.threshold:.3f}", _rate(row.known_right), _rate(row.strangers_named, digits=2))
    return table


def _groups(found: Calibration) -> Table:
    title = f"Groups, at the chosen thresholds; FMR within the group at {found.recommended.threshold:.3f}"
    table = Table("group", "people", "known right", "strangers named", "FMR", title=title)
    for group in found.groups:
        rates = (_rate(group.known_right), _rate(group.strangers_named, digits=2), _rate(group.fmr, digits=3))
        table.add_row(group.name, str(group.people), *rates)
    return table


def _measured(one: Measured) -> str:
    right, named = _rate(one.known_right), _rate(one.strangers_named, digits=2)
    return f"{one.threshold:.3f}, known people right {right}, strangers named {named}"


def _rate(rate: Rate | None, *, digits: int = 1) -> str:
    if rate is None:
        return "–"
    return f"{rate.value:.{digits}%} ({100 * rate.low:.{digits}f}–{100 * rate.high:.{digits}f})"


def _points(curve: tuple[tuple[float, float, float], ...], second: str, third: str) -> list[dict[str, float]]:
    return [{"threshold": threshold, second: a, third: b} for threshold, a, b in curve]


def _rounded(value: Any) -> Any:
    """All numbers with no more digits than they are worth."""
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    return [_rounded(one) for one in value] if isinstance(value, list | tuple) else value
