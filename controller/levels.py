"""What each further server would have been worth lately: the same arrivals, replayed for every size of fleet at once.

A *server* is a working instance, as in queueing theory; a *level* is a size of fleet, with a virtual queue that so many
servers work off. While the level below it would have jobs waiting, a level is *needed*: what its queue costs less than
that one's, for each server more, is what it saves. Between two needs lies a *gap*. From the gaps and savings on record
follows how long an idle server is worth keeping for the next need: a ski rental whose distribution is learned (Karlin
et al., *Competitive randomized algorithms for nonuniform problems*, 1994), on levels instead of idle timers (Lu and
Chen, arXiv 1112.0442).
"""

import math
from dataclasses import dataclass, replace

#: Upper ends, in seconds, of the classes in which gaps are counted; longer ones are "forever".
GAPS = tuple(2.0**power for power in range(1, 13))
#: What is supposed before anything is known: so many gaps, of which this share never ends; the others are as likely of
#: one length as of twice that, from a second to a day, which is 17 doublings.
SUPPOSED, DOUBLINGS, NEVER = 2.0, 17, 0.8
PRIOR = (SUPPOSED * (1 - NEVER) / DOUBLINGS,) * len(GAPS)
PRIOR_FOREVER = SUPPOSED - sum(PRIOR)
#: What an earlier gap weighs, when the one after it weighs 1.
FADING = 0.95
#: Needs over which a level's worth is the mean.
NEEDS = 20.0
#: A further server is launched for what is only expected if it saves the cost of so many starts.
LEAP = 1.0
#: Before any clock's time, and yet a number in JSON.
LONG_AGO = -1e12
#: No time and no price is taken for less: what costs nothing cannot be weighed, nor divided by.
LEAST = 1e-3
#: Levels lie one apart up to this size of fleet, then by this share of it.
FINE, COARSE = 12, 0.12


@dataclass(frozen=True, slots=True)
class Prices:
    """In seconds of an instance: a start, and a second of a job's waiting. `boot`, `service` in seconds.

    `drain`: seconds in which a backlog is best worked off. Fewer servers wait longer, more cost more starts.
    """

    start: float
    wait: float
    boot: float
    service: float

    @property
    def drain(self) -> float:
        return max(math.sqrt(self.start * self.service / self.wait), LEAST)


@dataclass(frozen=True, slots=True)
class Record:
    """What earlier needs of a level taught. `worth`: seconds of an instance saved in one, on average of `needs`.

    `gaps`: how often each class of gaps came, faded; `forever`: longer ones. `hold`: seconds without need for which the
    level is worth launching; `keep`: for which it is worth keeping.
    """

    worth: float = 0.0
    needs: float = 0.0
    gaps: tuple[float, ...] = PRIOR
    forever: float = PRIOR_FOREVER
    hold: float = 0.0
    keep: float = 0.0


@dataclass(frozen=True, slots=True)
class Level:
    """So many servers. `waiting`: jobs in its virtual queue; `relief`: servers launched to help it.

    `began`: when they began to wait; once help has come, such that more comes a drain later.

    `needed_at`: when jobs came last that needed it; `saved`: what it saved in the need under way.
    """

    servers: int
    waiting: float = 0.0
    began: float = 0.0
    relief: float = 0.0
    needed: bool = False
    needed_at: float = LONG_AGO
    saved: float = 0.0
    record: Record = Record()


def levels_up_to(most: int) -> tuple[Level, ...]:
    """From no server to the most."""
    sizes = list(range(min(most, FINE) + 1))
    while sizes[-1] < most:
        sizes.append(min(most, max(sizes[-1] + 1, round(sizes[-1] * (1 + COARSE)))))
    return tuple(Level(size) for size in sizes)


def replay(levels: tuple[Level, ...], arrivals: int, seconds: float, now: float, prices: Prices) -> tuple[Level, ...]:
    """The levels after so many arrivals in the last so many seconds."""
    replayed: list[Level] = []
    below, below_cost, waited_below = levels[0], 0.0, False
    work = arrivals * prices.service
    for level in levels:
        after, cost = level, 0.0
        if level.waiting or work > level.servers * seconds:
            after, cost = _queued(level, arrivals, seconds, now, prices)
        if waited_below:
            saving = (below_cost - cost) / (level.servers - below.servers)
            at = now if arrivals else level.needed_at
            after = _needed(after, saving, now - seconds, at, ended=not below.waiting, prices=prices)
        waited_below = after.waiting > 0 or level.waiting > 0
        below, below_cost = after, cost
        replayed.append(after)
    return tuple(replayed)


def held(levels: tuple[Level, ...], up: int, now: float) -> int:
    """How many servers are worth having for what may come: those up are kept longer than others are launched."""
    launched = next((one.servers for one in reversed(levels) if 0 <= now - one.needed_at < one.record.hold), 0)
    kept = next((one.servers for one in reversed(levels) if 0 <= now - one.needed_at <= one.record.keep), 0)
    return max(launched, min(kept, up))


def _queued(level: Level, arrivals: int, seconds: float, now: float, prices: Prices) -> tuple[Level, float]:
    """The virtual queue some seconds later, and what these cost.

    A real fleet of this size would not let a queue stand: after the time of a boot, help comes.
    """
    before, relief, began, cost = level.waiting, level.relief, level.began, 0.0
    waiting = max(0.0, before + arrivals - (level.servers + relief) * seconds / prices.service)
    if not waiting:
        relief = 0.0
    elif not before:
        began = now
    elif now - began >= prices.boot + (prices.drain if relief else 0.0):
        help = waiting * prices.service / prices.drain
        cost = prices.start * (help if relief else max(1.0, help))
        # The next help is due after a drain, not after another boot.
        relief, began = relief + help, now - prices.boot
    cost += prices.wait * (before + waiting) / 2 * seconds
    after = Level(level.servers, waiting, began, relief, level.needed, level.needed_at, level.saved, level.record)
    return after, cost


def _needed(level: Level, saving: float, since: float, at: float, *, ended: bool, prices: Prices) -> Level:
    """The level below had jobs waiting in the seconds since then, and some that came `at` last."""
    record, saved = level.record, saving + (level.saved if level.needed else 0.0)
    if not level.needed and record.needs and since >= level.needed_at:
        record = _with_gap(record, since - level.needed_at)
    if ended:
        record = _with_need(record, saved, prices)
    return Level(level.servers, level.waiting, level.began, level.relief, not ended, at, saved, record)


def _with_gap(record: Record, seconds: float) -> Record:
    place = next((i for i, longest in enumerate(GAPS) if seconds <= longest), None)
    gaps = tuple(FADING * weight + (i == place) for i, weight in enumerate(record.gaps))
    return replace(record, gaps=gaps, forever=FADING * record.forever + (place is None))


def _with_need(record: Record, saved: float, prices: Prices) -> Record:
    worth = (record.worth * record.needs + saved) / (record.needs + 1)
    hold = best_gap(record.gaps, record.forever, worth - LEAP * prices.start)
    # Who lets go of it pays for the next start.
    keep = best_gap(record.gaps, record.forever, worth + prices.start)
    return Record(worth, min(record.needs + 1, NEEDS), record.gaps, record.forever, hold, keep)


def best_gap(gaps: tuple[float, ...], forever: float, worth: float) -> float:
    """Seconds for which an idle server is best kept for the next need, if being there saves `worth`; each costs one."""
    longer = sum(gaps) + forever
    least, best, waited, shorter = longer * worth, 0.0, 0.0, 0.0
    for weight, longest in zip(gaps, GAPS, strict=True):
        waited += weight * (shorter + longest) / 2
        longer -= weight
        cost = waited + longer * (longest + worth)
        if cost < least:
            least, best = cost, longest
        shorter = longest
    return best
