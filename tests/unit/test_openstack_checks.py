"""What a check-up says of a private cloud, on one that stands in for OpenStack."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nova_apis import PASSWORD, NovaCloud
from nova_cloud import nova_cloud

from facefleet.backends.openstack import servers_left
from facefleet.backends.openstack.checks import MOST_SKEW, NO_LIMIT, Room, clock, enough, open_cloud
from facefleet.backends.openstack.servers import FLEET
from facefleet.cli.doctor import looked
from facefleet.findings import Finding, State
from facefleet.settings import Settings

MARK = "app-tier-instance"
SITE = Settings(backend="aws", fleets="openstack:5", openstack_cloud="demo", openstack_networks="none")


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[NovaCloud]:
    for name in [name for name in os.environ if name.startswith("OS_")]:
        monkeypatch.delenv(name)
    with nova_cloud() as made:
        monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(made.write_clouds(tmp_path)))
        yield made


def found(**settings: object) -> dict[str, Finding]:
    looks = open_cloud(replace(SITE, **settings)).looks()
    return {finding.about: finding for about, look in looks for finding in looked(about, look)}


def wrong(findings: dict[str, Finding]) -> dict[str, str]:
    return {about: one.words for about, one in findings.items() if one.state is State.WRONG}


def test_a_cloud_that_has_what_the_settings_name_is_fine(cloud: NovaCloud, tmp_path: Path) -> None:
    cloud.project.keys, cloud.project.groups = ["ours"], ["default", "facefleet"]
    cloud.add_network("facefleet")
    names = {"openstack_networks": "facefleet", "openstack_key": "ours", "openstack_groups": "facefleet"}
    told = found(openstack_zones="nova", openstack_flavors="m1.small, m1.medium", **names)
    assert {one.state for one in told.values()} == {State.OK}
    assert {"image", "flavors", "zones", "networks", "key pair", "security groups", "OpenStack's clock"} < told.keys()
    assert {"quota, instances", "quota, cores", "quota, MB of memory"} < told.keys()
    for word in ("demo", str(tmp_path / "clouds.yaml"), cloud.url):
        assert word in told["OpenStack"].words


@pytest.mark.parametrize(
    ("setting", "about", "there"),
    [
        ("image", "image", "facefleet-worker"),
        ("flavors", "flavors", "m1.small"),
        ("zones", "zones", "nova"),
        ("networks", "networks", "lan"),
        ("key", "key pair", "ours"),
        ("groups", "security groups", "default"),
    ],
)
def test_what_is_not_there_is_named_with_its_setting_and_what_there_is(
    cloud: NovaCloud, setting: str, about: str, there: str
) -> None:
    cloud.project.keys = ["ours"]
    cloud.add_network("lan")
    told = wrong(found(**{f"openstack_{setting}": "nosuch"}))
    assert told.keys() == {about}
    assert f"FACEFLEET_OPENSTACK_{setting.upper()}" in told[about]
    assert "'nosuch'" in told[about] and there in told[about]


def test_of_two_security_groups_of_one_name_nova_would_take_neither(cloud: NovaCloud) -> None:
    cloud.project.groups = ["default", "facefleet", "facefleet"]
    assert "several" in wrong(found(openstack_groups="facefleet"))["security groups"]


def test_who_is_not_let_in_learns_where_to_look_and_nothing_more(cloud: NovaCloud, tmp_path: Path) -> None:
    clouds = tmp_path / "clouds.yaml"
    clouds.write_text(clouds.read_text().replace(PASSWORD, "another word"))
    told = found()
    assert wrong(told).keys() == told.keys() == {"OpenStack"}
    assert "password" in told["OpenStack"].words and str(clouds) in told["OpenStack"].words
    assert "another word" not in told["OpenStack"].words


def test_where_nobody_answers_is_told_once(cloud: NovaCloud, tmp_path: Path) -> None:
    clouds = tmp_path / "clouds.yaml"
    clouds.write_text(clouds.read_text().replace(cloud.url, "http://127.0.0.1:9"))
    told = found()
    assert wrong(told).keys() == told.keys() == {"OpenStack"} and "network" in told["OpenStack"].words


def test_a_service_that_fails_keeps_nobody_from_the_rest(cloud: NovaCloud) -> None:
    cloud.faults.status, cloud.faults.only = 503, "/image"
    told = found()
    assert {about for about, one in told.items() if one.state is not State.OK} == {"image"}
    assert told["image"].state is State.UNKNOWN


def make(cloud: NovaCloud, count: int, **metadata: str) -> list[str]:
    (flavor,) = (one for one in cloud.flavors if one["name"] == "m1.small")
    asked = {"name": "any", "imageRef": cloud.images[0]["id"], "networks": "none", "metadata": metadata}
    project = next(iter(cloud.tokens.values()))
    return [cloud.servers.create(project, "user", asked, flavor).id for _ in range(count)]


def test_of_the_quota_the_fleets_own_servers_take_nothing_away(cloud: NovaCloud) -> None:
    found()
    cloud.faults.quota = 7
    ours = make(cloud, 4, **{FLEET: MARK})
    make(cloud, 2)
    told = found()
    assert not wrong(told) and "5 of 7 are left" in told["quota, instances"].words
    assert "18 of 20 are left" in told["quota, cores"].words
    make(cloud, 1)
    told = found()
    assert wrong(told).keys() == {"quota, instances"}
    assert "operator" in told["quota, instances"].words and "FACEFLEET_FLEETS" in told["quota, instances"].words
    assert not wrong(found(max_instances=4)), "no more than that are ever had"
    assert servers_left(SITE) == tuple(sorted(ours))


def test_cores_and_memory_are_counted_as_the_best_flavor_has_them(cloud: NovaCloud) -> None:
    cloud.project.absolute = {"maxTotalCores": 4, "maxTotalRAMSize": 5 * 2048 - 1}
    assert wrong(found()).keys() == {"quota, cores", "quota, MB of memory"}
    cloud.project.absolute = {"maxTotalCores": NO_LIMIT, "maxTotalRAMSize": 5 * 2048}
    told = found()
    assert not wrong(told) and "no limit" in told["quota, cores"].words


@given(st.integers(0, 100), st.integers(0, 100), st.integers(1, 100))
def test_a_quota_is_enough_or_the_words_say_whom_to_ask(most: int, others: int, needed: int) -> None:
    assert (enough(Room("cores", most, others, needed)).state is State.OK) == (others + needed <= most)


@given(st.floats(-10_000, 10_000))
def test_a_clock_that_is_far_off_is_wrong_and_the_words_say_which_way(skew: float) -> None:
    told = clock(skew)
    assert told.state is (State.WRONG if abs(skew) > MOST_SKEW else State.OK)
    if told.state is State.WRONG:
        assert ("behind" in told.words) == (skew > 0)
