"""What can be told of a private cloud: who signs in, whether what the settings name is there, how much room is left."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from openstack.connection import Connection
from openstack.exceptions import raise_from_response

from facefleet.backends.openstack.connection import connect, place_of
from facefleet.backends.openstack.offers import words_of
from facefleet.backends.openstack.recipe import Missing, Recipe, by_name, chosen
from facefleet.backends.openstack.refusals import translated
from facefleet.backends.openstack.servers import FLEET
from facefleet.errors import ServiceError
from facefleet.findings import Finding, Look, ok, unknown, wrong
from facefleet.settings import Settings

ABOUT = "OpenStack"
#: Seconds that the cloud's clock may be off ours: its servers have it from there, and AWS takes no signature beyond.
#: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html
MOST_SKEW = 300.0
#: Nova's number for as many as one likes: https://docs.openstack.org/nova/latest/admin/quotas.html
NO_LIMIT = -1


@dataclass(frozen=True, slots=True)
class Room:
    """`others`: what they have of `most`, without the fleet's own; `needed`: by the fleet, once it is largest."""

    what: str
    most: int
    others: int
    needed: int


class PrivateCloud:
    """The project that one signs in to."""

    def __init__(self, connection: Connection, settings: Settings) -> None:
        self._connection, self._settings = connection, settings
        self._recipe = Recipe(connection, settings)
        self.is_in = False

    def looks(self) -> Iterator[tuple[str, Look]]:
        """One after the other, as each is told: who is not let in learns nothing more."""
        yield ABOUT, self._sign_in
        if not self.is_in:
            return
        yield f"{ABOUT}'s clock", self._clock
        for about, look in {
            "image": self._image,
            "flavors": self._flavors,
            "zones": self._zones,
            "networks": self._networks,
            "key pair": self._key,
            "security groups": self._groups,
        }.items():
            yield about, _named(about, look)
        yield "quota", self._quota

    def _sign_in(self) -> Iterator[Finding]:
        cloud, place = self._connection, place_of(self._connection)
        try:
            with translated("signing in"):
                cloud.session.get_token()
                project, user = cloud.current_project.name, cloud.config.config["auth"].get("username")
        except ServiceError as e:
            yield wrong(ABOUT, f"{e}: look at {place}, and at network and proxy")
            return
        self.is_in = True
        who = f" as {user}" if user else ""
        yield ok(ABOUT, f"signed in{who} to the project {project or cloud.current_project_id}, by {place}")

    def _clock(self) -> Iterator[Finding]:
        """As the token says that we have just been given: not every keystone dates its answers."""
        session: Any = self._connection.session
        with translated("reading when keystone issued the token"):
            yield clock(time.time() - session.auth.get_access(session).issued.timestamp())

    def _image(self) -> str:
        return f"{self._settings.openstack_image}, {self._recipe.image()}"

    def _flavors(self) -> str:
        return ", ".join(f"{one.name} ({one.vcpus} vCPU, {one.ram} MB)" for one in self._named_flavors())

    def _named_flavors(self) -> list[Any]:
        """As the settings name them; raises `Missing`."""
        with translated("looking for flavors"):
            known = {one.id: one for one in self._connection.compute.flavors()}
        ids, words = by_name(known.values()), words_of(self._settings.openstack_flavors)
        if not words:
            raise Missing("FACEFLEET_OPENSTACK_FLAVORS names none")
        return [known[chosen("FLAVORS", word, ids)] for word in words]

    def _zones(self) -> str:
        if not (words := words_of(self._settings.openstack_zones)):
            return "any"
        with translated("looking for availability zones"):
            there = [one.name for one in self._connection.compute.availability_zones() if one.state["available"]]
        return _all_there("ZONES", words, {name: f"zone {name}" for name in there})

    def _networks(self) -> str:
        found = self._recipe.networks()
        if found == "auto":
            return "none named: Nova takes the project's own, where there is one alone"
        return self._settings.openstack_networks

    def _key(self) -> str:
        if not (word := self._settings.openstack_key):
            return "none: nobody comes in by SSH"
        with translated("looking for key pairs"):
            there = {one.name: f"key {one.name}" for one in self._connection.compute.keypairs()}
        return _all_there("KEY", [word], there)

    def _groups(self) -> str:
        if not (words := words_of(self._settings.openstack_groups)):
            return "none named: the project's default"
        with translated("looking for security groups"):
            # An administrator would be shown everybody's.
            found = self._connection.network.security_groups(project_id=self._connection.current_project_id)
            return _all_there("GROUPS", words, by_name(found))

    def _quota(self) -> Iterator[Finding]:
        try:
            best = self._named_flavors()[0]
        except Missing:
            yield unknown("quota", "what is needed is not known: first name flavors that there are")
            return
        with translated("looking at the quota"):
            limits = self._limits()
            ours = [one for one in self._connection.compute.servers() if self._is_ours(one)]
        n = min(self._settings.clouds["openstack"], self._settings.instances_at_most)
        cores, ram = (sum(getattr(one.flavor, of) or 0 for one in ours) for of in ("vcpus", "ram"))
        yield enough(Room("instances", limits["maxTotalInstances"], limits["totalInstancesUsed"] - len(ours), n))
        yield enough(Room("cores", limits["maxTotalCores"], limits["totalCoresUsed"] - cores, n * best.vcpus))
        yield enough(Room("MB of memory", limits["maxTotalRAMSize"], limits["totalRAMUsed"] - ram, n * best.ram))

    def _limits(self) -> dict[str, int]:
        """In Nova's words: the library's own warn of fields that nobody asked for."""
        answer = self._connection.compute.get("/limits")
        raise_from_response(answer)
        limits: dict[str, int] = answer.json()["limits"]["absolute"]
        return limits

    def _is_ours(self, server: Any) -> bool:
        return (server.metadata or {}).get(FLEET) == self._settings.instance_name


def open_cloud(settings: Settings) -> PrivateCloud:
    """Makes no call; raises `BadSettings` where there is no cloud, or nothing to sign in to it with."""
    return PrivateCloud(connect(settings), settings)


def _named(about: str, look: Callable[[], str]) -> Look:
    """That a setting names what there is not is wrong; all else that keeps one from looking, nobody's fault here."""

    def finding() -> Iterator[Finding]:
        try:
            yield ok(about, look())
        except Missing as e:
            yield wrong(about, f"{e}: correct it")

    return finding


def _all_there(setting: str, words: Iterable[str], there: dict[str, str]) -> str:
    for word in words:
        chosen(setting, word, there)
    return ", ".join(words)


def clock(skew: float) -> Finding:
    """`skew`: seconds that our clock is ahead of keystone's."""
    about = f"{ABOUT}'s clock"
    if abs(skew) > MOST_SKEW:
        side = "behind" if skew > 0 else "ahead of"
        return wrong(about, f"{abs(skew):.0f} s {side} ours: workers there may be as far off, so set both, by NTP")
    return ok(about, f"within {max(1.0, abs(skew)):.0f} s of ours")


def enough(room: Room) -> Finding:
    about = f"quota, {room.what}"
    if room.most == NO_LIMIT:
        return ok(about, f"no limit; {room.needed} are needed at most")
    left = f"{room.most - room.others} of {room.most} are left to the fleet, and {room.needed} are needed at most"
    if room.needed > room.most - room.others:
        return wrong(about, f"{left}: ask the cloud's operator for more, or lower openstack's in FACEFLEET_FLEETS")
    return ok(about, left)
