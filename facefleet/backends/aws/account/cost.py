"""What a deployment costs: a month in which nothing happens, and each 1,000 images, line by line, at list prices."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Protocol

from facefleet.backends.aws.account.bill import UNKNOWN, Line, Workers, calls, of_images, paid, total, usage
from facefleet.backends.aws.account.prices import Prices, prices
from facefleet.settings import Settings

__all__ = ["Estimate", "Line", "Machines", "estimate"]

#: Hours of a month as Amazon's own calculator has them: a twelfth of a year's.
MONTH = 730.0
IMAGES = 1000
#: Of `deploy/`: each machine's disk, the metrics that alarms look at, and those that are made of log lines.
DISK_GB = 8
WATCHED, LOGGED = 9, 3


class Machines(Protocol):
    """Of a deployment's options, what is paid for."""

    @property
    def web_type(self) -> str: ...

    @property
    def controller_type(self) -> str: ...

    @property
    def credits(self) -> str:
        """`unlimited` or `standard`: without CPU credits, burstable machines pay or wait."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """`idle`: a month in which nothing happens; `busy`: 1,000 images; `notes`: what the two leave out."""

    idle: tuple[Line, ...]
    busy: tuple[Line, ...]
    notes: tuple[str, ...]

    @property
    def idle_sum(self) -> float:
        return total(self.idle)

    @property
    def busy_sum(self) -> float:
        return total(self.busy)

    @property
    def is_whole(self) -> bool:
        """Whether each line's price is known."""
        return all(line.dollars is not None for line in (*self.idle, *self.busy))

    @property
    def in_short(self) -> str:
        least = "" if self.is_whole else "at least "
        return f"{least}${self.idle_sum:.2f} a month idle, {least}${self.busy_sum:.3f} for each 1,000 images"

    @property
    def as_json(self) -> dict[str, object]:
        return asdict(self) | {"idle_sum": round(self.idle_sum, 2), "busy_sum": round(self.busy_sum, 6)}


def estimate(settings: Settings, options: Machines, *, region: str = "us-east-1") -> Estimate:
    """By what was measured of the service, and list prices of us-east-1: calls nobody."""
    listed, used = prices(), usage()
    idle = (
        *_machines(listed, settings, options),
        *_disks(listed, settings),
        Line("API key", listed.of("secret"), "a secret"),
        Line("alarms", WATCHED * listed.of("alarm"), f"on {WATCHED} metrics; the first 10 of an account are free"),
        Line("metrics", LOGGED * listed.of("metric"), f"{LOGGED} of log lines; the first 10 of an account are free"),
        *calls(used["idle_hour"], MONTH, listed),
    )
    workers = Workers(first_type(settings), settings.spot_share, options.credits == "unlimited")
    busy = of_images(used["image"], IMAGES, workers, settings.keep_days, listed)
    return Estimate(idle, busy, tuple(_notes(listed, workers, region)))


def first_type(settings: Settings) -> str:
    return settings.instance_types.partition(",")[0].strip()


def _machines(listed: Prices, settings: Settings, options: Machines) -> tuple[Line, ...]:
    address, always = listed.of("address"), settings.min_instances
    up = 2 + always
    lines = (
        _hours(listed, "web", options.web_type, 1),
        _hours(listed, "controller", options.controller_type, 1),
        _hours(listed, "workers that always run", first_type(settings), always),
        Line("public addresses", up * address * MONTH, f"{up} at ${address:g} an hour"),
    )
    return paid(lines)


def _hours(listed: Prices, what: str, kind: str, count: int) -> Line:
    price = listed.instances.get(kind)
    if price is None:
        return Line(what, None if count else 0.0, UNKNOWN.format(kind))
    return Line(what, count * price.hour * MONTH, f"{count} {kind} at ${price.hour:g} an hour")


def _disks(listed: Prices, settings: Settings) -> tuple[Line, ...]:
    each = DISK_GB * listed.of("disk")
    up = 2 + settings.min_instances
    pool = min(max(settings.warm_pool, settings.warm_least), settings.instances_at_most - settings.min_instances)
    image = DISK_GB * listed.of("snapshot")
    lines = (
        Line("disks", up * each, f"{up} of {DISK_GB} GB, of what always runs"),
        Line("stopped workers", pool * each, f"{pool} disks of {DISK_GB} GB, once so many have worked"),
        Line("machine image", image, f"a snapshot, {DISK_GB} GB at most"),
    )
    return paid(lines)


def _notes(listed: Prices, workers: Workers, region: str) -> Iterable[str]:
    yield "List prices without tax and free allowances; prices.toml tells where each was read, and when."
    if region != listed.region:
        yield f"These are prices of {listed.region}: those of {region} are others, mostly higher."
    yield (
        "For 1,000 images: workers whose vCPUs are all busy. Each start is paid for besides: a minute at least, "
        "and the wait for more work."
    )
    price = listed.instances.get(workers.kind)
    if price is not None and price.baseline < 1 and not workers.unlimited:
        yield f"A {workers.kind} starts without CPU credits, and then works at {price.baseline:.0%} of its speed."
