"""Which leases are still ours, by our own clock."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

#: Of a lease from its receive on, extensions and all.
#: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html
LONGEST = 12 * 3600
#: A second less, for what passes between their clock and ours.
MARGIN = 1
#: Beyond so many, those that have ended are forgotten.
MANY = 1000


@dataclass(frozen=True, slots=True)
class Lease:
    received_at: float
    ends_at: float


class Leases:
    """By receipt. SQS itself would let a receipt whose lease has ended still delete its message, and say nothing."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._leases: dict[str, Lease] = {}
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._leases)

    def begin(self, receipt: str, seconds: int) -> None:
        now = self._clock()
        with self._lock:
            if len(self._leases) >= MANY:
                self._leases = {name: lease for name, lease in self._leases.items() if lease.ends_at > now}
            self._leases[receipt] = Lease(now, now + seconds)

    def end(self, receipt: str) -> bool:
        """Whether it was still ours; it is not any more."""
        with self._lock:
            lease = self._leases.pop(receipt, None)
        return lease is not None and lease.ends_at > self._clock()

    def extend(self, receipt: str, seconds: int) -> int | None:
        """It ends so many seconds from now, or as late as SQS allows: how many that is. None if it had ended."""
        now = self._clock()
        with self._lock:
            lease = self._leases.get(receipt)
            if lease is None or lease.ends_at <= now:
                return None
            allowed = min(seconds, max(0, int(lease.received_at + LONGEST - MARGIN - now)))
            self._leases[receipt] = Lease(lease.received_at, now + allowed)
        return allowed

    def end_all(self) -> list[str]:
        """Receipts of those that were still ours; none is any more."""
        with self._lock:
            ended, self._leases = self._leases, {}
        now = self._clock()
        return [receipt for receipt, lease in ended.items() if lease.ends_at > now]
