"""A site made: network, subnet, router, security group, key pair, and the relay's server with its address.

A step for each, planned before any is done. Each looks for what the ones before it made when it is its turn. Run again,
it finds that all is fine; what a killed run left, it goes on with.
"""

from collections.abc import Iterator
from typing import Any

from openstack.exceptions import ResourceFailure, ResourceTimeout

from facefleet.backends.openstack.refusals import QUOTA, translated
from facefleet.backends.openstack.site import (
    BROKEN,
    RULE,
    SERVERS_MARK,
    SUBNET,
    Server,
    Site,
    Step,
    Wish,
    checked_range,
    checked_subnet,
    marked,
    rules_of,
    ssh_from,
)
from facefleet.backends.openstack.site_found import gateway_of, public_network, refuse_taken
from facefleet.errors import BadSettings, NoCapacity, ServiceError, Unavailable

#: Seconds until a server is given up that is being made; an image of some GB has to come to its host first.
PATIENCE = 600.0
#: Seconds between two looks whether it is made, or gone.
LOOK = 0.5


def plan(site: Site, wish: Wish) -> list[Step]:
    """What `up` does, in order; changes nothing. Raises `BadSettings` for what the cloud does not have."""
    making = Making(site, wish)
    return [*making.network(), *making.key(), *making.relay()]


class Making:
    def __init__(self, site: Site, wish: Wish) -> None:
        self.site, self.wish = site, wish
        # One signs in here, where nobody has yet.
        with translated("looking for the cloud's networks"):
            self.neutron = site.cloud.network
        self.ours = {"name": site.name, "description": site.mark}

    # The network

    def network(self) -> Iterator[Step]:
        site = self.site
        if site.first("network"):
            yield Step("fine", f"network {site.name}")
        else:
            yield Step("make", f"network {site.name}", "", lambda: self._call(self.neutron.create_network, **self.ours))
        yield self._subnet()
        yield self._router()
        yield self._interface()
        yield from self._group()

    def _subnet(self) -> Step:
        found, wanted = self.site.first("subnet"), checked_subnet(self.wish.subnet or SUBNET)
        if found is None:
            return Step("make", f"subnet {wanted}", "", lambda: self._make_subnet(wanted))
        if self.wish.subnet and found.cidr != wanted:
            raise BadSettings(
                f"the site's subnet is {found.cidr}, and cannot become {wanted}: `facefleet site down` first"
            )
        return Step("fine", f"subnet {found.cidr}")

    def _make_subnet(self, cidr: str) -> None:
        network = self.site.first("network").id
        self._call(self.neutron.create_subnet, network_id=network, ip_version=4, cidr=cidr, **self.ours)

    def _router(self) -> Step:
        found, what = self.site.first("router"), f"router {self.site.name}"
        if found is not None and self.wish.public is None:
            return Step("fine", what)
        outside = public_network(self.site.cloud, self.wish.public)
        gateway = {"network_id": outside.id} if outside else None
        leads = f"leads to {outside.name}" if outside else "leads nowhere"
        if found is None:
            return Step("make", what, leads, lambda: self._make_router(gateway))
        if gateway_of(found) == (outside and outside.id):
            return Step("fine", what)
        return Step("change", what, leads, lambda: self._lead(found, gateway))

    def _make_router(self, gateway: dict[str, str] | None) -> None:
        self._call(self.neutron.create_router, **self.ours, **({"external_gateway_info": gateway} if gateway else {}))

    def _lead(self, router: Any, gateway: dict[str, str] | None) -> None:
        self._call(self.neutron.update_router, router, external_gateway_info=gateway or {})

    def _interface(self) -> Step:
        what, router, subnet = "the subnet at the router", self.site.first("router"), self.site.first("subnet")
        if router and subnet and self._leads_to(router, subnet):
            return Step("fine", what)
        return Step("make", what, "", self._join)

    def _leads_to(self, router: Any, subnet: Any) -> bool:
        with translated("looking at the router's interfaces"):
            ports = list(self.neutron.ports(device_id=router.id))
        return any(address["subnet_id"] == subnet.id for port in ports for address in port.fixed_ips)

    def _join(self) -> None:
        router, subnet = self.site.first("router"), self.site.first("subnet")
        self._call(self.neutron.add_interface_to_router, router, subnet.id)

    # Who may come in

    def _group(self) -> Iterator[Step]:
        found, what = self.site.first("group"), f"security group {self.site.name}"
        if found is None:
            yield Step("make", what, "", lambda: self._call(self.neutron.create_security_group, **self.ours))
        else:
            yield Step("fine", what)
        if any(one["protocol"] == "icmp" for one in rules_of(found)):
            yield Step("fine", "ICMP")
        else:
            yield Step("make", "ICMP", "", lambda: self._allow(protocol="icmp", ethertype="IPv4"))
        if self.wish.ssh_from is not None:
            yield self._ssh(found, checked_range(self.wish.ssh_from))

    def _ssh(self, group: Any, wanted: str) -> Step:
        open_to = ssh_from(group)
        if open_to == [wanted]:
            return Step("fine", "SSH", f"from {wanted}")
        about = f"from {wanted}" + (f", no longer from {', '.join(open_to)}" if open_to else "")
        return Step("change" if open_to else "make", "SSH", about, lambda: self._open(wanted))

    def _open(self, wanted: str) -> None:
        """To the new ones first: who is at work there is not locked out if this breaks off."""
        those = [one for one in rules_of(self.site.first("group")) if one["protocol"] == "tcp"]
        if not any(one["remote_ip_prefix"] == wanted for one in those):
            ssh = {"port_range_min": 22, "port_range_max": 22, "remote_ip_prefix": wanted}
            self._allow(protocol="tcp", ethertype="IPv6" if ":" in wanted else "IPv4", **ssh)
        for one in those:
            if one["remote_ip_prefix"] != wanted:
                self._call(self.neutron.delete_security_group_rule, one["id"])

    def _allow(self, **rule: Any) -> None:
        ours = {"security_group_id": self.site.first("group").id, "direction": "ingress", "description": RULE}
        self._call(self.neutron.create_security_group_rule, **ours, **rule)

    # Who comes in

    def key(self) -> Iterator[Step]:
        if self.wish.key is None:
            return
        wanted, found = marked(self.wish.key, self.site.name), self.site.first("key")
        if found is None:
            refuse_taken(self.site.cloud, self.site.name)
        if found is not None and found.public_key.split() == wanted.split():
            yield Step("fine", f"key pair {self.site.name}")
            return
        verb = "change" if found is not None else "make"
        yield Step(verb, f"key pair {self.site.name}", "the public key alone", lambda: self._make_key(wanted))

    def _make_key(self, wanted: str) -> None:
        nova = self.site.cloud.compute
        if found := self.site.first("key"):
            self._call(nova.delete_keypair, found)
        self._call(nova.create_keypair, name=self.site.name, public_key=wanted)

    # The relay

    def relay(self) -> Iterator[Step]:
        if self.wish.relay is None:
            return
        server, found = self.wish.relay, self.site.first("server")
        what = f"server {self.site.name}-relay"
        if found is not None and found.status != BROKEN:
            yield Step("fine", what)
        else:
            self._refuse_without_key()
            yield Step("change" if found else "make", what, server.about, lambda: self._make_server(server))
        if self.wish.public == "" or (self.wish.public is None and self._leads_nowhere()):
            return
        if self.site.first("address"):
            yield Step("fine", "floating IP")
        else:
            yield Step("make", "floating IP", "", self._make_address)

    def _refuse_without_key(self) -> None:
        """A server is given its key when it is made, and never again."""
        if self.wish.key is None and self.site.first("key") is None:
            raise BadSettings("nobody could come into the relay's server: name your public key, --key ~/.ssh/id.pub")

    def _leads_nowhere(self) -> bool:
        router = self.site.first("router")
        return router is not None and gateway_of(router) is None

    def _make_server(self, server: Server) -> None:
        nova = self.site.cloud.compute
        for failed in (one for one in self.site.all("server") if one.status == BROKEN):
            self._call(nova.delete_server, failed)
            with translated("waiting until the failed server is gone"):
                nova.wait_for_delete(failed, interval=LOOK, wait=PATIENCE)
        key = self.site.first("key")
        asked = {**server.asked, "networks": [{"port": self._port()}], "metadata": {SERVERS_MARK: self.site.name}}
        asked |= {"key_name": key.name} if key else {}
        self._await(self._call(nova.create_server, name=f"{self.site.name}-relay", **asked))

    def _port(self) -> str:
        """A port of its own, so that the server's address outlives it."""
        if found := self.site.first("port"):
            return str(found.id)
        network, group = self.site.first("network").id, self.site.first("group").id
        port = self._call(self.neutron.create_port, network_id=network, security_group_ids=[group], **self.ours)
        return str(port.id)

    def _await(self, server: Any) -> None:
        with translated("waiting for the relay's server"):
            try:
                self.site.cloud.compute.wait_for_server(server, interval=LOOK, wait=PATIENCE)
            except ResourceFailure as e:
                raise NoCapacity(self._fault(server)) from e
            except ResourceTimeout as e:
                raise Unavailable(f"the relay's server is not ACTIVE after {PATIENCE:.0f} s: run it again later") from e

    def _fault(self, server: Any) -> str:
        found = self.site.cloud.compute.get_server(server.id)
        fault = (found.fault or {}).get("message", "it does not say why").strip().rstrip(".")
        return f"the relay's server came to nothing: {fault}: take another flavor or zone, or less; then run it again"

    def _make_address(self) -> None:
        outside, port = gateway_of(self.site.first("router")), self._port()
        ours = {"description": self.site.mark}
        self._call(self.neutron.create_ip, floating_network_id=outside, port_id=port, **ours)

    def _call(self, call: Any, *what: Any, **given: Any) -> Any:
        doing = call.__name__.replace("_", " ")
        try:
            with translated(doing):
                return call(*what, **given)
        except ServiceError as e:
            if not QUOTA.search(e.detail):
                raise
            # Neutron says 409, where Nova says 403.
            raise NoCapacity(
                f"{e.detail}: the project has no more of it: remove what nobody needs, or ask the cloud's operator for "
                "a larger quota; then run it again"
            ) from e
