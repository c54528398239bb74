"""The workers of a simulated fleet, and the queue before them: who takes which job when.

Jobs are taken in order of arrival, each by the worker that is idle longest, as long polls make it. Then nothing need
be simulated between two events of the fleet but one recursion: a job starts when it has arrived and a worker is free
(Kiefer and Wolfowitz, *On the theory of queues with many servers*, 1955). A heap of the times at which workers become
free does it.
"""

from bisect import bisect_right
from collections.abc import Sequence
from heapq import heapify, heappop, heappush, heapreplace

import numpy as np

from controller.simulation.traces import Floats


class Crowd:
    """Workers are numbers, from 0 in the order in which they came. Times are seconds and never run back."""

    def __init__(self, arrivals: Sequence[float], services: Sequence[float]) -> None:
        """`services`: seconds that each job takes."""
        self._arrivals = list(arrivals)
        self._services = list(services)
        self._waits = [0.0] * len(self._arrivals)
        self._next = 0
        #: Those that take jobs: (when it is free, which).
        self._free: list[tuple[float, int]] = []
        #: Those that take none any more: when each is through with the job in hand.
        self._finishing: dict[int, float] = {}
        #: Cut-off jobs: (when the lease ends, which).
        self._returning: list[tuple[float, int]] = []
        self.jobs: list[int] = []
        self._job: list[int] = []

    @property
    def waits(self) -> Floats:
        """Seconds from each job's arrival to the start of the service that ended well."""
        return np.array(self._waits)

    @property
    def through(self) -> bool:
        """Whether every job was started, and none is to come again."""
        return self._next == len(self._arrivals) and not self._returning

    @property
    def next_arrival(self) -> float:
        return self._arrivals[self._next] if self._next < len(self._arrivals) else float("inf")

    @property
    def next_job(self) -> float:
        """When the next job may be taken, be it a new one or one that was cut off."""
        return min(self.next_arrival, self._returning[0][0] if self._returning else float("inf"))

    @property
    def last_arrival(self) -> float:
        return self._arrivals[-1] if self._arrivals else 0.0

    def oldest(self, at: float) -> float | None:
        """When the first job came that nobody has taken yet; None where nobody waits."""
        return self.next_arrival if self.next_arrival <= at else None

    def join(self, at: float) -> int:
        """A worker more, free from now on; returns its number."""
        number = len(self.jobs)
        self.jobs.append(0)
        self._job.append(-1)
        heappush(self._free, (at, number))
        return number

    def leave(self, numbers: Sequence[int], at: float) -> dict[int, float]:
        """These take no more; returns when each is through with the job in hand, now if it has none."""
        going = set(numbers)
        ends = {number: max(free, at) for free, number in self._free if number in going}
        self._free = [entry for entry in self._free if entry[1] not in going]
        heapify(self._free)
        self._finishing.update({number: end for number, end in ends.items() if end > at})
        return ends

    def cut_off(self, number: int, at: float, comes_again: float) -> bool:
        """This one is gone; True if it had a job in hand, which comes again after its lease."""
        ends = self.leave([number], at)
        end = self._finishing.pop(number, ends.get(number, at))
        if end <= at:
            return False
        self.jobs[number] -= 1
        heappush(self._returning, (comes_again, self._job[number]))
        return True

    def serve(self, to: float) -> None:
        """Everything that starts up to that time."""
        while self._returning and self._returning[0][0] <= to:
            # It waits before all others: its worker is the next that is free.
            again, job = self._returning[0]
            self._serve(again)
            if not self._free or max(self._free[0][0], again) > to:
                return
            heappop(self._returning)
            self._take(job, max(self._free[0][0], again))
        self._serve(to)

    def _serve(self, to: float) -> None:
        free, arrivals, services, waits = self._free, self._arrivals, self._services, self._waits
        job, jobs, i, count = self._job, self.jobs, self._next, len(self._arrivals)
        while free and i < count:
            arrival = arrivals[i]
            start, number = free[0]
            if arrival > start:
                start = arrival
            if start > to:
                break
            heapreplace(free, (start + services[i], number))
            waits[i] = start - arrival
            job[number] = i
            jobs[number] += 1
            i += 1
        self._next = i

    def _take(self, job: int, start: float) -> None:
        number = self._free[0][1]
        heapreplace(self._free, (start + self._services[job], number))
        self._waits[job] = start - self._arrivals[job]
        self._job[number] = job
        self.jobs[number] += 1

    def busy(self, at: float) -> set[int]:
        """Who has a job in hand."""
        self._finishing = {number: end for number, end in self._finishing.items() if end > at}
        return {number for free, number in self._free if free > at} | self._finishing.keys()

    def waiting(self, at: float) -> int:
        """Jobs that have arrived, and nobody has taken yet."""
        here = bisect_right(self._arrivals, at, lo=self._next) - self._next
        return here + sum(again <= at for again, _ in self._returning)

    def leased(self, at: float) -> int:
        """Cut-off jobs whose lease has not ended."""
        return sum(again > at for again, _ in self._returning)
