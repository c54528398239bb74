"""The Pi's client on a machine: what somebody who has one does there, and sees."""

import csv
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from services import Service, until

from .nspawn import Machine

UNIT, POWEROFF = "pi_uploader.service", "pi_uploader-poweroff.path"
FOLDER = "/home/pi/pi_uploader"
HOME, SETTINGS, DATA = "opt/pi_uploader", "etc/pi_uploader.toml", "var/lib/pi_uploader"
#: The client where its button's pin is pulled down by SIGUSR2, and stays down.
HELD = """\
import runpy, signal
from gpiozero import Device
from gpiozero.pins.mock import MockFactory
Device.pin_factory = MockFactory()
signal.signal(signal.SIGUSR2, lambda *_: Device.pin_factory.pin(17).drive_low())
runpy.run_module("pi_uploader", run_name="__main__")
"""


def install(machine: Machine, *args: str, **env: str) -> str:
    """As whoever set the Pi up, who may use sudo."""
    environment = (f"{name}={value}" for name, value in env.items())
    return machine.run("runuser", "-u", "pi", "--", "env", *environment, f"{FOLDER}/install.sh", *args)


def leave_while_it_checks(machine: Machine) -> None:
    """An installation whose terminal goes while it waits for a service that says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        machine.run("systemd-run", "--unit=installs", "--quiet", f"{FOLDER}/install.sh", url)
        until(lambda: machine.run("pgrep", "--full", "pi_uploader --check", check=False), say="it checks")
        machine.run("systemctl", "kill", "--kill-who=main", "--signal=SIGHUP", "installs.service")


def set_to(machine: Machine, **values: object) -> None:
    """As somebody does it with an editor."""
    file = machine.disk / SETTINGS
    lines = file.read_text().splitlines()
    for name, value in values.items():
        (place,) = (n for n, line in enumerate(lines) if line.lstrip("#").startswith(f"{name} = "))
        lines[place] = f'{name} = "{value}"' if isinstance(value, str) else f"{name} = {value}"
    file.write_text("\n".join(lines) + "\n")


def settings(machine: Machine) -> list[str]:
    return [line for line in (machine.disk / SETTINGS).read_text().splitlines() if line and not line.startswith("#")]


def press(machine: Machine) -> None:
    """Returns once the capture is in the spool, or answered."""
    before = seen(machine)
    machine.run("systemctl", "kill", "--signal=SIGUSR1", UNIT)
    until(lambda: seen(machine) > before, say="a capture")


def seen(machine: Machine) -> int:
    return len(waiting(machine)) + len(answers(machine))


def waiting(machine: Machine) -> set[str]:
    """The keys of the captures in the spool."""
    answered = {answer["key"] for answer in answers(machine)}
    return {name.split("_")[2] for name in names(machine) if name.endswith(".jpg")} - answered


def names(machine: Machine) -> list[str]:
    return [path.name for path in (machine.disk / DATA / "spool").iterdir() if not path.name.startswith(".")]


def answers(machine: Machine) -> list[dict[str, str]]:
    file = machine.disk / DATA / "answers.csv"
    if not file.exists():
        return []
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))


def await_active(machine: Machine) -> None:
    until(lambda: machine.shows(UNIT, "ActiveState") == "active", say="the client takes presses")


@contextmanager
def away(service: Service) -> Iterator[None]:
    """The service, gone and back."""
    service.stop()
    yield
    service.start("web_tier")
    service.start("controller")
    service.await_ready()


def journal(machine: Machine) -> str:
    return machine.run("journalctl", "--output=cat", "--no-pager", f"--unit={UNIT}")


def refused(machine: Machine, *command: str) -> str:
    with pytest.raises(RuntimeError) as e:
        machine.run(*command)
    return str(e.value)


def cpu_seconds(machine: Machine, pid: str) -> float:
    user, system = machine.run("cat", f"/proc/{pid}/stat").rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def let_be_held(machine: Machine) -> None:
    """From now on SIGUSR2 presses the button, and does not let go."""
    (machine.disk / "srv/held.py").write_text(HELD)
    drop_in = machine.disk / f"etc/systemd/system/{UNIT}.d/held.conf"
    drop_in.parent.mkdir()
    command = f"/{HOME}/bin/python /srv/held.py --settings /{SETTINGS}"
    drop_in.write_text(f"[Service]\nExecStart=\nExecStart={command}\n")
    machine.run("systemctl", "daemon-reload")
