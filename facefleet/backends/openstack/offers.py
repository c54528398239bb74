"""What may be launched on OpenStack: flavors, and where."""

from dataclasses import dataclass
from itertools import product

from facefleet.settings import Settings


@dataclass(frozen=True, slots=True)
class Offer:
    """`zone`: empty where Nova may choose."""

    flavor: str
    zone: str = ""

    @property
    def name(self) -> str:
        """What the controller knows it by."""
        return f"{self.flavor}/{self.zone}" if self.zone else self.flavor


def offers_of(settings: Settings) -> dict[str, Offer]:
    """By name, best first: a flavor in every zone, and then the next."""
    kinds = product(words_of(settings.openstack_flavors), words_of(settings.openstack_zones) or [""])
    offers = (Offer(flavor, zone) for flavor, zone in kinds)
    return {offer.name: offer for offer in offers}


def words_of(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]
