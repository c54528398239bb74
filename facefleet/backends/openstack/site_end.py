"""A site taken away: what carries its mark, and nothing else; not while others' servers use it."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from openstack.exceptions import NotFoundException

from facefleet.backends.openstack.refusals import translated
from facefleet.backends.openstack.site import KINDS, Site, Step, part_of
from facefleet.errors import Conflict

#: Seconds until a server counts as one that does not go.
PATIENCE = 180.0
#: And between two looks whether it is gone.
LOOK = 0.5
#: What Nova's ports belong to.
COMPUTE = "compute:"
#: And a router's where a subnet is joined to it, as neutron made it: plain, distributed, or on several hosts.
#: https://docs.openstack.org/api-ref/network/v2/#ports
JOINED = frozenset(
    {
        "network:router_interface",
        "network:router_interface_distributed",
        "network:ha_router_replicated_interface",
    }
)


def removal(site: Site) -> list[Step]:
    """What is to be removed, in order; changes nothing. Raises `Conflict` where others use it."""
    refuse_used(site)
    return [step for kind in KINDS for one in site.all(kind) for step in _steps(site, kind, one)]


def refuse_used(site: Site) -> None:
    """Raises `Conflict` while servers that are not the site's are in its network, or in its security group."""
    with translated("looking who uses the site"):
        ports = [port for port in site.cloud.network.ports() if (port.device_owner or "").startswith(COMPUTE)]
    networks, groups = ({one.id for one in site.all(kind)} for kind in ("network", "group"))
    own = {one.id for one in site.all("server")}
    used = [port for port in ports if port.network_id in networks or groups & set(port.security_group_ids or ())]
    if others := sorted({port.device_id for port in used} - own):
        raise Conflict(
            f"others are in the site: the servers {', '.join(others)}: stop the controller, delete them "
            f"(openstack server delete {' '.join(others)}), then run it again"
        )


def _steps(site: Site, kind: str, one: Any) -> Iterator[Step]:
    part = part_of(kind, one)
    if kind == "router":
        yield Step("remove", f"the subnet at the router {part.name}", act=partial(_part_from, site, one))
    yield Step("remove", f"{WORDS.get(kind, kind)} {part.name}", part.about, partial(_remove, site, kind, one))


WORDS = {"address": "floating IP", "group": "security group", "key": "key pair"}


def _part_from(site: Site, router: Any) -> None:
    neutron = site.cloud.network
    with translated("taking subnets from the router"):
        for port in list(neutron.ports(device_id=router.id)):
            if port.device_owner in JOINED:
                neutron.remove_interface_from_router(router, None, port.id)


def _remove(site: Site, kind: str, one: Any) -> None:
    """Gone already is no error: a server takes its port along where Nova made it."""
    neutron, nova = site.cloud.network, site.cloud.compute
    deletes: dict[str, Any] = {
        "address": neutron.delete_ip,
        "server": nova.delete_server,
        "port": neutron.delete_port,
        "router": neutron.delete_router,
        "subnet": neutron.delete_subnet,
        "network": neutron.delete_network,
        "group": neutron.delete_security_group,
        "key": nova.delete_keypair,
    }
    with translated(f"removing {kind} {one.name}"):
        try:
            deletes[kind](one)
            if kind == "server":
                nova.wait_for_delete(one, interval=LOOK, wait=PATIENCE)
        except NotFoundException:
            return
