"""A site on a real control plane, by `facefleet site`: keystone, neutron, nova and glance as Debian has them.

Neutron here has no agents: routers and floating IPs stand in its tables, and nothing goes through them.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from openstack.connection import Connection
from openstack.exceptions import SDKException

from bench.local import awaited
from bench.openstack_plane import Plane
from facefleet.cli.__main__ import main

pytestmark = pytest.mark.openstack

WIRES = Path(__file__).with_name("wires.py")
PACKAGES = "usr/lib/python3/dist-packages"
BLOB = "AAAAC3NzaC1lZDI1NTE5AAAAIBLyR5jPZzI3yMVpPmYqCmDBxmHQXkM1sYk8TIiR5m0H"
KINDS = ["address", "server", "port", "router", "subnet", "network", "group", "key"]
SITE = Callable[..., Result]


@pytest.fixture(scope="module")
def outside(real: Plane) -> Iterator[str]:
    """A network that leads outside; and ports that are bound, as nova refuses a server whose port is not."""
    wire(real)
    with real.connect("admin") as admin:
        network = admin.network.create_network(name="public", is_router_external=True)
        admin.network.create_subnet(network_id=network.id, ip_version=4, cidr="203.0.113.0/24", is_dhcp_enabled=False)
        yield network.id
        admin.network.delete_network(network.id)


def wire(real: Plane) -> None:
    root = real.machine.disk
    (root / PACKAGES / "neutron/plugins/ml2/drivers/plane.py").write_text(WIRES.read_text())
    (known,) = (root / PACKAGES).glob("neutron-[0-9]*.egg-info/entry_points.txt")
    line = "[neutron.ml2.mechanism_drivers]\n"
    known.write_text(known.read_text().replace(line, f"{line}plane = neutron.plugins.ml2.drivers.plane:Driver\n"))
    settings = root / "etc/neutron/plugins/ml2/ml2_conf.ini"
    settings.write_text(settings.read_text().replace("mechanism_drivers = logger", "mechanism_drivers = plane"))
    real.machine.run("systemctl", "restart", "neutron-api", "neutron-rpc-server")
    awaited(lambda: answers(real), "neutron answers again", seconds=120, every=0.5)


def answers(real: Plane) -> bool:
    try:
        with real.connect("admin") as admin:
            return list(admin.network.networks()) is not None and list(admin.network.routers()) is not None
    except SDKException:
        return False


@pytest.fixture
def site(real: Plane, outside: str, demo: Connection, monkeypatch: pytest.MonkeyPatch) -> Iterator[SITE]:
    for name, value in real.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("FACEFLEET_OPENSTACK_CLOUD", "demo")
    monkeypatch.setenv("FACEFLEET_OPENSTACK_IMAGE", "debian-12")
    monkeypatch.setenv("FACEFLEET_OPENSTACK_FLAVORS", "tiny")

    def run(*words: object, code: int = 0) -> Result:
        done = CliRunner().invoke(main, ["site", *map(str, words)])
        assert done.exit_code == code, done.output + repr(done.exception)
        return done

    yield run
    run("down", "--yes")


@pytest.fixture
def key(tmp_path: Path) -> Path:
    file = tmp_path / "id_ed25519.pub"
    file.write_text(f"ssh-ed25519 {BLOB} me@home\n")
    return file


def told(site: SITE) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = json.loads(site("status", "--json").output)["parts"]
    return parts


def left(cloud: Connection) -> list[str]:
    """Of the project, but for the security group that neutron gives each."""
    network, compute = cloud.network, cloud.compute
    mine = {"project_id": cloud.current_project_id}
    found = [network.networks(**mine), network.routers(**mine), network.ports(**mine), network.ips(**mine)]
    groups = [group for group in network.security_groups(**mine) if group.name != "default"]
    return [one.id for some in (*found, groups, compute.servers(), compute.keypairs()) for one in some]


def test_a_site_is_made_with_a_relay_and_again_all_is_fine(site: SITE, demo: Connection, key: Path) -> None:
    words = ("up", "--key", key, "--ssh-from", "198.51.100.0/24", "--relay")
    assert "203.0.113." in site(*words).output
    assert "nothing to do" in site(*words).output
    parts = told(site)
    assert [part["kind"] for part in parts] == KINDS
    address, server = parts[:2]
    assert server["about"] == "ACTIVE"
    (port,) = demo.network.ports(device_id=server["id"])
    (floating,) = demo.network.ips(floating_ip_address=address["name"])
    assert floating.port_id == port.id
    assert port.security_group_ids == [part["id"] for part in parts if part["kind"] == "group"]
    assert demo.compute.get_server(server["id"]).key_name == "facefleet"


def test_nothing_is_left_of_it(site: SITE, demo: Connection, key: Path) -> None:
    site("up", "--key", key, "--ssh-from", "198.51.100.0/24", "--relay")
    assert "nothing is left" in site("down", "--yes").output
    assert left(demo) == []


def test_who_may_come_in_is_changed(site: SITE, demo: Connection) -> None:
    for who in ("198.51.100.0/24", "203.0.113.8/32"):
        site("up", "--ssh-from", who)
    (group,) = [part["id"] for part in told(site) if part["kind"] == "group"]
    rules = demo.network.security_group_rules(security_group_id=group, direction="ingress")
    assert {(one.protocol, one.remote_ip_prefix) for one in rules} == {("icmp", None), ("tcp", "203.0.113.8/32")}


def test_it_stays_while_a_fleets_server_is_in_it(site: SITE, demo: Connection) -> None:
    site("up")
    (network,) = [part["id"] for part in told(site) if part["kind"] == "network"]
    (image,) = demo.image.images(name="debian-12")
    (flavor,) = [one for one in demo.compute.flavors() if one.name == "tiny"]
    worker = demo.compute.create_server(
        name="worker", image_id=image.id, flavor_id=flavor.id, networks=[{"uuid": network}]
    )
    demo.compute.wait_for_server(worker, interval=0.2)
    assert worker.id in site("down", "--yes", code=1).output
    demo.compute.delete_server(worker)
    demo.compute.wait_for_delete(worker, interval=0.2)


def test_a_quota_that_is_used_up_is_told_and_it_goes_on_later(site: SITE, real: Plane, demo: Connection) -> None:
    with real.connect("admin") as admin:
        admin.network.update_quota(demo.current_project_id, routers=0)
        assert "larger quota" in site("up", code=1).output
        admin.network.delete_quota(demo.current_project_id)
    site("up")
    assert [part["kind"] for part in told(site)] == ["router", "subnet", "network", "group"]


def test_a_server_that_finds_no_host_is_told_and_replaced(site: SITE, real: Plane, key: Path) -> None:
    with real.no_room():
        assert "No valid host was found: take another flavor" in site("up", "--key", key, "--relay", code=1).output
    site("up", "--relay")
    assert [part["about"] for part in told(site) if part["kind"] == "server"] == ["ACTIVE"]


def test_another_project_sees_nothing_of_it(site: SITE, monkeypatch: pytest.MonkeyPatch) -> None:
    site("up")
    for other in ("other", "admin"):
        with monkeypatch.context() as patched:
            patched.setenv("FACEFLEET_OPENSTACK_CLOUD", other)
            assert told(site) == []
            assert "nothing to remove" in site("down", "--yes").output
    assert len(told(site)) == 4
