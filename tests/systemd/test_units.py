"""What the units promise, as systemd's own tools see it, and against the constants of the code."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from app_tier.__main__ import NOTICE_EVERY
from app_tier.pulse import ALIVE_EVERY, MAX_WORK
from controller.leading import STAND_BY
from facefleet.entry import EXIT_UNUSABLE
from facefleet.ports import MAX_WAIT
from facefleet.settings import LONGEST_TICK, Settings
from facefleet.settingtext import PREFIX
from openstack_relay.hands import END_TIMEOUT, START_TIMEOUT
from openstack_relay.intake import LOOK
from openstack_relay.relay import BEAT, WAITS
from web_tier.__main__ import LOOK_EVERY

from .analyze import MOST_EXPOSED, exposure, needs_analyze, said_against
from .units import SERVICES, SYSTEMD, only, read, seconds, service

STARTED = {
    "facefleet-web.service": "web_tier",
    "facefleet-controller.service": "controller",
    "facefleet-worker@.service": "app_tier --worker %i",
    "facefleet-relay.service": "openstack_relay",
}

every_service = pytest.mark.parametrize("name", SERVICES)


def test_each_tier_has_its_unit() -> None:
    started = {name: only(service(name), "ExecStart").partition(" -m ")[2] for name in SERVICES}
    assert started == STARTED


@needs_analyze
def test_systemd_finds_nothing_to_say_against_the_units(tmp_path: Path) -> None:
    shutil.copytree(SYSTEMD, tmp_path / "etc/systemd/system")
    names = [name.replace("@", "@0") for name in SERVICES] + ["facefleet-workers.target"]
    programs = ("opt/facefleet/bin/python", "opt/facefleet/bin/facefleet-backoff")
    assert said_against(names, tmp_path, programs=programs) == ""


@needs_analyze
@every_service
def test_a_unit_exposes_little(name: str) -> None:
    assert float(exposure(SYSTEMD / name)) <= MOST_EXPOSED


@every_service
def test_settings_come_from_one_file(name: str) -> None:
    assert service(name)["EnvironmentFile"] == ["/etc/facefleet/facefleet.env"]


def test_the_example_of_that_file_is_one_that_starts() -> None:
    lines = (SYSTEMD / "facefleet.env.example").read_text().splitlines()
    given = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    assert Settings.from_env(given).backend == "aws"
    offered = [line[1:].split("=", 1)[0] for line in lines if line.startswith(f"#{PREFIX}")]
    Settings.from_env(given | {name: "" for name in offered})


@every_service
def test_a_unit_says_itself_when_it_is_ready_and_that_it_lives(name: str) -> None:
    unit = service(name)
    assert (only(unit, "Type"), only(unit, "NotifyAccess")) == ("notify", "main")
    assert seconds(unit, "WatchdogSec") > 0


def test_everything_starts_at_boot() -> None:
    tiers = ("facefleet-web.service", "facefleet-controller.service", "facefleet-workers.target")
    for name in (*tiers, "facefleet-relay.service"):
        assert only(read(name)["Install"], "WantedBy") == "multi-user.target"


@pytest.mark.parametrize(
    "name", ["facefleet-web.service", "facefleet-controller.service", "facefleet-relay.service", "network.conf"]
)
def test_a_unit_starts_behind_the_network(name: str) -> None:
    """A worker by what `install.sh` puts beside its unit: in the machine image it has something else there."""
    unit = read(name)["Unit"]
    assert "network-online.target" in only(unit, "After").split()
    assert only(unit, "Wants") == "network-online.target"


def test_the_door_opens_last_and_closes_first() -> None:
    """systemd stops in the order of starting, turned round: who waits for an answer still gets it."""
    after = only(read("facefleet-web.service")["Unit"], "After").split()
    assert {"facefleet-workers.target", "facefleet-controller.service"} <= set(after)
    assert only(read("facefleet-worker@.service")["Unit"], "Before") == "facefleet-workers.target"


@every_service
def test_a_failure_is_tried_again_for_ever_and_wrong_settings_never(name: str) -> None:
    unit = service(name)
    assert only(unit, "Restart") == "on-failure"
    assert only(unit, "RestartPreventExitStatus") == str(EXIT_UNUSABLE)
    assert only(read(name)["Unit"], "StartLimitIntervalSec") == "0"
    assert only(unit, "ExecStartPre") == "-/opt/facefleet/bin/facefleet-backoff %n"


def test_a_worker_has_the_time_to_finish_its_image() -> None:
    assert seconds(service("facefleet-worker@.service"), "TimeoutStopSec") > MAX_WAIT + MAX_WORK


def test_the_web_tier_has_the_time_to_answer_the_uploads_in_hand() -> None:
    assert seconds(service("facefleet-web.service"), "TimeoutStopSec") > Settings().drain_timeout


def test_the_relay_has_the_time_to_finish_what_is_in_hand() -> None:
    longest = WAITS * Settings().relay_timeout + START_TIMEOUT + END_TIMEOUT
    assert seconds(service("facefleet-relay.service"), "TimeoutStopSec") > longest + LOOK


def test_the_relays_results_lie_where_its_unit_may_write() -> None:
    """By default; a folder elsewhere is to be named to both."""
    unit = service("facefleet-relay.service")
    assert not Settings().relay_folder.is_absolute()
    assert only(unit, "WorkingDirectory") == f"%S/{only(unit, 'StateDirectory')}"


def test_the_installer_takes_the_relay_by_name() -> None:
    script = (SYSTEMD / "install.sh").read_text()
    roles = re.search(r"^    (web .*)\) ;;$", script, re.MULTILINE)
    assert roles is not None and "relay" in roles[1].split(" | ")
    assert "unit=facefleet-$role.service" in script


def test_no_watchdog_barks_at_what_is_well() -> None:
    """A process says that it lives three times at least in the time that it is given."""
    said_every = {
        "facefleet-worker@.service": ALIVE_EVERY,
        "facefleet-controller.service": max(LONGEST_TICK, STAND_BY),
        "facefleet-web.service": LOOK_EVERY,
        "facefleet-relay.service": BEAT,
    }
    for name, often in said_every.items():
        assert 3 * often <= seconds(service(name), "WatchdogSec")


def test_a_process_that_hangs_is_gone_soon_after_its_watchdog_barked() -> None:
    for name in SERVICES:
        assert seconds(service(name), "TimeoutAbortSec") <= 10


def test_the_way_to_the_instances_metadata_is_open() -> None:
    """There are its credentials, and the notice of its end."""
    assert NOTICE_EVERY < 120
    for name in SERVICES:
        unit = service(name)
        assert "AF_INET" in only(unit, "RestrictAddressFamilies").split()
        assert not unit.keys() & {"IPAddressDeny", "PrivateNetwork"}


def test_what_is_forbidden_is_forbidden_to_all() -> None:
    """But that gunicorn's processes may raise their limit of open files; and each has its own time to end."""
    differ = {"SystemCallFilter", "LimitNOFILE", "ExecStart", "Environment", "WatchdogSec", "TimeoutStopSec"}
    hardened = [{key: value for key, value in service(name).items() if key not in differ} for name in SERVICES]
    assert all(one == hardened[0] for one in hardened)
    assert hardened[0]["NoNewPrivileges"] == ["yes"]


def test_there_is_a_worker_for_each_core(tmp_path: Path) -> None:
    subprocess.run([SYSTEMD / "facefleet-workers.generator", tmp_path, tmp_path, tmp_path], check=True, timeout=20)
    wanted = tmp_path / "facefleet-workers.target.wants"
    cores = len(os.sched_getaffinity(0))
    assert {link.name for link in wanted.iterdir()} == {f"facefleet-worker@{n}.service" for n in range(cores)}
    assert all(str(link.readlink()) == "/etc/systemd/system/facefleet-worker@.service" for link in wanted.iterdir())


def waits(tmp_path: Path, restarts: int, good_minutes: float) -> float:
    """Seconds that are waited before the next start, where systemd's answers and the sleep are written down."""
    ran = int(good_minutes * 60e6)
    says = f'case "$2" in *=NRestarts) echo {restarts} ;; *Exit*) echo {5 + ran} ;; *) echo 5 ;; esac'
    for name, does in {"systemctl": says, "sleep": f"echo $1 > {tmp_path}/slept"}.items():
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n{does}\n")
        program.chmod(0o755)
    (tmp_path / "slept").write_text("0")
    env = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    subprocess.run([SYSTEMD / "facefleet-backoff", "a.service"], check=True, env=env, timeout=20)
    return float((tmp_path / "slept").read_text())


@pytest.mark.parametrize(
    ("restarts", "seconds"), [(0, 0), (1, 2), (2, 4), (3, 8), (4, 16), (5, 32), (6, 60), (7, 60), (1000, 60)]
)
def test_what_fails_again_and_again_is_started_later_and_later(tmp_path: Path, restarts: int, seconds: float) -> None:
    assert seconds / 2 <= waits(tmp_path, restarts, good_minutes=0.1) <= seconds * 1.5


def test_what_was_well_for_long_is_started_at_once(tmp_path: Path) -> None:
    assert waits(tmp_path, restarts=9, good_minutes=11) == 0


def test_a_unit_is_given_the_time_to_wait_and_to_start() -> None:
    for name in SERVICES:
        assert seconds(service(name), "TimeoutStartSec") >= 1.5 * 60 + 60
