"""A check-up of a private cloud, on a real control plane."""

from dataclasses import replace
from pathlib import Path

import pytest
from openstack.connection import Connection

from bench.openstack_plane import Plane
from facefleet.backends.openstack.checks import open_cloud
from facefleet.cli.doctor import looked
from facefleet.findings import Finding, State
from facefleet.settings import Settings

pytestmark = pytest.mark.openstack

SITE = Settings(
    backend="aws",
    fleets="openstack:5",
    openstack_cloud="demo",
    openstack_image="debian-12",
    openstack_flavors="small",
    openstack_networks="none",
    openstack_zones="nova",
    openstack_groups="default",
)


def found(settings: Settings) -> dict[str, Finding]:
    looks = open_cloud(settings).looks()
    return {finding.about: finding for about, look in looks for finding in looked(about, look)}


def test_a_real_one_is_fine_until_it_lacks_something(
    real: Plane, demo: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(Path(real.clouds_yaml)))
    fine = found(SITE)
    assert {about: one.words for about, one in fine.items() if one.state is not State.OK} == {}
    demo.compute.create_keypair(name="ours")
    try:
        assert found(replace(SITE, openstack_key="ours"))["key pair"].state is State.OK
    finally:
        demo.compute.delete_keypair("ours")
    lacking = {f"openstack_{name}": "nosuch" for name in ("image", "flavors", "zones", "networks", "key", "groups")}
    told = found(replace(SITE, **lacking))
    wrong = {about for about, one in told.items() if one.state is State.WRONG}
    assert wrong == {"image", "flavors", "zones", "networks", "key pair", "security groups"}
    real.set_quota("demo", instances=4, cores=4)
    wrong = {about for about, one in found(SITE).items() if one.state is State.WRONG}
    assert wrong == {"quota, instances", "quota, cores"}
