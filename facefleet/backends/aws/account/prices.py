"""AWS's list prices, as `prices.toml` has them: each with its unit, its day and where it was read."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any

FILE = "prices.toml"


@dataclass(frozen=True, slots=True)
class Source:
    """`official`: Amazon's own words or price list, and not somebody's who read them; `day`: of what was read."""

    url: str
    official: bool
    what: str
    day: date | None = None


@dataclass(frozen=True, slots=True)
class Price:
    """`each`: dollars for one of the unit."""

    each: float
    unit: str
    source: Source


@dataclass(frozen=True, slots=True)
class InstancePrice:
    """Dollars an hour. `spot`: of some day, and no list price.

    `baseline`: share of each vCPU that is always in the price; beyond it an hour of a vCPU costs `surplus`.
    """

    vcpus: int
    hour: float
    spot: float
    baseline: float = 1.0
    surplus: float = 0.0

    def vcpu_hour(self, *, spot: bool = False) -> float:
        """Of one vCPU, where all of them are busy; surplus credits are not in it."""
        return (self.spot if spot else self.hour) / self.vcpus

    @property
    def surplus_hour(self) -> float:
        """What a vCPU that is busy for an hour costs beyond the price of its instance."""
        return (1 - self.baseline) * self.surplus


@dataclass(frozen=True, slots=True)
class Prices:
    region: str
    prices: Mapping[str, Price]
    instances: Mapping[str, InstancePrice]
    sources: Mapping[str, Source]

    def of(self, what: str) -> float:
        """Dollars for one."""
        return self.prices[what].each


@cache
def prices() -> Prices:
    found = tomllib.loads(files(__package__).joinpath(FILE).read_text())
    sources = {name: Source(**source) for name, source in found["sources"].items()}
    return Prices(
        found["region"],
        {name: _price(price, sources) for name, price in found["prices"].items()},
        {name: InstancePrice(**instance) for name, instance in found["instances"].items()},
        sources,
    )


def _price(found: Mapping[str, Any], sources: Mapping[str, Source]) -> Price:
    return Price(found["dollars"] / found["per"], found["unit"], sources[found["source"]])
