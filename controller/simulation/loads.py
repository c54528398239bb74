"""What a simulated queue is given to do: when jobs arrive."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from controller.simulation.traces import BadTrace, Floats, Trace

DAY = 86_400.0
#: Of a trace longer than this, the bench takes the busiest part; it is scaled to so many jobs if it is of days.
LONGEST, MOST_JOBS = DAY, 200_000
#: As many as a course's account has; a load that needs more may have MANY.
FEW, MANY = 19, 500
#: Seconds over which need is looked at, when few instances are told from many.
PEAK = 10.0
#: Seconds within which an arrival's copies fall: fewer than an instance takes to come up, so that bursts stay bursts.
JITTER = 5.0
BURST = 100


@dataclass(frozen=True, eq=False)
class Load:
    """Seconds at which jobs arrive, sorted; `most` instances may serve them.

    `services`: how long each job takes; without it, as long as in the simulated world.
    """

    name: str
    arrivals: Floats
    most: int
    services: Floats | None = None


def load(trace: Trace, most: int | None = None, *, seed: int, service: float = 1.0) -> Load:
    """The trace's jobs at moments that the seed draws evenly from their interval; fractions of a job are drawn too.

    An interval has as many jobs whatever the seed, give or take one. Without `most`, what the trace's busiest seconds
    ask for decides, for every seed alike.
    """
    arrivals = _arrivals(trace, seed)
    if not arrivals.size:
        raise BadTrace(f"{trace.name} has no job: ask for more")
    return Load(trace.name, arrivals, enough(_arrivals(trace, 0), service) if most is None else most)


def enough(arrivals: Floats, service: float = 1.0) -> int:
    """FEW instances where the busiest ten seconds ask for no more, else MANY."""
    within = np.searchsorted(arrivals, arrivals + PEAK) - np.arange(arrivals.size)
    return FEW if within.max() * service <= FEW * PEAK else MANY


def for_bench(trace: Trace) -> list[Trace]:
    """The trace as the bench takes it, by the same rule for all.

    One longer than a day is cut to its busiest day. One of a day is scaled to 200,000 jobs; one of hours stays as it
    is, and comes once more at ten times the rate, or what of it makes 200,000 jobs.
    """
    trace = busiest(trace, LONGEST)
    if trace.seconds >= DAY:
        return [scaled(trace, MOST_JOBS / trace.jobs.sum())]
    return [trace, replace(scaled(trace, min(10.0, MOST_JOBS / trace.jobs.sum())), name=f"{trace.name} ×10")]


def busiest(trace: Trace, seconds: float) -> Trace:
    """The window of so many seconds that has most jobs, of those that begin with an interval; the first of equals."""
    if trace.seconds <= seconds:
        return trace
    # What has begun must end within the window, or it would be longer.
    ends = np.searchsorted(trace.starts + trace.lengths, trace.starts + seconds, side="right")
    done = np.concatenate([[0.0], np.cumsum(trace.jobs)])
    first = int(np.argmax(done[ends] - done[:-1]))
    part = slice(first, int(ends[first]))
    return replace(
        trace, starts=trace.starts[part] - trace.starts[first], lengths=trace.lengths[part], jobs=trace.jobs[part]
    )


def scaled(trace: Trace, factor: float) -> Trace:
    """So many times the jobs. Those of one moment fall within some seconds from it, if they become more."""
    lengths = np.maximum(trace.lengths, JITTER) if factor > 1 else trace.lengths
    return replace(trace, lengths=lengths, jobs=trace.jobs * factor)


def burst() -> Trace:
    """100 jobs at once, from nothing."""
    return _trace("burst", (0.0, 0.0, BURST))


def bursts() -> Trace:
    """Three bursts of 100, a quarter of an hour apart."""
    return _trace("bursts", *((at, 0.0, BURST) for at in (0.0, 900.0, 1800.0)))


def step() -> Trace:
    """Nothing for five minutes, then 50 jobs a second for ten, then nothing."""
    return _trace("step", (300.0, 600.0, 30_000))


def poisson(rate: float, seconds: float, *, seed: int) -> Trace:
    """Jobs that know nothing of each other, at so many a second."""
    return _trace("poisson", (0.0, seconds, float(np.random.default_rng(seed).poisson(rate * seconds))))


def diurnal(rate: float, seconds: float) -> Trace:
    """A sine of a day's length, from none at midnight to twice the rate at noon, minute by minute."""
    starts = np.arange(0.0, seconds, 60.0)
    jobs = 60.0 * rate * (1.0 - np.cos(2.0 * np.pi * (starts + 30.0) / DAY))
    return Trace("diurnal", starts, np.full_like(starts, 60.0), jobs)


#: The loads that need no file and no number.
SYNTHETIC: Mapping[str, Callable[[], Trace]] = {"burst": burst, "bursts": bursts, "step": step}


def _trace(name: str, *intervals: tuple[float, float, float]) -> Trace:
    starts, lengths, jobs = np.array(intervals).T
    return Trace(name, starts, lengths, jobs)


def _arrivals(trace: Trace, seed: int) -> Floats:
    chance = np.random.default_rng(seed)
    jobs = np.floor(trace.jobs + chance.random(trace.jobs.size)).astype(int)
    starts, lengths = np.repeat(trace.starts, jobs), np.repeat(trace.lengths, jobs)
    arrivals: Floats = np.sort(starts + lengths * chance.random(starts.size))
    return arrivals
