"""The default: a second of waiting has a price, and so has a start; what is cheapest is done.

Out to what works off the backlog that is expected when a boot ends (a square-root rule), or to the levels that proved
worth having (`controller.levels`), whichever is more; in no farther than those. Nobody goes who is busy, or who is
paid for a while yet.
"""

import math
from dataclasses import dataclass, replace
from statistics import median

from controller.levels import LEAST, Level, Prices, held, levels_up_to, replay
from controller.policy import UP, Observation, Plan, Policy, Terms
from facefleet.model import InstanceState, WorkerState

#: Glances of which most must see jobs arrive, before that is a surge and not a single burst; and what share of a boot's
#: time each takes.
SURGE, GLANCE = 3, 1 / 15
#: So many standard deviations of a Poisson process are taken off the rate that was seen.
DOUBT = 2.0
#: A surge is taken to bring, at most, so many times what it has brought already.
LASTING = 6.0
#: Share of what the last surge taught in the trust in the next.
LESSON = 0.25
#: A machine that slept, or a controller that was not there, tells nothing of when jobs came meanwhile.
LONGEST_LOOK = 30.0
#: Seconds that the first look stands for.
FIRST_LOOK = 1.0
#: Seconds over which, at least, the rate of arrivals is taken; and the most parts in which they are remembered.
STEADY, PARTS = 10.0, 64
#: SQS's counts may be a minute old and jump meanwhile; what lacks for longer was purged, or nobody counted its end.
#: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html
COUNTS_SETTLE = 90.0

Glances = tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class Forecast:
    """Made at a time: so many jobs to come within a boot, besides those that had arrived."""

    at: float
    jobs: float
    arrived: int


@dataclass(frozen=True, slots=True)
class Memory:
    """`arrived`: jobs in all, as far as counts told; `below_since`: since when they tell of fewer.

    `glances`: (jobs, seconds) of the last ones; `recent`: (when, how many) lately. `trust`: share of what surges seemed
    to bring that came, by the forecasts so far; `forecast`: one that is not due yet. `peaks`: (when, servers) that were
    in use or worth having within the hold time, falling in both.
    """

    looked_at: float | None = None
    arrived: int = 0
    below_since: float | None = None
    glances: Glances = ()
    recent: tuple[tuple[float, int], ...] = ()
    trust: float = 1.0
    forecast: Forecast | None = None
    peaks: tuple[tuple[float, int], ...] = ()
    levels: tuple[Level, ...] = ()


def decide(seen: Observation, memory: Memory, terms: Terms, now: float) -> tuple[Plan, Memory]:
    """Desired = what waits and comes, or what proved worth having, whichever is more; within bounds."""
    boot, service = max(seen.boot, LEAST), max(seen.service, LEAST)
    prices = Prices(max(terms.least_bill, boot), max(terms.wait_price, LEAST), boot, service)
    memory = _learned(memory, seen, terms, prices, now)
    up = seen.count(*UP)
    rate = sum(jobs for _, jobs in memory.recent) / max(boot, STEADY)
    wanted = _wanted(seen, memory, prices, rate, now)
    in_use = min(seen.depth.backlog, up)
    worth = max(held(memory.levels, up, now), math.ceil(rate * service), in_use)
    peaks = (*(peak for peak in memory.peaks if 0 <= now - peak[0] <= terms.hold and peak[1] > worth), (now, worth))
    desired = min(max(wanted, peaks[0][1], terms.least), terms.most)
    room = terms.most - up - seen.count(InstanceState.DRAINING, InstanceState.STOPPING)
    launch = max(0, min(desired - up, room))
    retire = () if seen.depth.visible else _idle_and_paid(seen, up - desired, terms, now)
    plan = Plan(desired, launch, retire, _reason(seen, rate, wanted, peaks[0][1], launch, len(retire)))
    return plan, replace(memory, peaks=peaks)


def _learned(memory: Memory, seen: Observation, terms: Terms, prices: Prices, now: float) -> Memory:
    """With what came since the last look."""
    total, first = seen.depth.backlog + seen.done, memory.looked_at is None
    seconds = FIRST_LOOK if memory.looked_at is None else min(max(now - memory.looked_at, LEAST), LONGEST_LOOK)
    jobs = seen.depth.backlog if first else max(0, total - memory.arrived)
    below_since = now if memory.below_since is None else memory.below_since
    settled = first or total >= memory.arrived or now - below_since > COUNTS_SETTLE
    levels = memory.levels if memory.levels and memory.levels[-1].servers == terms.most else levels_up_to(terms.most)
    glances = _glances(memory.glances, jobs, seconds, prices.boot * GLANCE)
    arrived = total if settled else memory.arrived
    trust, forecast = _lesson(memory, glances, arrived, prices.boot, now)
    return Memory(
        now,
        arrived,
        None if settled else below_since,
        glances,
        _recent(memory.recent, jobs, now, max(prices.boot, STEADY)),
        trust,
        forecast,
        memory.peaks,
        replay(levels, jobs, seconds, now, prices),
    )


def _recent(recent: tuple[tuple[float, int], ...], jobs: int, now: float, span: float) -> tuple[tuple[float, int], ...]:
    """Arrivals within the span; those close together are one part, so that what is remembered stays small."""
    if recent and not 0 <= now - recent[0][0] < span:
        recent = tuple(part for part in recent if 0 <= now - part[0] < span)
    if not jobs:
        return recent
    if recent and now - recent[-1][0] < span / PARTS:
        return (*recent[:-1], (recent[-1][0], recent[-1][1] + jobs))
    return (*recent, (now, jobs))


def _glances(glances: Glances, jobs: int, seconds: float, least: float) -> Glances:
    """With this look; those shorter than so many seconds are one glance together."""
    if glances and glances[-1][1] < least:
        last_jobs, last_seconds = glances[-1]
        return (*glances[:-1], (last_jobs + jobs, last_seconds + seconds))
    return (*glances[1 - SURGE :], (jobs, seconds))


def _lesson(memory: Memory, glances: Glances, arrived: int, boot: float, now: float) -> tuple[float, Forecast | None]:
    """The trust, once a forecast that is due was compared with what came; and the next one, made in a surge."""
    forecast, trust = memory.forecast, memory.trust
    if forecast is not None:
        if 0 <= now - forecast.at < boot:
            return trust, forecast
        came = min(1.0, (arrived - forecast.arrived) / forecast.jobs)
        trust += LESSON * (max(0.0, came) - trust)
    surge = _surge(glances)
    return trust, Forecast(now, surge * boot, arrived) if surge else None


def _surge(glances: Glances) -> float:
    """Jobs a second that go on arriving, at least; a single burst is none."""
    if len(glances) < SURGE:
        return 0.0
    rate = median(jobs / seconds for jobs, seconds in glances)
    return max(0.0, rate - DOUBT * math.sqrt(rate / sum(seconds for _, seconds in glances)))


def _wanted(seen: Observation, memory: Memory, prices: Prices, rate: float, now: float) -> int:
    """Servers for what will be left when one asked for now begins to work: of what waits, and what comes till then."""
    depth, boot = seen.depth, prices.boot
    coming = min(memory.trust * _surge(memory.glances) * boot, LASTING * sum(jobs for _, jobs in memory.recent))
    left = (depth.visible + depth.in_flight / 2 + coming) * prices.service - _served(seen, boot, now)
    wanted = math.ceil(rate * prices.service + left / prices.drain) if left > 0 else 0
    # A server for each job is enough, however long one is thought to take.
    wanted = min(wanted, math.ceil(depth.backlog + coming))
    up = seen.count(*UP)
    if depth.visible and not up:
        return max(wanted, 1)
    return max(wanted, _for_the_late(seen, prices, up, now))


def _served(seen: Observation, boot: float, now: float) -> float:
    """Seconds of work that those on hand will have done by then."""
    pending = (min(now - one.launched_at, boot) for one in seen.instances if one.state is InstanceState.PENDING)
    return seen.count(InstanceState.RUNNING) * boot + sum(max(0.0, seconds) for seconds in pending)


def _for_the_late(seen: Observation, prices: Prices, up: int, now: float) -> int:
    """Twice as many, where jobs wait longer than help takes, and none comes: they take longer than was thought."""
    oldest = seen.depth.oldest
    if oldest is None or seen.count(InstanceState.PENDING) or now - oldest <= 2 * (prices.boot + prices.drain):
        return 0
    return up + min(seen.depth.visible, up)


def _idle_and_paid(seen: Observation, count: int, terms: Terms, now: float) -> tuple[str, ...]:
    """Of the idle whose paid time is used up stale ones, and then the youngest.

    Of the farthest cloud that has anybody up: one's own stays until all of the others' have gone, also those that are
    paid for a while yet, or busy.
    """
    if count <= 0:
        return ()
    farthest = max((one.rank for one in seen.instances if one.state in UP), default=0)
    idle = {worker.id for worker in seen.workers if worker.state is WorkerState.IDLE}
    paid = [
        one
        for one in seen.instances
        if one.rank == farthest
        and one.state is InstanceState.RUNNING
        and one.id in idle
        and now - one.launched_at >= terms.least_bill
    ]
    paid.sort(key=lambda one: (not one.is_stale, -one.launched_at, one.id))
    return tuple(one.id for one in paid[:count])


def _reason(seen: Observation, rate: float, wanted: int, worth: int, launch: int, retire: int) -> str:
    asks = f"backlog {seen.depth.backlog}, {rate:.1f} jobs/s, boots of {seen.boot:.1f} s: {wanted} to work it off"
    if worth > wanted:
        asks = f"{asks}, {worth} worth having"
    if launch:
        return f"{asks}; launching {launch}"
    return f"{asks}; retiring {retire}, idle and used up" if retire else asks


PRICED = Policy("priced", decide, Memory())
