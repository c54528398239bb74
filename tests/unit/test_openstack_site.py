"""A site on a private cloud by `facefleet site`: made once, changed where it is asked for, taken away to the last."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bench.local import free_port
from facefleet.cli.__main__ import main
from tests.unit.private_cloud import Cloud, private_cloud

BLOB = "AAAAC3NzaC1lZDI1NTE5AAAAIBLyR5jPZzI3yMVpPmYqCmDBxmHQXkM1sYk8TIiR5m0H"
#: All that a site with a relay is.
WHOLE = {
    **{"networks": 1, "subnets": 1, "routers": 1, "floatingips": 1, "security-groups": 1, "security-group-rules": 2},
    # The router's and the relay's.
    **{"ports": 2, "servers": 1, "os-keypairs": 1},
}
SITE = Callable[..., Result]


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", "/nowhere/clouds.yaml")
    with private_cloud() as cloud:
        for name, value in cloud.env.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("FACEFLEET_OPENSTACK_IMAGE", "debian-12")
        monkeypatch.setenv("FACEFLEET_OPENSTACK_FLAVORS", "tiny")
        yield cloud


@pytest.fixture
def key(tmp_path: Path) -> Path:
    file = tmp_path / "id_ed25519.pub"
    file.write_text(f"ssh-ed25519 {BLOB} me@home\n")
    return file


@pytest.fixture
def site(cloud: Cloud) -> SITE:
    def run(*words: object, code: int = 0, given: str | None = None) -> Result:
        done = CliRunner().invoke(main, ["site", *map(str, words)], input=given)
        assert done.exit_code == code, done.output + repr(done.exception)
        return done

    return run


def whole(site: SITE, key: Path) -> None:
    site("up", "--key", key, "--ssh-from", "198.51.100.0/24", "--relay")


def test_a_dry_run_shows_all_and_does_nothing(site: SITE, cloud: Cloud, key: Path) -> None:
    said = site("up", "--dry-run", "--key", key, "--relay").output
    for word in ("network facefleet", "10.77.0.0/24", "leads to public", "key pair", "floating IP", "nothing was done"):
        assert word in said
    assert cloud.asked == []


def test_it_is_made_whole_and_again_all_is_fine(site: SITE, cloud: Cloud, key: Path) -> None:
    whole(site, key)
    assert cloud.there() == WHOLE
    made = list(cloud.asked)
    assert "nothing to do" in site("up", "--key", key, "--ssh-from", "198.51.100.0/24", "--relay").output
    assert "nothing to do" in site("up").output
    assert cloud.asked == made


def test_what_is_made_carries_its_mark_from_the_first_call_on(site: SITE, cloud: Cloud, key: Path) -> None:
    """Killed between two calls, it would else leave something that nobody takes away."""
    whole(site, key)
    for kind in ("networks", "subnets", "routers", "security-groups", "floatingips"):
        made = [body for method, path, body in cloud.asked if method == "POST" and path.endswith(f"/{kind}")]
        assert [next(iter(body.values()))["description"] for body in made] == ["facefleet site facefleet"]
    (server,) = cloud.of_kind("servers")
    assert server["metadata"] == {"facefleet:site": "facefleet"}


def test_nothing_secret_goes_to_the_cloud(site: SITE, cloud: Cloud, key: Path, tmp_path: Path) -> None:
    whole(site, key)
    assert [one["public_key"] for one in cloud.of_kind("os-keypairs")] == [
        f"ssh-ed25519 {BLOB} facefleet-site-facefleet"
    ]
    assert not any("user_data" in json.dumps(body) or "me@home" in json.dumps(body) for _, _, body in cloud.asked)
    secret = tmp_path / "id"
    secret.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n")
    assert "ends in .pub" in site("up", "--key", secret, code=78).output


def test_ssh_is_open_to_nobody_unless_told(site: SITE, cloud: Cloud) -> None:
    site("up")
    assert [one["protocol"] for one in cloud.of_kind("security-group-rules")] == ["icmp"]


def test_who_may_come_in_by_ssh_is_changed_and_a_rule_by_hand_stays(site: SITE, cloud: Cloud) -> None:
    site("up", "--ssh-from", "198.51.100.0/24")
    (group,) = cloud.of_kind("security-groups")
    by_hand = {"direction": "ingress", "protocol": "tcp", "remote_ip_prefix": "10.1.0.0/16", "description": "by hand"}
    cloud.make("security-group-rules", {"security_group_id": group["id"], **by_hand})
    assert "no longer from" in site("up", "--ssh-from", "203.0.113.8/32").output
    open_to = {one["remote_ip_prefix"] for one in group["security_group_rules"] if one["protocol"] == "tcp"}
    assert open_to == {"203.0.113.8/32", "10.1.0.0/16"}


def test_an_administrator_sees_others_sites_and_leaves_them_alone(site: SITE, cloud: Cloud) -> None:
    _, theirs = cloud.make("networks", {"name": "facefleet", "description": "facefleet site facefleet"})
    theirs["network"]["project_id"] = "another"
    cloud.make("networks", {"name": "facefleet", "description": "mine"})
    site("up")
    assert len(cloud.of_kind("networks")) == 4
    site("down", "--yes")
    assert [one["description"] for one in cloud.of_kind("networks")] == ["", "facefleet site facefleet", "mine"]


def test_two_sites_are_two(site: SITE, cloud: Cloud) -> None:
    site("up", "--name", "one")
    site("up", "--name", "two", "--subnet", "10.78.0.0/24")
    site("down", "--name", "one", "--yes")
    assert [part["about"] for part in told(site, "two") if part["kind"] == "subnet"] == ["10.78.0.0/24"]
    assert told(site, "one") == []


def told(site: SITE, name: str = "facefleet") -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = json.loads(site("status", "--name", name, "--json").output)["parts"]
    return parts


def test_its_status_tells_what_there_is(site: SITE, key: Path) -> None:
    assert "facefleet site up" in site("status").output
    whole(site, key)
    kinds = [part["kind"] for part in told(site)]
    assert kinds == ["address", "server", "port", "router", "subnet", "network", "group", "key"]
    assert "ACTIVE" in site("status").output


def test_down_asks_and_leaves_nothing(site: SITE, cloud: Cloud, key: Path) -> None:
    whole(site, key)
    site("down", code=1, given="n\n")
    assert cloud.there() == WHOLE
    assert "nothing is left" in site("down", given="y\n").output
    assert cloud.there() == {}
    assert "nothing to remove" in site("down", "--yes").output


def test_down_as_json_tells_what_is_left(site: SITE, cloud: Cloud, key: Path) -> None:
    whole(site, key)
    assert "--yes or --dry-run" in site("down", "--json", code=2).output
    assert json.loads(site("down", "--yes", "--json").stdout)["left"] == []


def test_down_is_refused_while_a_fleets_servers_are_in_it(site: SITE, cloud: Cloud, key: Path) -> None:
    whole(site, key)
    network = next(one for one in cloud.of_kind("networks") if one["name"] == "facefleet")
    worker = {"device_id": "a-worker", "device_owner": "compute:nova", "description": "", "security_groups": []}
    cloud.make("ports", {"network_id": network["id"], **worker})
    said = site("down", "--yes", code=1).output
    assert "a-worker" in said and "stop the controller" in said
    assert cloud.there() == WHOLE | {"ports": 3}


@pytest.mark.parametrize("kind", ["networks", "subnets", "routers", "security-groups", "ports", "floatingips"])
def test_where_a_quota_is_used_up_it_says_so_and_goes_on_later(site: SITE, cloud: Cloud, key: Path, kind: str) -> None:
    cloud.quotas.add(kind)
    said = site("up", "--key", key, "--ssh-from", "198.51.100.0/24", "--relay", code=1).output
    assert "Quota exceeded" in said and "ask the cloud's operator for a larger quota" in said
    cloud.quotas.clear()
    whole(site, key)
    assert cloud.there() == WHOLE


@pytest.mark.parametrize("done", range(9))
def test_what_was_done_though_nobody_heard_of_it_is_not_done_twice(
    site: SITE, cloud: Cloud, key: Path, done: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("facefleet.cli.site.PAUSE", 0)
    cloud.loses = {done}
    whole(site, key)
    assert cloud.there() == WHOLE
    cloud.loses = {len(cloud.asked) + done}
    site("down", "--yes")
    assert cloud.there() == {}
    assert cloud.loses == set()


def test_a_cloud_that_goes_on_breaking_off_is_told(site: SITE, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("facefleet.cli.site.PAUSE", 0)
    cloud.loses = set(range(100))
    assert "does not answer" in site("up", code=1).output


def test_a_server_that_comes_to_nothing_is_replaced(site: SITE, cloud: Cloud, key: Path) -> None:
    cloud.fails = True
    said = site("up", "--key", key, "--relay", code=1).output
    assert "No valid host was found: take another flavor or zone" in said
    cloud.fails = False
    assert "change" in site("up", "--relay").output
    assert [one["status"] for one in cloud.of_kind("servers")] == ["ACTIVE"]


def test_a_relay_that_nobody_could_come_into_is_not_made(site: SITE, cloud: Cloud, key: Path) -> None:
    assert "--key" in site("up", "--relay", code=78).output
    assert cloud.asked == []
    site("up", "--key", key)
    assert "SSH from nobody" in site("up", "--relay").output
    assert "SSH from 198.51.100.0/24" in site("up", "--ssh-from", "198.51.100.0/24").output


def test_beside_one_that_came_to_nothing_the_relay_stays_with_its_disk(site: SITE, cloud: Cloud, key: Path) -> None:
    """Two are made where two people say `up`; Nova lists the newest first."""
    site("up", "--key", key, "--relay")
    (relay,) = cloud.of_kind("servers")
    cloud.things["servers"] = {"broken": relay | {"id": "broken", "status": "ERROR"}, relay["id"]: relay}
    site("up", "--relay")
    assert relay in cloud.of_kind("servers")
    assert not any(path.endswith(relay["id"]) for _, path, _ in cloud.asked)


@pytest.mark.parametrize("owner", ["network:router_interface_distributed", "network:ha_router_replicated_interface"])
def test_down_takes_the_subnet_from_whatever_kind_of_router_neutron_made(site: SITE, cloud: Cloud, owner: str) -> None:
    site("up")
    (port,) = cloud.of_kind("ports")
    port["device_owner"] = owner
    site("down", "--yes")
    assert cloud.there() == {}


@pytest.mark.parametrize("words", [["up"], ["up", "--relay"], ["status"], ["down"]])
def test_where_keystone_does_not_answer_that_is_said(
    site: SITE, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OS_AUTH_URL", f"http://127.0.0.1:{free_port()}/v3")
    assert "OpenStack does not answer" in site(*words, code=1).output


def test_a_file_that_is_no_text_is_no_key(site: SITE, cloud: Cloud, key: Path) -> None:
    key.write_bytes(b"\x7fELF\xff\xfe\x00")
    assert "no public key" in site("up", "--key", key, code=78).output
    assert cloud.asked == []


def test_without_a_network_outside_it_says_what_to_do(site: SITE, cloud: Cloud, key: Path) -> None:
    cloud.things["networks"].clear()
    assert "--public none" in site("up", code=78).output
    site("up", "--public", "none", "--key", key, "--relay")
    assert cloud.there().keys() == WHOLE.keys() - {"floatingips"}
    assert [one["external_gateway_info"] for one in cloud.of_kind("routers")] == [None]


def test_of_several_networks_outside_one_is_named(site: SITE, cloud: Cloud) -> None:
    second = cloud.outside("internet")
    assert "--public internet, public" in site("up", code=78).output
    assert "there is internet, public" in site("up", "--public", "nowhere", code=78).output
    assert cloud.asked == []
    site("up", "--public", "internet")
    assert [one["external_gateway_info"]["network_id"] for one in cloud.of_kind("routers")] == [second]


def test_its_router_is_led_elsewhere(site: SITE, cloud: Cloud) -> None:
    site("up", "--public", "public")
    second = cloud.outside("internet")
    assert "leads to internet" in site("up", "--public", "internet").output
    assert [one["external_gateway_info"]["network_id"] for one in cloud.of_kind("routers")] == [second]


def test_another_subnet_is_not_made_of_one_that_is_there(site: SITE) -> None:
    site("up")
    assert "`facefleet site down` first" in site("up", "--subnet", "10.9.0.0/24", code=78).output


def test_an_image_or_a_flavor_that_is_not_there_is_told_before_anything_is_made(
    site: SITE, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACEFLEET_OPENSTACK_FLAVORS", "m1.giant")
    said = site("up", "--relay", code=1).output
    assert "FACEFLEET_OPENSTACK_FLAVORS" in said and "tiny" in said
    assert cloud.asked == []


def test_a_key_pair_of_the_same_name_that_is_not_its_own_stays(site: SITE, cloud: Cloud, key: Path) -> None:
    cloud.take_key({"name": "facefleet", "public_key": "ssh-ed25519 AAAA me", "type": "ssh"})
    assert "a key pair facefleet that the site did not make" in site("up", "--key", key, code=1).output
    assert len(cloud.asked) == 0
    site("down", "--yes")
    assert [one["public_key"] for one in cloud.of_kind("os-keypairs")] == ["ssh-ed25519 AAAA me"]


def test_its_key_is_replaced_by_another(site: SITE, cloud: Cloud, key: Path) -> None:
    site("up", "--key", key)
    key.write_text(f"ssh-rsa {BLOB} other\n")
    site("up", "--key", key)
    assert [one["public_key"] for one in cloud.of_kind("os-keypairs")] == [f"ssh-rsa {BLOB} facefleet-site-facefleet"]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["up", "--ssh-from", "everybody"], "no range of addresses"),
        (["up", "--ssh-from", "198.51.100.7/24"], "no range of addresses"),
        (["up", "--subnet", "fd00::/64"], "IPv4"),
        (["up", "--name", "a/b"], "no name of a site"),
        (["down", "--name", ""], "no name of a site"),
    ],
)
def test_what_cannot_be_meant_is_refused(site: SITE, cloud: Cloud, words: list[str], why: str) -> None:
    assert why in site(*words, code=78).output
    assert cloud.asked == []
