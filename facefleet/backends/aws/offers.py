"""What may be launched on EC2: types of instances, where, and at which price."""

import hashlib
from dataclasses import dataclass
from itertools import product

from facefleet.settings import Settings


@dataclass(frozen=True, slots=True)
class Offer:
    """`subnet`: empty where the launch template says; `spot_share`: of the tokens, those that ask for spot."""

    instance_type: str
    subnet: str = ""
    spot_share: float = 0.0

    @property
    def name(self) -> str:
        """What the controller knows it by."""
        return "/".join(filter(None, (self.instance_type, self.subnet, "spot" if self.spot_share else "")))


def offers_of(settings: Settings) -> dict[str, Offer]:
    """By name, best first. With a spot share, all of them once more without: no spot capacity is not the end."""
    kinds = list(product(_listed(settings.instance_types), _listed(settings.subnets) or [""]))
    shares = dict.fromkeys((settings.spot_share, 0.0))
    offers = [Offer(kind, subnet, share) for share in shares for kind, subnet in kinds]
    return {offer.name: offer for offer in offers}


def _listed(words: str) -> list[str]:
    return [word.strip() for word in words.split(",") if word.strip()]


def is_spot(token: str, share: float) -> bool:
    """The same for the same token, so that what is asked for twice is the same both times."""
    return int(hashlib.sha256(f"spot\n{token}".encode()).hexdigest()[:8], 16) < share * 2**32
