"""The units that only the machine image has: what starts when, and how little each may do."""

import shutil
from pathlib import Path

import pytest

from ami.caddyfile import STORAGE
from ami.settings import AT_AN_ADDRESS, UNITS
from facefleet.entry import EXIT_UNUSABLE

from .analyze import MOST_EXPOSED, exposure, needs_analyze, said_against
from .units import SYSTEMD, only, read, seconds

IMAGE = SYSTEMD / "image"
SERVICES = sorted(path.name for path in IMAGE.glob("*.service"))
OURS = ("facefleet-address.service", "facefleet-certificates.service", "facefleet-settings.service")

#: By cloud-init; the last one where chrony is installed, which is an ordinary unit behind all that.
HELD_UP = {"network-online.target", "sysinit.target", "basic.target", "time-sync.target"}

every_service = pytest.mark.parametrize("name", SERVICES)


def test_user_data_starts_units_that_there_are() -> None:
    there = {path.name for folder in (SYSTEMD, IMAGE) for path in folder.iterdir()}
    assert {*AT_AN_ADDRESS, *(unit for units in UNITS.values() for unit in units)} <= there


def test_nothing_starts_at_boot_but_who_reads_user_data() -> None:
    at_boot = [path.name for path in IMAGE.iterdir() if "Install" in read(f"image/{path.name}")]
    assert at_boot == ["facefleet-settings.service"]


@needs_analyze
def test_systemd_finds_nothing_to_say_against_them(tmp_path: Path) -> None:
    units = tmp_path / "etc/systemd/system"
    shutil.copytree(IMAGE, units)
    for path in [*SYSTEMD.glob("*.service"), *SYSTEMD.glob("*.target")]:
        shutil.copy(path, units)
    (units / "facefleet-worker@.service.d").mkdir()
    (units / "early.conf").rename(units / "facefleet-worker@.service.d/early.conf")
    names = [*SERVICES, "facefleet-certificates.path", "facefleet-worker@0.service"]
    programs = ("opt/facefleet/bin/python", "opt/facefleet/bin/facefleet-backoff", "usr/bin/caddy")
    assert said_against(names, tmp_path, programs=programs) == ""


@needs_analyze
@every_service
def test_a_unit_exposes_little(name: str) -> None:
    assert float(exposure(IMAGE / name)) <= MOST_EXPOSED


def test_on_the_way_of_a_worker_nobody_waits_for_cloud_init() -> None:
    """Which holds up what is behind sysinit.target and network-online.target: by default, every unit."""
    for name in ("image/facefleet-settings.service", "image/early.conf"):
        unit = read(name)["Unit"]
        assert only(unit, "DefaultDependencies") == "no"
        assert not HELD_UP & set(only(unit, "After").split())
    assert "After" not in read("facefleet-worker@.service")["Unit"]


def test_a_worker_has_a_network_until_it_has_drained() -> None:
    """systemd stops in the order of starting, turned round; and it stops nothing that it was not told to."""
    unit = read("image/early.conf")["Unit"]
    assert "network.target" in only(unit, "After").split()
    assert (only(unit, "Conflicts"), only(unit, "Before")) == ("shutdown.target", "shutdown.target")


def test_caddy_stops_behind_the_web_tier_and_has_the_time_to() -> None:
    caddy = read("image/facefleet-caddy.service")
    assert only(caddy["Unit"], "Before") == "facefleet-web.service"
    assert seconds(caddy["Service"], "TimeoutStopSec") > 150


def test_caddy_tries_again_later_and_later() -> None:
    """While the bucket does not answer; and then it has the time left to ask."""
    caddy = read("image/facefleet-caddy.service")["Service"]
    assert caddy["ExecStartPre"][0] == "-/opt/facefleet/bin/facefleet-backoff %n"
    assert seconds(caddy, "TimeoutStartSec") >= 90 + 60


def test_certificates_are_watched_where_caddy_has_them() -> None:
    assert only(read("image/facefleet-certificates.path")["Path"], "PathChanged") == f"{STORAGE}/locks"
    home = only(read("image/facefleet-caddy.service")["Service"], "StateDirectory")
    assert STORAGE.startswith(f"/var/lib/{home}/")


def test_a_failure_is_tried_again_for_ever_and_what_is_wrong_never() -> None:
    for name in SERVICES:
        unit = read(f"image/{name}")
        assert only(unit["Unit"], "StartLimitIntervalSec") == "0"
        assert only(unit["Service"], "RestartPreventExitStatus") == str(EXIT_UNUSABLE)
        assert only(unit["Service"], "Restart") == ("on-failure" if name in OURS else "always")


def test_who_needs_no_api_key_is_given_none() -> None:
    for name in ("facefleet-caddy.service", "facefleet-certificates.service"):
        assert "FACEFLEET_API_KEYS" in only(read(f"image/{name}")["Service"], "UnsetEnvironment").split()
