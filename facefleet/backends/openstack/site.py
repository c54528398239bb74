"""A site of ours on a private cloud, in the words of its network: what is wanted, and what there is of it."""

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, ip_network
from typing import Any

from openstack.connection import Connection

from facefleet.backends.openstack.refusals import translated
from facefleet.errors import BadSettings

#: What all that is ours is described by, from the moment that it is made on. Tags are set later, by a second call.
DESCRIPTION = "facefleet site {name}"
#: Of a server, which has no description where Nova is old.
SERVERS_MARK = "facefleet:site"
#: What rules of ours are described by: those that somebody adds by hand stay.
RULE = "facefleet"
#: Of addresses in it: none that networks commonly have.
SUBNET = "10.77.0.0/24"
#: What Nova says of a server that came to nothing.
BROKEN = "ERROR"
#: Of a site; it goes into names on the cloud.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
KEY_KINDS = ("ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521")
#: What of it can be found, and in which order it goes.
KINDS = ("address", "server", "port", "router", "subnet", "network", "group", "key")


@dataclass(frozen=True, slots=True)
class Server:
    """The relay's: what Nova is asked for, and in words."""

    asked: Mapping[str, Any]
    about: str


@dataclass(frozen=True, slots=True)
class Wish:
    """What a site is to have. None: what is there stays, and what is made is as usual.

    `public`: the network outside that its router leads to; empty: it leads nowhere. `ssh_from`: who may come in by SSH,
    as 198.51.100.0/24; nobody, unless told. `key`: a public key, as in `id_ed25519.pub`.
    """

    public: str | None = None
    subnet: str | None = None
    ssh_from: str | None = None
    key: str | None = None
    relay: Server | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """One thing of the site on the cloud."""

    kind: str
    name: str
    id: str
    about: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """`verb`: fine, make, change or remove."""

    verb: str
    what: str
    about: str = ""
    act: Callable[[], None] = field(default=lambda: None, compare=False, repr=False)


class Site:
    """What carries the mark of this name, in the project that one is signed in to."""

    def __init__(self, cloud: Connection, name: str) -> None:
        self.cloud, self.name = cloud, checked_name(name)
        self.mark = DESCRIPTION.format(name=name)

    def first(self, kind: str) -> Any:
        """The one, or the oldest where two were made at the same time; None."""
        return next(iter(self.all(kind)), None)

    def all(self, kind: str) -> list[Any]:
        with translated(f"looking for what there is of the site {self.name}"):
            return list(self._found(kind))

    def parts(self) -> list[Part]:
        return [part_of(kind, one) for kind in KINDS for one in self.all(kind)]

    def _found(self, kind: str) -> Iterator[Any]:
        if kind == "key":
            yield from (one for one in self.cloud.compute.keypairs() if is_marked(one.public_key or "", self.name))
        elif kind == "server":
            servers = self.cloud.compute.servers()
            found = [one for one in servers if (one.metadata or {}).get(SERVERS_MARK) == self.name]
            # One that works is the relay, whatever else came to nothing.
            yield from sorted(found, key=lambda one: (one.status == BROKEN, one.created_at or "", one.id))
        else:
            found = [one for one in self._of_neutron(kind) if one.description == self.mark]
            yield from sorted(found, key=lambda one: (one.created_at or "", one.id))

    def _of_neutron(self, kind: str) -> Iterator[Any]:
        neutron = self.cloud.network
        listed = {
            "address": neutron.ips,
            "port": neutron.ports,
            "router": neutron.routers,
            "subnet": neutron.subnets,
            "network": neutron.networks,
            "group": neutron.security_groups,
        }
        # An administrator would be shown everybody's.
        yield from listed[kind](project_id=self.cloud.current_project_id)


def part_of(kind: str, found: Any) -> Part:
    """A key pair is its name; an address has none but itself."""
    if kind == "key":
        return Part(kind, found.name, found.name)
    if kind == "address":
        return Part(kind, found.floating_ip_address, found.id, found.fixed_ip_address or "")
    return Part(kind, found.name, found.id, about(kind, found))


def about(kind: str, found: Any) -> str:
    if kind == "server":
        return str(found.status)
    if kind == "subnet":
        return str(found.cidr)
    if kind == "port":
        return ", ".join(one["ip_address"] for one in found.fixed_ips)
    if kind == "group":
        return f"SSH from {', '.join(ssh_from(found)) or 'nobody'}"
    return ""


def rules_of(group: Any) -> list[Any]:
    """Ours; None has none."""
    return [one for one in group.security_group_rules if one["description"] == RULE] if group else []


def ssh_from(group: Any) -> list[str]:
    """Whom our rules let in."""
    return [one["remote_ip_prefix"] for one in rules_of(group) if one["protocol"] == "tcp"]


def checked_name(name: str) -> str:
    if not NAME.fullmatch(name):
        raise BadSettings(f"{name!r} is no name of a site: letters, digits, - and _, 40 at most")
    return name


def checked_range(text: str) -> str:
    """As a cloud writes it. Raises `BadSettings`."""
    try:
        return str(ip_network(text))
    except ValueError as e:
        raise BadSettings(f"{text!r} is no range of addresses: write 198.51.100.0/24, or /32 for one") from e


def checked_subnet(text: str) -> str:
    """The same, of addresses within."""
    if not isinstance(ip_network(checked_range(text)), IPv4Network):
        raise BadSettings(f"{text!r}: within, a site has addresses of IPv4: write {SUBNET}")
    return checked_range(text)


def marked(key: str, name: str) -> str:
    """The key alone, and for its comment what says that it is ours, instead of who made it. Raises `BadSettings`."""
    words = key.split()
    if "PRIVATE" in key:
        raise BadSettings("that is a private key, which nobody is given: name the file that ends in .pub")
    try:
        kind, blob = words[:2]
        base64.b64decode(blob, validate=True)
    except (ValueError, binascii.Error) as e:
        raise BadSettings("that is no public key of SSH: name a file as ~/.ssh/id_ed25519.pub") from e
    if kind not in KEY_KINDS:
        raise BadSettings(f"a key of the kind {kind} is none that clouds take: make one with `ssh-keygen -t ed25519`")
    return f"{kind} {blob} facefleet-site-{name}"


def is_marked(key: str, name: str) -> bool:
    return key.split()[2:] == [f"facefleet-site-{name}"]
