"""The ledger kept, under a lease: of several controllers, one writes, and the others stand by."""

import json
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Protocol

from controller.ledger import GARBAGE, Ledger, dump_ledger, load_ledger
from facefleet import keys
from facefleet.errors import BadMessage, Conflict, NotFound

log = logging.getLogger(__name__)

#: So long a lease lasts that nobody renews. A controller that was killed is followed by one of another host this late.
LEASE = 60.0


class LostLease(Conflict):
    """Another controller leads now: this one ends, and stands by when it is started again."""

    code = "lost_lease"


@dataclass(frozen=True, slots=True)
class Lease:
    """`epoch` rises with each taking over, so that one who led before is known by it."""

    holder: str = ""
    epoch: int = 0
    until: float = 0.0

    def taken(self, holder: str, now: float) -> "Lease | None":
        """By this one from now on; None while it is another's."""
        # Clocks of hosts differ somewhat; a lease that ends much later than any could is of a clock set back since.
        if self.holder not in ("", holder) and now < self.until <= now + 2 * LEASE:
            return None
        return Lease(holder, self.epoch + 1, now + LEASE)


class Shelf(Protocol):
    """What a store needs of blobs."""

    def tagged(self, key: str) -> tuple[bytes, str]: ...

    def put_if(self, key: str, data: bytes, *, tag: str | None) -> str: ...


class Store:
    """`holder`: whose lease it is. Only one process at a time may use a name: on a host, a lock sees to that."""

    def __init__(self, shelf: Shelf, holder: str, clock: Callable[[], float]) -> None:
        self._shelf = shelf
        self._holder = holder
        self._clock = clock
        self._tag: str | None = None
        self._kept = Ledger()
        self.lease = Lease()

    def look(self) -> Ledger:
        """The ledger as it is now, whoever leads."""
        return self._read()[1]

    def take(self) -> Ledger | None:
        """Leads from now on, with the ledger as it was left; None while another does, whom `lease` then names."""
        found, ledger = self._read()
        lease = found.taken(self._holder, self._clock())
        if lease is None:
            self.lease = found
            return None
        try:
            self._write(lease, ledger)
        except Conflict:
            return None
        return ledger

    def save(self, ledger: Ledger) -> None:
        """Renews the lease with it; raises `LostLease`."""
        self._put(self.lease.holder, self._clock() + LEASE, ledger)

    def assure(self) -> None:
        """Still leads: a lease that ended while this process was paused is renewed. Raises `LostLease`."""
        if self._clock() >= self.lease.until:
            self.save(self._kept)

    def leave(self, ledger: Ledger) -> None:
        """Saves, and lets go of the lease, so that the next need not wait for its end."""
        self._put("", 0.0, ledger)

    def _put(self, holder: str, until: float, ledger: Ledger) -> None:
        lease = Lease(holder, self.lease.epoch, until)
        try:
            self._write(lease, ledger)
        except Conflict as e:
            # A write whose answer was lost looks the same, and is not: what lies there then is of our own epoch.
            if self._read()[0].epoch != self.lease.epoch:
                raise LostLease("another controller leads now: this one ends, and stands by once started again") from e
            self._write(lease, ledger)

    def _read(self) -> tuple[Lease, Ledger]:
        try:
            data, self._tag = self._shelf.tagged(keys.CONTROLLER)
        except NotFound:
            self._tag = None
            return Lease(), Ledger()
        try:
            body = json.loads(data)
            lease = Lease(**body["lease"])
        except GARBAGE as e:
            return Lease(), _anew(e)
        try:
            return lease, load_ledger(body["ledger"])
        except (BadMessage, *GARBAGE) as e:
            # It may be of a newer controller, which leads: whoever cannot read it waits all the same.
            return lease, _anew(e)

    def _write(self, lease: Lease, ledger: Ledger) -> None:
        data = json.dumps({"lease": asdict(lease), "ledger": dump_ledger(ledger)}).encode()
        self._tag = self._shelf.put_if(keys.CONTROLLER, data, tag=self._tag)
        self.lease, self._kept = lease, ledger


def _anew(error: Exception) -> Ledger:
    log.warning("the saved ledger cannot be read (%s): beginning anew", error)
    return Ledger()
