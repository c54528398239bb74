"""What only a fleet of processes has to get right: records, numbers used again, and a controller that was killed."""

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from facefleet.backends.embedded.fleet import ProcessFleet
from facefleet.model import InstanceState

from .conftest import MakeFleet
from .workers import NAME, Diary, await_end, await_none, command, launch, states

#: A controller that launches two and is killed before it can do anything else.
CRASHING_CONTROLLER = """
import os, signal, sys
from pathlib import Path
from facefleet.backends.embedded.fleet import ProcessFleet
folder, worker, name = sys.argv[1:]
fleet = ProcessFleet(Path(folder), [sys.executable, "-c", worker], name=name, env=dict(os.environ))
for token in ("0a" * 16, "0b" * 16):
    fleet.launch(token, "process")
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
    launch(make_fleet())
    (id,) = diary.expect("works")
    other = ProcessFleet(tmp_path / "other", command(), name=NAME, env=dict(os.environ))
    other.retire([id])
    assert other.instances() == []
    assert states(make_fleet()) == {id: InstanceState.RUNNING}


def test_another_process_under_a_remembered_number_is_not_ours(make_fleet: MakeFleet, tmp_path: Path) -> None:
    """Numbers are used again: this very process is not to be ended for a worker that had its number once."""
    fleet = make_fleet()
    (tmp_path / "fleet" / f"{NAME}-old.lock").touch()
    (tmp_path / "fleet" / f"{NAME}-old.json").write_text(json.dumps({"pid": os.getpid(), "launched_at": 1.0}))
    fleet.retire([f"{NAME}-old"])
    fleet.end([f"{NAME}-old"])
    assert fleet.instances() == []


def test_an_instance_that_somebody_else_found_dead_first_is_buried_all_the_same(
    make_fleet: MakeFleet, diary: Diary
) -> None:
    """Only who launched it can: `facefleet up` looks at the fleet beside the controller."""
    launcher, other = make_fleet(), make_fleet()
    launch(launcher)
    (id,) = diary.expect("works")
    os.kill(diary.processes[id], signal.SIGKILL)
    await_end(diary.processes[id])
    assert (other.instances(), launcher.instances()) == ([], [])
    assert diary.zombies() == set()


def test_nothing_stays_of_an_instance_that_is_gone_but_its_log(
    make_fleet: MakeFleet, diary: Diary, tmp_path: Path
) -> None:
    fleet = make_fleet()
    launch(fleet)
    (id,) = diary.expect("works")
    fleet.retire([id])
    diary.expect("drains")
    await_end(diary.processes[id])
    assert fleet.instances() == []
    assert [path.name for path in (tmp_path / "fleet").iterdir() if id in path.name] == []


def test_a_worker_that_cannot_start_is_no_instance_for_long(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(run=["/nothing/here"])
    launch(fleet)
    await_none(fleet)


def test_what_workers_say_is_in_a_log_beside_the_records(make_fleet: MakeFleet, tmp_path: Path) -> None:
    fleet = make_fleet(run=["/bin/sh", "-c", "echo I am $0"])
    launch(fleet)
    await_none(fleet)
    assert (tmp_path / "fleet" / "workers.log").read_text().startswith(f"I am {NAME}-")


def test_one_that_has_not_said_yet_who_it_is_was_pending_since_its_launch(
    make_fleet: MakeFleet, diary: Diary, tmp_path: Path
) -> None:
    """A worker is a record and a lock: here the record is not written yet."""
    fleet = make_fleet()
    (id,) = launch(fleet)
    diary.expect("works")
    (running,) = fleet.instances()
    (tmp_path / "fleet" / f"{id}.json").unlink()
    (pending,) = fleet.instances()
    assert (pending.state, pending.token) == (InstanceState.PENDING, running.token)
    assert pending.since == pending.launched_at == running.launched_at <= running.since
    assert fleet.instances() == [pending]
    fleet.end([id])
    await_none(fleet)


def test_two_that_ask_with_one_token_at_once_get_one_process(make_fleet: MakeFleet, diary: Diary) -> None:
    fleets = [make_fleet() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        ids = set(pool.map(lambda fleet: fleet.launch("ab" * 16, "process"), fleets))
    assert diary.expect("works") == ids
    assert set(states(fleets[0])) == ids


def test_the_token_of_a_process_that_is_gone_may_be_used_again(make_fleet: MakeFleet, diary: Diary) -> None:
    """Who crashed after a launch asks again, and gets one that lives, whatever became of the first."""
    fleet = make_fleet()
    for _ in range(2):
        id = fleet.launch("cd" * 16, "process")
        assert diary.expect("works") == {id}
        os.kill(diary.processes[id], signal.SIGKILL)
        await_end(diary.processes[id])
