"""Of who is killed nothing stays: neither of a control plane, nor of the machines behind its servers."""

import fcntl
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import pytest

from bench.cage import Cage
from bench.local import awaited
from bench.numbers import LOCKS
from bench.openstack_plane import missing

pytestmark = [pytest.mark.openstack, pytest.mark.machine]

ROOT = Path(__file__).parent.parent.parent
#: A plane and a machine behind a server of it, both booting; says their numbers.
BOOTS = """
import sys, time
from pathlib import Path
from bench.numbers import number_of_own
from bench.openstack_making import machine_of
from bench.openstack_plane import MADE, MOST_PLANES
from bench.server_machines import machines
from bench.server_states import Server
folder = Path(sys.argv[1])
with (
    number_of_own("plane", most=MOST_PLANES) as own,
    machine_of(MADE, folder, own) as (plane, _),
    machines(folder) as behind,
):
    plane.power_on()
    behind.start(Server("a", "one", "ACTIVE"))
    for machine in (plane, behind.machine("a")):
        machine.run("systemctl", "is-system-running", check=False)
    print(own.number, behind.number, flush=True)
    time.sleep(120)
"""


def test_of_a_killed_one_nothing_stays(tmp_path: Path) -> None:
    """Whoever has its number next finds no machine of it, no mount, network or control group."""
    if why := missing():
        pytest.skip(why)
    command = [sys.executable, "-c", BOOTS, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        names = [
            f"{kind}{number}"
            for kind, number in zip(("plane", "servers"), process.stdout.readline().split(), strict=True)
        ]
        assert len(left(tmp_path, names)) > 10
        process.kill()
    with ExitStack() as locks:
        for name in names:
            lock = locks.enter_context((LOCKS / f"facefleet-{name}").open("w"))
            awaited(lambda lock=lock: is_ours(lock), f"nobody has {name} any more")
        assert left(tmp_path, names) == []


def is_ours(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def left(folder: Path, names: list[str]) -> list[str]:
    """Of machines and networks that are called so, and what is mounted in the folder."""
    mounts = [line for line in Path("/proc/self/mounts").read_text().splitlines() if str(folder) in line]
    groups = [group for name in names for group in Cage(name).groups if group.exists()]
    links = [
        path
        for path in Path("/sys/class/net").iterdir()
        if path.name.replace("srv", "servers").startswith(tuple(names))
    ]
    spaces = [path for path in Path("/run/netns").iterdir() if path.name.startswith(tuple(names))]
    return [*mounts, *map(str, (*groups, *links, *spaces))]
