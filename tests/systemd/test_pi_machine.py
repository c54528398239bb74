"""The Pi's client on a machine that systemd boots, as its `install.sh` leaves it: no pins, and a folder as its camera.

What stands here goes on from test to test, as a machine does.
"""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from services import Service, running, until

from . import nspawn
from .nspawn import PACKAGES, PROJECT, Machine
from .pi import (
    DATA,
    FOLDER,
    HOME,
    POWEROFF,
    SETTINGS,
    UNIT,
    answers,
    await_active,
    away,
    cpu_seconds,
    install,
    journal,
    leave_while_it_checks,
    let_be_held,
    names,
    press,
    refused,
    set_to,
    settings,
    waiting,
)

pytestmark = [pytest.mark.machine, pytest.mark.timeout(240)]

KEY = "a-key-that-this-service-does-not-ask-for"
#: The share of a core, and the bytes, that it may take while nobody presses.
IDLE_SHARE, MAX_RESIDENT = 0.05, 80_000_000
LOOK_FOR = 10.0


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("service")) as service:
        assert service.enrol("obama", photos / "obama.jpg").status_code == 201
        yield service


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Iterator[Machine]:
    """With the copied folder, and no network: libraries are the project's, seen through a path."""
    if why := nspawn.cannot():
        pytest.skip(why)
    with nspawn.machine(tmp_path_factory.mktemp("machine")) as machine:
        machine.boot()
        machine.run("useradd", "--create-home", "pi")
        (machine.disk / "etc/sudoers.d/pi").write_text("pi ALL=(ALL) NOPASSWD: ALL\n")
        machine.run("mkdir", "-p", "/srv/photos")
        machine.run("cp", "-r", f"{PROJECT}/pi_uploader", FOLDER)
        shutil.copy(photos / "obama2.jpg", machine.disk / "srv/photos")
        (machine.disk / "etc/apt/sources.list").write_text("")
        machine.run("python3", "-m", "venv", "--system-site-packages", f"/{HOME}")
        (machine.disk / HOME / "lib/python3.11/site-packages/project.pth").write_text(f"{PACKAGES}\n")
        yield machine


@pytest.fixture(scope="module")
def said(machine: Machine, service: Service) -> str:
    """What the installation says; from then on there is a camera."""
    said = install(machine, service.url, FACEFLEET_API_KEY=KEY)
    set_to(machine, camera="folder:/srv/photos", hold=0.5)
    machine.run("systemctl", "restart", UNIT)
    return said


def test_what_cannot_be_installed_is_refused_before_anything_is_done(machine: Machine) -> None:
    install_sh = f"{FOLDER}/install.sh"
    assert "usage: ./install.sh http://HOST:8000" in refused(machine, install_sh)
    assert "Name its URL" in refused(machine, install_sh)
    assert "begins with http:// or https://" in refused(machine, install_sh, "laptop:8000")
    assert "there is no --usb" in refused(machine, install_sh, "http://a", "--usb")
    assert "--erase goes with" in refused(machine, install_sh, "--erase")
    assert "sudo" in refused(machine, "runuser", "-u", "nobody", "--", install_sh, "http://a")
    assert not (machine.disk / SETTINGS).exists()
    assert "pi_uploader" not in machine.run("getent", "passwd")


def test_the_installation_says_what_it_goes_without_what_is_wrong_and_what_is_next(said: str, machine: Machine) -> None:
    assert "goes on without python3-lgpio (button and LEDs)" in said
    assert "goes on without python3-picamera2" in said
    assert f"writes /{SETTINGS}" in said
    assert "camera" in said.partition(f"writes /{SETTINGS}")[2]
    assert said.splitlines()[-1].startswith("install.sh: done. Next: see what is wrong above")


def test_it_runs_as_nobody_in_particular_and_what_it_keeps_is_not_for_everybody(said: str, machine: Machine) -> None:
    await_active(machine)
    assert machine.run("stat", "--format=%U", f"/proc/{machine.shows(UNIT, 'MainPID')}") == "pi_uploader"
    assert machine.run("stat", "--format=%U %G %a", f"/{SETTINGS}") == "root pi_uploader 640"
    assert machine.run("stat", "--format=%U %a", f"/{DATA}") == "pi_uploader 700"
    assert {"gpio", "video"} <= set(machine.run("id", "--groups", "--name", "pi_uploader").split())
    assert KEY not in journal(machine) + said
    assert machine.run("systemctl", "is-system-running", check=False) == "running"


def test_a_press_is_answered_and_its_photo_is_gone(said: str, machine: Machine) -> None:
    await_active(machine)
    press(machine)
    until(lambda: answers(machine) and not names(machine), say="an answer")
    assert [answer["people"] for answer in answers(machine)] == ["Obama"]
    until(lambda: "photo 1: Obama" in journal(machine), say="the answer is told")


def test_installed_again_it_keeps_its_settings_and_runs_the_new_code(
    said: str, machine: Machine, service: Service
) -> None:
    before, old = settings(machine), machine.shows(UNIT, "MainPID")
    assert f'api_key = "{KEY}"' in before
    (machine.disk / FOLDER[1:] / "news.py").write_text("NEWS = 1\n")
    again = install(machine)
    assert f"/{SETTINGS} stays as it is" in again
    assert "done. Next: press the button" in again
    assert settings(machine) == before
    assert machine.run(f"/{HOME}/bin/python", "-c", "from pi_uploader.news import NEWS; print(NEWS)") == "1"
    await_active(machine)
    assert machine.shows(UNIT, "MainPID") != old
    install(machine, "http://another:8000")
    moved = ['url = "http://another:8000"' if line.startswith("url = ") else line for line in before]
    assert settings(machine) == moved
    install(machine, service.url)
    assert settings(machine) == before


def test_settings_that_would_not_do_are_left_as_they_are(said: str, machine: Machine) -> None:
    before = settings(machine)
    assert f"/{SETTINGS} is left as it is" in refused(machine, f"{FOLDER}/install.sh", "http://:8000")
    assert settings(machine) == before
    assert machine.run("sh", "-c", f"ls /{SETTINGS}*") == f"/{SETTINGS}"


def test_a_check_by_hand_says_what_is_wrong_and_the_service_goes_on(
    said: str, machine: Machine, service: Service
) -> None:
    assert service.url in machine.run("pi_uploader", "--check")
    until(lambda: machine.shows(UNIT, "ActiveState") == "active")
    wrong = refused(machine, "pi_uploader", "--check", "--url", "http://127.0.0.1:9")
    assert "http://127.0.0.1:9" in wrong
    assert "no photos in /srv" in refused(machine, "pi_uploader", "--check", "--camera", "folder:/srv")
    await_active(machine)


def test_an_installation_that_is_left_while_it_checks_leaves_the_service_running(
    said: str, machine: Machine, service: Service
) -> None:
    leave_while_it_checks(machine)
    await_active(machine)
    install(machine, service.url)


def test_it_goes_on_saying_that_it_lives(said: str, machine: Machine) -> None:
    await_active(machine)
    before = int(machine.shows(UNIT, "WatchdogTimestampMonotonic"))
    until(lambda: int(machine.shows(UNIT, "WatchdogTimestampMonotonic")) > before, say="a sign of life")


def test_while_nobody_presses_it_takes_next_to_nothing(said: str, machine: Machine) -> None:
    await_active(machine)
    pid = machine.shows(UNIT, "MainPID")
    before = cpu_seconds(machine, pid)
    time.sleep(LOOK_FOR)
    assert (cpu_seconds(machine, pid) - before) / LOOK_FOR <= IDLE_SHARE
    status = dict(line.split(":", 1) for line in machine.run("cat", f"/proc/{pid}/status").splitlines())
    assert int(status["VmRSS"].split()[0]) * 1024 <= MAX_RESIDENT


def test_killed_while_the_service_is_away_it_starts_again_and_loses_nothing(
    said: str, machine: Machine, service: Service
) -> None:
    await_active(machine)
    before = len(answers(machine))
    with away(service):
        press(machine)
        restarts = int(machine.shows(UNIT, "NRestarts"))
        machine.run("systemctl", "kill", "--signal=SIGKILL", UNIT)
        until(lambda: int(machine.shows(UNIT, "NRestarts")) > restarts)
        await_active(machine)
        press(machine)
        assert len(waiting(machine)) == 2
    until(lambda: not names(machine), say="the spool is empty")
    assert [answer["people"] for answer in answers(machine)[before:]] == ["Obama"] * 2


def test_with_the_plug_pulled_while_the_service_is_away_it_loses_nothing(
    said: str, machine: Machine, service: Service
) -> None:
    await_active(machine)
    before = len(answers(machine))
    with away(service):
        press(machine)
        (taken,) = waiting(machine)
        machine.crash()
        assert not machine.is_up
        machine.boot()
        await_active(machine)
        assert waiting(machine) == {taken}
    until(lambda: not names(machine), say="the spool is empty")
    assert [(answer["key"], answer["people"]) for answer in answers(machine)[before:]] == [(taken, "Obama")]


def test_wrong_settings_are_said_and_not_tried_again(said: str, machine: Machine) -> None:
    file = machine.disk / SETTINGS
    right = file.read_text()
    file.write_text(f"nonsense = 1\n{right}")
    machine.run("systemctl", "restart", UNIT, check=False)
    file.write_text(right)
    shown = [machine.shows(UNIT, name) for name in ("ActiveState", "ExecMainStatus", "NRestarts")]
    assert shown == ["failed", "78", "0"]
    assert "there is no setting nonsense" in journal(machine)
    machine.run("systemctl", "start", UNIT)


def test_a_held_button_powers_the_machine_off_and_nothing_else_does(said: str, machine: Machine) -> None:
    let_be_held(machine)
    for verb in ("stop", "start", "restart"):
        machine.run("systemctl", verb, UNIT)
    assert machine.shows(POWEROFF, "ActiveState") == "active"
    machine.run("systemctl", "kill", "--signal=SIGUSR2", UNIT)
    assert machine.ended(seconds=60.0) == 0
    machine.boot()
    await_active(machine)
    assert machine.shows(POWEROFF, "ActiveState") == "active"


def test_removed_it_leaves_what_is_mine_and_erased_nothing(said: str, machine: Machine) -> None:
    install_sh = f"{FOLDER}/install.sh"
    assert f"photos without an answer and answers in /{DATA}" in machine.run(install_sh, "--uninstall")
    assert not (machine.disk / HOME).exists()
    assert machine.shows(UNIT, "LoadState") == "not-found"
    assert len(answers(machine)) > 0
    assert (machine.disk / SETTINGS).exists()
    assert "are removed" in machine.run(install_sh, "--uninstall", "--erase")
    left = machine.run("find", "/", "-xdev", "-name", "*pi_uploader*", "-not", "-path", f"{FOLDER}*")
    assert left == ""
    assert "pi_uploader" not in machine.run("getent", "passwd")
    assert machine.run("systemctl", "is-system-running", check=False) == "running"
