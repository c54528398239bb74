"""What servers are made of, as the settings name it and as the cloud has it now."""

import base64
import hashlib
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from threading import Lock
from typing import Any

from facefleet.backends.openstack.offers import Offer, offers_of, words_of
from facefleet.backends.openstack.refusals import translated
from facefleet.backends.openstack.user_data import MOST_USER_DATA
from facefleet.errors import NoCapacity, ServiceError
from facefleet.settings import Settings

log = logging.getLogger(__name__)

#: Seconds for which an answer is taken as it was: an image that was replaced is known a minute later.
ASK_EVERY = 60.0
#: Names in a message that tells what there is.
MOST_NAMES = 10


class Missing(NoCapacity):
    """A setting names what the cloud does not have: correct it. Until then others on offer may do."""

    code = "bad_settings"


@dataclass(frozen=True, slots=True)
class Known:
    """What the names stand for. `networks`: as Nova takes them; `user_data`: in base64."""

    image: str
    flavors: dict[str, str]
    networks: str | list[dict[str, str]]
    user_data: str


class Recipe:
    """Looks names up, once a minute. Threads may share it."""

    def __init__(self, connection: Any, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._connection, self._settings, self._clock = connection, settings, clock
        self._lock = Lock()
        self._known: Known | None = None
        self._asked_at = self._failed_at = float("-inf")
        self._is_told = False

    def of(self, offer: Offer) -> dict[str, Any]:
        """What Nova is asked for; raises `Missing`, which names the setting and what there is instead."""
        known, settings = self._looked_up(), self._settings
        asked: dict[str, Any] = {
            "image_id": known.image,
            "flavor_id": chosen("FLAVORS", offer.flavor, known.flavors),
            "networks": known.networks,
        }
        if known.user_data:
            asked["user_data"] = known.user_data
        if offer.zone:
            asked["availability_zone"] = offer.zone
        if settings.openstack_key:
            asked["key_name"] = settings.openstack_key
        if groups := words_of(settings.openstack_groups):
            asked["security_groups"] = [{"name": group} for group in groups]
        return asked

    def version(self, offer: Offer) -> str:
        """What a server of this offer is made of, in a word."""
        known, settings = self._looked_up(), self._settings
        parts = (known.image, offer.flavor, known.networks, settings.openstack_key, settings.openstack_groups)
        return hashlib.sha256(repr((*parts, known.user_data)).encode()).hexdigest()[:16]

    def versions(self) -> frozenset[str] | None:
        """Of all that is made now; None where nobody knows, which is told once, and not asked again at each look."""
        if 0 <= self._clock() - self._failed_at < ASK_EVERY:
            return None
        try:
            versions = frozenset(self.version(offer) for offer in offers_of(self._settings).values())
        except ServiceError as e:
            # Who is replaced for nothing costs a start; who stays a while longer, nothing.
            log.log(logging.DEBUG if self._is_told else logging.WARNING, "nobody knows who is stale: %s", e)
            self._is_told, self._failed_at = True, self._clock()
            return None
        self._is_told = False
        return versions

    def _looked_up(self) -> Known:
        with self._lock:
            if self._known is None or not 0 <= self._clock() - self._asked_at < ASK_EVERY:
                self._known = None
                self._known = self._look_up()
                self._asked_at = self._clock()
            return self._known

    def _look_up(self) -> Known:
        with translated("looking for flavors"):
            flavors = by_name(self._connection.compute.flavors(details=False))
        return Known(self.image(), flavors, self.networks(), self._user_data())

    def image(self) -> str:
        """Its id; of several of one name the newest: so images are replaced. Raises `Missing`."""
        word = self._settings.openstack_image
        with translated("looking for images"):
            active = list(self._connection.image.images(status="active"))
        found = [one for one in active if word in (one.name, one.id)]
        if not found:
            raise Missing(_nothing("IMAGE", word, (one.name for one in active)))
        return str(max(found, key=lambda one: (one.created_at or "", one.id)).id)

    def networks(self) -> str | list[dict[str, str]]:
        """As Nova takes them; raises `Missing`."""
        words = words_of(self._settings.openstack_networks)
        if words in ([], ["none"]):
            return words[0] if words else "auto"
        with translated("looking for networks"):
            found = by_name(self._connection.network.networks())
        return [{"uuid": chosen("NETWORKS", word, found)} for word in words]

    def _user_data(self) -> str:
        if (path := self._settings.openstack_user_data) is None:
            return ""
        try:
            text = base64.b64encode(path.read_bytes()).decode()
        except OSError as e:
            raise Missing(f"FACEFLEET_OPENSTACK_USER_DATA: {path} cannot be read: {e.strerror}") from e
        if len(text) > MOST_USER_DATA:
            raise Missing(
                f"FACEFLEET_OPENSTACK_USER_DATA: {path} is too large: Nova takes {MOST_USER_DATA * 3 // 4} bytes"
            )
        return text


def by_name(found: Iterable[Any]) -> dict[str, str]:
    """Ids, by name and by id; a name that two have is none."""
    names, ids = dict[str, str](), dict[str, str]()
    for one in found:
        names[one.name] = "" if one.name in names else one.id
        ids[one.id] = one.id
    return names | ids


def chosen(setting: str, word: str, found: dict[str, str]) -> str:
    """The id of what a setting names; raises `Missing`."""
    if word not in found:
        raise Missing(_nothing(setting, word, (name for name, id in found.items() if name != id)))
    if not found[word]:
        raise Missing(f"FACEFLEET_OPENSTACK_{setting}: {word!r} is the name of several: give the id of one")
    return found[word]


def _nothing(setting: str, word: str, names: Iterable[str]) -> str:
    there = sorted({name for name in names if name})
    known = ", ".join(there[:MOST_NAMES]) + (", …" if len(there) > MOST_NAMES else "")
    return f"FACEFLEET_OPENSTACK_{setting}: there is no {word!r} in this cloud; there is {known or 'nothing'}"
