"""What is learned from what was seen: how long instances take to come, how long a job takes, what all of it cost."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from facefleet.model import Heartbeat, Instance, InstanceState, Start

#: Share of what is new in a mean: RFC 6298, section 2, has found it good for round trips.
MEAN_SHARE = 1 / 8
MINUTE, HOUR_MINUTES = 60.0, 60
#: A machine that is stopped, or about to be, is not paid for.
UNPAID = (InstanceState.STOPPING, InstanceState.STOPPED)


@dataclass(frozen=True, slots=True)
class Average:
    """A mean that follows what is new. `count` of them were seen."""

    mean: float = 0.0
    count: int = 0

    def seeing(self, value: float, count: int = 1) -> "Average":
        """`value`: the mean of so many new ones."""
        if self.count == 0:
            return Average(value, count)
        return Average(self.mean + _share(MEAN_SHARE, count) * (value - self.mean), self.count + count)


def _share(one: float, count: int) -> float:
    """Of so many at once, as if they had come one by one."""
    return one if count == 1 else 1 - (1 - one) ** count


@dataclass(frozen=True, slots=True)
class Estimates:
    """`launch`, `pool`: seconds from asking for an instance until it works. `done`: jobs ended so far."""

    launch: Average = Average()
    pool: Average = Average()
    service: Average = Average()
    done: int = 0

    def boot(self, start: Start) -> Average:
        return self.launch if start is Start.LAUNCH else self.pool

    def booted(self, boots: Iterable[tuple[Start, float]]) -> "Estimates":
        launch, pool = self.launch, self.pool
        for start, seconds in boots:
            if start is Start.LAUNCH:
                launch = launch.seeing(seconds)
            else:
                pool = pool.seeing(seconds)
        return replace(self, launch=launch, pool=pool)

    def worked(
        self, before: Mapping[str, Heartbeat], workers: Iterable[Heartbeat], crew: Callable[[str], int] = lambda _: 1
    ) -> "Estimates":
        """With what each worker has done since; what one did between its last word and its end, nobody counts.

        `crew`: how many work on a worker's instance. Together they take so much less for a job.
        """
        jobs, seconds = 0, 0.0
        for worker in workers:
            last = before.get(worker.id)
            if last is worker or (last is not None and last.jobs == worker.jobs and last.since == worker.since):
                continue
            # One that began anew counts from zero again.
            known = last is not None and last.since == worker.since and last.jobs <= worker.jobs
            jobs += worker.jobs - (last.jobs if known and last else 0)
            took = worker.jobs * worker.service_seconds
            took -= last.jobs * last.service_seconds if known and last else 0.0
            seconds += took / crew(worker.id)
        if jobs <= 0:
            return self
        return replace(self, done=self.done + jobs, service=self.service.seeing(max(0.0, seconds / jobs), jobs))


@dataclass(frozen=True, slots=True)
class Bill:
    """Instance-seconds paid until `at`: in all, and in each minute of the last hour, as (minute, seconds)."""

    total: float = 0.0
    at: float = 0.0
    minutes: tuple[tuple[int, float], ...] = field(default=())

    @property
    def hour(self) -> float:
        return sum(seconds for _, seconds in self.minutes)

    def adding(self, seconds: float, now: float) -> "Bill":
        """What came to be paid since `at`. Of a longer time, as after a sleep, each minute gets its share."""
        if self.at and now - self.at > 2 * MINUTE:
            return self._spread(seconds, now)
        minute, minutes = int(now // MINUTE), self.minutes
        if seconds:
            if minutes and minutes[-1][0] == minute:
                minutes = (*minutes[:-1], (minute, minutes[-1][1] + seconds))
            else:
                minutes = (*minutes, (minute, seconds))
        if minutes and minutes[0][0] <= minute - HOUR_MINUTES:
            minutes = tuple(m for m in minutes if m[0] > minute - HOUR_MINUTES)
        return Bill(self.total + seconds, now, minutes)

    def _spread(self, seconds: float, now: float) -> "Bill":
        first, last = int(self.at // MINUTE) + 1, int(now // MINUTE)
        share, oldest = seconds / (last - first + 1), last - HOUR_MINUTES + 1
        kept = tuple(m for m in self.minutes if m[0] >= oldest)
        return Bill(
            self.total + seconds, now, kept + tuple((minute, share) for minute in range(max(first, oldest), last + 1))
        )


def running_costs(instances: Iterable[Instance], since: float, now: float, least_bill: float) -> float:
    """Instance-seconds from then to now. What is paid for each start in any case is paid when it comes."""
    return sum(
        now - max(since, one.launched_at + least_bill)
        for one in instances
        if one.launched_at + least_bill < now and one.state not in UNPAID
    )
