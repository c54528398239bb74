"""What a run comes to: latencies, throughput, what went wrong; as numbers, as a table, as a histogram."""

from array import array
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import ceil, floor, log10

from rich.table import Table
from rich.text import Text

from facefleet.cli.loading.engine import Outcome

PERCENTILES = (50, 90, 95, 99)
#: Codes that are told one by one; a service that makes up ever new ones fills no memory.
MOST_CODES = 50
OTHER = "other"
#: Begun so much after it was due, an upload was late.
LATE = 0.1
#: Bars of a histogram, about, and how wide the longest is.
BARS, WIDTH = 12, 48
#: Of each tenfold, where bars begin.
STEPS = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)


@dataclass(frozen=True, slots=True)
class Trouble:
    """How often a code came, and the words that came with it first."""

    count: int
    detail: str


@dataclass(frozen=True, slots=True)
class Figures:
    """`seconds`: all of it. `latency`: of those answered. `late`: not sent when due, for too many were under way."""

    sent: int
    answered: int
    failed: int
    cached: int
    late: int
    retries: int
    seconds: float
    throughput: float
    latency: dict[str, float] | None
    errors: dict[str, Trouble]


@dataclass
class Tally:
    """Counts outcomes as they come. Keeps of each the latency, eight bytes, and nothing else."""

    latencies: "array[float]" = field(default_factory=lambda: array("d"))
    failed: int = 0
    cached: int = 0
    late: int = 0
    retries: int = 0
    errors: dict[str, Trouble] = field(default_factory=dict)

    def add(self, outcome: Outcome) -> None:
        self.retries += outcome.retries
        self.late += outcome.late > LATE
        if outcome.answer is not None:
            self.latencies.append(outcome.latency)
            self.cached += outcome.answer.was_cached
        elif outcome.failure is not None:
            self.failed += 1
            self._blame(outcome.failure.code, outcome.failure.detail)

    def _blame(self, code: str, detail: str) -> None:
        code = code if code in self.errors or len(self.errors) < MOST_CODES else OTHER
        before = self.errors.get(code, Trouble(0, detail))
        self.errors[code] = Trouble(before.count + 1, before.detail)

    def figures(self, seconds: float) -> Figures:
        answered = len(self.latencies)
        return Figures(
            sent=answered + self.failed,
            answered=answered,
            failed=self.failed,
            cached=self.cached,
            late=self.late,
            retries=self.retries,
            seconds=round(seconds, 3),
            throughput=round(answered / seconds, 3) if seconds else 0.0,
            latency=summary(sorted(self.latencies)) if answered else None,
            errors=dict(sorted(self.errors.items(), key=lambda one: -one[1].count)),
        )


def summary(ordered: Sequence[float]) -> dict[str, float]:
    """`p50` … `p99` and `max`: each is a latency that was measured, and so many of a hundred are no longer."""
    found = {f"p{share}": percentile(ordered, share) for share in PERCENTILES} | {"max": ordered[-1]}
    return {name: round(value, 4) for name, value in found.items()}


def percentile(ordered: Sequence[float], share: float) -> float:
    return ordered[max(0, ceil(share / 100 * len(ordered)) - 1)]


def edges(low: float, high: float) -> list[float]:
    """Round numbers from the last one up to `low` to the first one beyond `high`, each about as many times the one
    before it, at most about `BARS` of them.
    """
    low = max(low, 1e-3)
    first, last = floor(log10(low)), ceil(log10(max(high, low))) + 1
    marks = [round(step * 10.0**power, 12) for power in range(first, last + 1) for step in STEPS]
    begin, end = bisect_right(marks, low) - 1, bisect_right(marks, max(high, low))
    found = marks[max(begin, 0) : end + 1]
    every = max(1, ceil((len(found) - 1) / BARS))
    kept = found[::every]
    return kept if kept[-1] == found[-1] else [*kept, found[-1]]


def counts(latencies: Sequence[float]) -> list[tuple[float, float, int]]:
    """Bars as (from, to, how many), none left out between the first and the last."""
    found = edges(min(latencies), max(latencies))
    tally = [0] * (len(found) - 1)
    for latency in latencies:
        tally[max(0, bisect_right(found, latency) - 1)] += 1
    return [(a, b, count) for (a, b), count in zip(pairwise(found), tally, strict=True)]


def table(figures: Figures) -> Table:
    grid = Table.grid(padding=(0, 2))
    for name, words in in_words(figures):
        grid.add_row(name, Text(words))
    return grid


def in_words(figures: Figures) -> list[tuple[str, str]]:
    """Lines to show, each with its name; what did not happen is left out."""
    lines = [("answered", f"{figures.answered} of {figures.sent} in {figures.seconds:.2f} s")]
    lines.append(("throughput", f"{figures.throughput:.2f} answers a second"))
    if figures.latency is not None:
        lines.append(("latency", "  ".join(f"{name} {value:.3f}" for name, value in figures.latency.items()) + "  s"))
    if figures.cached:
        lines.append(("cached", f"{figures.cached} known from before: no worker was asked"))
    if figures.retries:
        lines.append(("sent again", f"{figures.retries} times, as the service asked: it was busy"))
    if figures.late:
        lines.append(("late", f"{figures.late} began over {LATE:g} s after they were due: more --concurrency"))
    troubles = figures.errors.items()
    return lines + [("failed", f"{one.count} × {code}: {one.detail}") for code, one in troubles]


def histogram(latencies: Sequence[float]) -> Table:
    """A bar for each span of seconds, each span about as many times the one before."""
    bars = counts(latencies)
    most = max(count for _, _, count in bars)
    grid = Table.grid(padding=(0, 2))
    grid.add_column(justify="right")
    grid.add_column(justify="right")
    for begin, end, count in bars:
        # The few that are worst are what one looks for: they show, however few.
        width = ceil(count / most * WIDTH)
        grid.add_row(f"{begin:g}–{end:g} s", str(count), Text("█" * width, style="cyan"))
    return grid
