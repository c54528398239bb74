"""Instances come when asked for, drain when asked to go, and are known to whoever looks next."""

import os
import signal

import pytest

from facefleet.model import InstanceState

from .conftest import MakeFleet
from .workers import NAME, Diary, await_end, command, launch, states


def test_a_new_fleet_is_empty(make_fleet: MakeFleet) -> None:
    assert make_fleet().instances() == []


def test_what_is_launched_is_there_at_once_and_works(make_fleet: MakeFleet, diary: Diary) -> None:
    fleet = make_fleet()
    launch(fleet, 2)
    instances = states(fleet)
    assert len(instances) == 2
    assert set(instances.values()) <= {InstanceState.PENDING, InstanceState.RUNNING}
    assert all(id.startswith(NAME) for id in instances)
    assert diary.expect("works", 2) == set(instances)


def test_who_is_retired_is_told_to_drain_and_then_gone(make_fleet: MakeFleet, diary: Diary) -> None:
    fleet = make_fleet()
    launch(fleet, 2)
    retired, kept = sorted(diary.expect("works", 2))
    fleet.retire([retired])
    assert diary.expect("drains") == {retired}
    await_end(diary.processes[retired])
    assert set(states(fleet)) == {kept}
    assert diary.zombies() == set()


def test_one_that_drains_is_listed_as_draining_until_it_is_gone(make_fleet: MakeFleet, diary: Diary) -> None:
    fleet = make_fleet(run=command(stops=False))
    launch(fleet)
    (id,) = diary.expect("works")
    fleet.retire([id])
    diary.expect("drains")
    assert states(fleet) == {id: InstanceState.DRAINING}


def test_one_asked_again_in_time_goes_on_draining_undisturbed(make_fleet: MakeFleet, diary: Diary) -> None:
    fleet = make_fleet(run=command(stops=False))
    launch(fleet)
    (id,) = diary.expect("works")
    fleet.retire([id])
    diary.expect("drains")
    (before,) = fleet.instances()
    fleet.retire([id])
    assert fleet.instances() == [before]
    # It was neither killed nor told a second time: what it says next, it says to us.
    os.kill(diary.processes[id], signal.SIGUSR1)
    diary.expect("lives")


@pytest.mark.parametrize("drains_first", [True, False])
def test_one_that_is_ended_is_gone_whatever_it_does(make_fleet: MakeFleet, diary: Diary, *, drains_first: bool) -> None:
    fleet = make_fleet(run=command(stops=False))
    launch(fleet)
    (id,) = diary.expect("works")
    if drains_first:
        fleet.retire([id])
        diary.expect("drains")
    fleet.end([id])
    await_end(diary.processes[id])
    assert fleet.instances() == []
    assert diary.zombies() == set()
    fleet.end([id])


def test_a_killed_instance_disappears(make_fleet: MakeFleet, diary: Diary) -> None:
    fleet = make_fleet()
    launch(fleet, 2)
    killed, kept = sorted(diary.expect("works", 2))
    os.kill(diary.processes[killed], signal.SIGKILL)
    await_end(diary.processes[killed])
    assert set(states(fleet)) == {kept}
    assert diary.zombies() == set()


def test_to_retire_or_end_nobody_known_is_harmless(make_fleet: MakeFleet, diary: Diary) -> None:
    fleet = make_fleet()
    launch(fleet)
    works = diary.expect("works")
    for verb in (fleet.retire, fleet.end, fleet.start):
        verb(["nobody", f"{NAME}-00000000", "../../etc/passwd", ""])
        verb([])
    assert set(states(fleet)) == works


def test_to_retire_one_that_is_gone_is_harmless(make_fleet: MakeFleet, diary: Diary) -> None:
    fleet = make_fleet()
    launch(fleet)
    (id,) = diary.expect("works")
    fleet.retire([id])
    diary.expect("drains")
    await_end(diary.processes[id])
    fleet.retire([id])
    assert fleet.instances() == []


def test_a_second_controller_sees_and_retires_the_same_instances(make_fleet: MakeFleet, diary: Diary) -> None:
    launch(make_fleet(), 2)
    works = diary.expect("works", 2)
    second = make_fleet()
    assert set(states(second)) == works
    second.retire(sorted(works))
    assert diary.expect("drains", 2) == works
    assert set(states(second).values()) <= {InstanceState.DRAINING}
