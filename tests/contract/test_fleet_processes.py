"""What only a fleet of processes has to get right: records, numbers used again, and a controller that was killed."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from facefleet.backends.embedded.fleet import ProcessFleet
from facefleet.model import InstanceState

from .conftest import MakeFleet
from .workers import NAME, Diary, await_end, await_none, command, states

#: A controller that launches two and is killed before it can do anything else.
CRASHING_CONTROLLER = """
import os, signal, sys
from pathlib import Path
from facefleet.backends.embedded.fleet import ProcessFleet
folder, worker, name = sys.argv[1:]
fleet = ProcessFleet(Path(folder), [sys.executable, "-c", worker], name=name, env=dict(os.environ), grace=60.0)
fleet.launch(2)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_fleet_of_a_killed_controller_lives_on_and_is_found(
    make_fleet: MakeFleet, diary: Diary, tmp_path: Path
) -> None:
    env = dict(os.environ) | {"DIARY": str(tmp_path / "diary"), "FACEFLEET_DATA": str(tmp_path)}
    worker = command()[2]
    crashed = subprocess.run([sys.executable, "-c", CRASHING_CONTROLLER, tmp_path / "fleet", worker, NAME], env=env)
    assert crashed.returncode == -signal.SIGKILL
    works = diary.expect("works", 2)
    fleet = make_fleet()
    assert set(states(fleet)) == works
    fleet.retire(sorted(works))
    assert diary.expect("drains", 2) == works


def test_an_instance_of_another_data_folder_is_left_alone(make_fleet: MakeFleet, diary: Diary, tmp_path: Path) -> None:
    make_fleet().launch(1)
    (id,) = diary.expect("works")
    other = ProcessFleet(tmp_path / "other", command(), name=NAME, env=dict(os.environ), grace=0.0)
    other.retire([id])
    assert other.instances() == []
    assert states(make_fleet()) == {id: InstanceState.RUNNING}


def test_another_process_under_a_remembered_number_is_not_ours(make_fleet: MakeFleet, tmp_path: Path) -> None:
    """Numbers are used again: this very process is not to be ended for a worker that had its number once."""
    fleet = make_fleet(grace=0.0)
    (tmp_path / "fleet" / f"{NAME}-old.lock").touch()
    (tmp_path / "fleet" / f"{NAME}-old.json").write_text(json.dumps({"pid": os.getpid(), "launched_at": 1.0}))
    fleet.retire([f"{NAME}-old"])
    fleet.retire([f"{NAME}-old"])
    assert fleet.instances() == []


def test_an_instance_that_somebody_else_found_dead_first_is_buried_all_the_same(
    make_fleet: MakeFleet, diary: Diary
) -> None:
    """Only who launched it can: `facefleet up` looks at the fleet beside the controller."""
    launcher, other = make_fleet(), make_fleet()
    launcher.launch(1)
    (id,) = diary.expect("works")
    os.kill(diary.processes[id], signal.SIGKILL)
    await_end(diary.processes[id])
    assert (other.instances(), launcher.instances()) == ([], [])
    assert diary.zombies() == set()


def test_nothing_stays_of_an_instance_that_is_gone_but_its_log(
    make_fleet: MakeFleet, diary: Diary, tmp_path: Path
) -> None:
    fleet = make_fleet()
    fleet.launch(1)
    (id,) = diary.expect("works")
    fleet.retire([id])
    diary.expect("drains")
    await_end(diary.processes[id])
    assert fleet.instances() == []
    assert [path.name for path in (tmp_path / "fleet").iterdir() if id in path.name] == []


def test_a_worker_that_cannot_start_is_no_instance_for_long(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(run=["/nothing/here"])
    fleet.launch(1)
    await_none(fleet)


def test_what_workers_say_is_in_a_log_beside_the_records(make_fleet: MakeFleet, tmp_path: Path) -> None:
    fleet = make_fleet(run=["/bin/sh", "-c", "echo I am $0"])
    fleet.launch(1)
    await_none(fleet)
    assert (tmp_path / "fleet" / "workers.log").read_text().startswith(f"I am {NAME}-")
