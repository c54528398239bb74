"""What is EC2's alone: whose instances are touched, the warm pool, spot, and answers that are lost or refused."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from services import until

from bench.emulators import Emulator
from facefleet.backends.aws.fleet import Ec2Fleet
from facefleet.errors import Conflict, NoCapacity, Throttled, Unavailable
from facefleet.model import InstanceState, Start

from .amazon import WORKER, Account, a_token, resting, running
from .workers import Diary, await_none, launch, states

RUNNING, STOPPED = InstanceState.RUNNING, InstanceState.STOPPED
#: Seconds of a world in which everything takes long.
LONG = 60.0


@pytest.fixture
def account(cloud: Emulator) -> Iterator[Account]:
    account = Account(cloud)
    yield account
    cloud.told("/_world", {"boot": 0.02, "stop": 0.02, "page": 1000, "command": []})
    account.close()
    fleet = account.fleet()
    fleet.end(list(states(fleet)))
    await_none(fleet)


@pytest.fixture
def fleet(account: Account) -> Ec2Fleet:
    return account.fleet()


def a_foreign_one(account: Account, tags: dict[str, str]) -> str:
    answer = account.ec2.run_instances(
        LaunchTemplate={"LaunchTemplateName": account.settings.launch_template},
        MinCount=1,
        MaxCount=1,
        TagSpecifications=[
            {"ResourceType": "instance", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
        ],
    )
    (instance,) = answer["Instances"]
    until(lambda: account.instances()[instance["InstanceId"]]["state"] == "running")
    return instance["InstanceId"]


def test_what_is_launched_says_whose_it_is_and_gives_no_credentials_to_whom_it_fetches_for(
    account: Account, fleet: Ec2Fleet
) -> None:
    token = a_token()
    id = fleet.launch(token, fleet.offers[0])
    launched, name = account.instances()[id], account.settings.instance_name
    assert launched["tags"].items() >= {
        ("facefleet:fleet", name),
        ("facefleet:token", token),
        ("Name", f"{name}-{token[:8]}"),
    }
    assert launched["http_tokens"] == "required"
    assert launched["type"] == "t3.medium"


@pytest.mark.parametrize("tags", [{"Name": "app-tier-instance-1"}, {"facefleet:fleet": "another"}])
def test_instances_of_others_are_neither_listed_nor_touched(account: Account, tags: dict[str, str]) -> None:
    fleet = account.fleet(warm_pool=5)
    theirs = a_foreign_one(account, tags)
    (ours,) = running(fleet)
    assert set(states(fleet)) == {ours}
    for verb in (fleet.start, fleet.retire, fleet.end):
        verb([theirs])
    fleet.tidy()
    assert account.instances()[theirs]["state"] == "running"
    account.ec2.stop_instances(InstanceIds=[theirs])
    until(lambda: account.instances()[theirs]["state"] == "stopped")
    for verb in (fleet.start, fleet.retire, fleet.end):
        verb([theirs, ours])
    account.fleet(warm_pool=0).tidy()
    assert account.instances()[theirs]["state"] == "stopped"


def test_who_is_retired_rests_while_the_warm_pool_has_room_and_the_others_are_terminated(account: Account) -> None:
    fleet = account.fleet(warm_pool=2)
    for id in running(fleet, 4):
        # One by one, with no list in between.
        fleet.retire([id])
    until(lambda: list(states(fleet).values()) == [STOPPED, STOPPED])


def test_one_retired_on_its_way_up_rests_once_it_can_be_stopped(account: Account) -> None:
    fleet = account.fleet(warm_pool=1)
    account.cloud.told("/_world", {"boot": 0.3})
    (id,) = launch(fleet)

    def rests() -> bool:
        known = states(fleet)
        fleet.retire([id])
        return known[id] is STOPPED

    until(rests)


def test_one_that_starts_from_the_warm_pool_says_so_and_is_paid_for_from_then_on(account: Account) -> None:
    fleet = account.fleet(warm_pool=1)
    (id,) = resting(fleet)
    (before,) = fleet.instances()
    assert before.start is Start.LAUNCH
    # EC2 tells the time of a launch in whole seconds.
    until(lambda: time.time() > before.launched_at + 1)
    fleet.start([id])
    until(lambda: states(fleet) == {id: RUNNING})
    (after,) = fleet.instances()
    assert after.start is Start.POOL
    assert after.launched_at > before.launched_at
    assert after.token == before.token


def test_one_that_still_stops_does_not_keep_the_others_from_starting(account: Account) -> None:
    fleet = account.fleet(warm_pool=2)
    (stopped,) = resting(fleet)
    (stopping,) = running(fleet)
    account.cloud.told("/_world", {"stop": LONG})
    fleet.retire([stopping])
    fleet.start([stopped, stopping])
    until(lambda: states(fleet) == {stopped: RUNNING, stopping: InstanceState.STOPPING})


def test_what_exceeds_the_warm_pool_is_terminated_the_oldest_first(account: Account) -> None:
    fleet = account.fleet(warm_pool=3)
    (oldest,) = resting(fleet)
    (since,) = [one.since for one in fleet.instances()]
    until(lambda: time.time() > since + 1)
    newer = resting(fleet, 2)
    account.fleet(warm_pool=2).tidy()
    until(lambda: oldest not in states(fleet))
    assert states(fleet) == dict.fromkeys(newer, STOPPED)


def test_a_spot_instance_is_asked_for_and_is_never_stopped(account: Account) -> None:
    fleet = account.fleet(spot_share=1.0, warm_pool=5)
    assert fleet.offers == ("t3.medium/spot", "t3.medium")
    (id,) = running(fleet)
    assert account.instances()[id]["spot"]
    fleet.retire([id])
    await_none(fleet)


def test_without_spot_capacity_the_offer_on_demand_is_left(account: Account) -> None:
    fleet = account.fleet(spot_share=1.0)
    account.cloud.told("/_faults", {"no_capacity": ["spot"]})
    with pytest.raises(NoCapacity):
        fleet.launch(a_token(), "t3.medium/spot")
    id = fleet.launch(a_token(), "t3.medium")
    assert not account.instances()[id]["spot"]


def test_where_no_more_are_left_it_is_said_so_whether_new_or_from_the_pool(account: Account) -> None:
    fleet = account.fleet(warm_pool=1)
    (id,) = resting(fleet)
    account.cloud.told("/_faults", {"no_capacity": ["t3.medium"]})
    with pytest.raises(NoCapacity):
        launch(fleet)
    with pytest.raises(NoCapacity):
        fleet.start([id])
    assert states(fleet) == {id: STOPPED}


def stale(fleet: Ec2Fleet) -> set[str]:
    return {one.id for one in fleet.instances() if one.is_stale}


def test_after_an_upgrade_those_are_stale_that_were_made_before_until_it_is_rolled_back(account: Account) -> None:
    fleet = account.fleet(warm_pool=2)
    (rests,), (runs,) = resting(fleet), running(fleet)
    by_hand = a_foreign_one(account, {"facefleet:fleet": account.settings.instance_name})
    account.ec2.delete_tags(Resources=[by_hand], Tags=[{"Key": "aws:ec2launchtemplate:version"}])
    account.upgrade()
    assert stale(fleet) == set(), "what EC2 said a moment ago holds"
    (newer,) = launch(fleet)
    until(lambda: stale(fleet) == {rests, runs})
    assert stale(account.fleet()) == {rests, runs}
    account.make_default(1)
    assert stale(account.fleet()) == {newer}


def test_to_know_who_is_stale_costs_no_call_at_each_look(account: Account, fleet: Ec2Fleet) -> None:
    running(fleet)
    before = account.cloud.told("/_counts")["DescribeLaunchTemplates"]
    for _ in range(10):
        fleet.instances()
    assert account.cloud.told("/_counts")["DescribeLaunchTemplates"] == before


def test_a_template_that_may_not_be_seen_makes_nobody_stale(account: Account) -> None:
    (id,) = running(account.fleet())
    assert stale(account.fleet(launch_template="no-such-template")) == set()
    assert set(states(account.fleet())) == {id}


def test_a_stale_one_rests_besides_fresh_ones_and_is_the_first_that_is_too_much(account: Account) -> None:
    fleet = account.fleet(warm_pool=1)
    (old,) = resting(fleet)
    account.upgrade()
    fleet = account.fleet(warm_pool=1)
    (new,) = resting(fleet)
    assert states(fleet) == {old: STOPPED, new: STOPPED}
    fleet.tidy()
    until(lambda: states(fleet) == {new: STOPPED})


def test_one_that_rests_can_be_ended(account: Account) -> None:
    fleet = account.fleet(warm_pool=1)
    fleet.end(resting(fleet))
    await_none(fleet)


def test_a_launch_that_ec2_refuses_for_what_it_asks_leaves_the_next_offer(account: Account) -> None:
    with pytest.raises(NoCapacity, match=r"InvalidSubnetID\.NotFound: .*subnet-00000000"):
        launch(account.fleet(subnets="subnet-00000000"))


def test_a_stopped_instance_that_cannot_start_is_no_capacity(account: Account) -> None:
    fleet = account.fleet(warm_pool=1)
    (id,) = resting(fleet)
    account.ec2.terminate_instances(InstanceIds=[id])
    with pytest.raises(NoCapacity, match="IncorrectInstanceState"):
        fleet.start([id])


def test_one_that_may_not_be_stopped_keeps_no_other_from_going(account: Account) -> None:
    fleet = account.fleet(warm_pool=2)
    kept, *others = sorted(running(fleet, 3), key=list(account.instances()).index)
    account.ec2.modify_instance_attribute(InstanceId=kept, DisableApiStop={"Value": True})
    with pytest.raises(Unavailable, match=f"{kept}.*OperationNotPermitted"):
        fleet.retire([kept, *others])
    until(lambda: sorted(states(fleet).values()) == sorted([RUNNING, STOPPED]))
    assert states(fleet)[kept] is RUNNING


def test_who_asks_too_often_is_told_so_by_every_verb(account: Account, fleet: Ec2Fleet) -> None:
    (id,) = running(fleet)
    account.cloud.told("/_faults", {"throttle": 1.0})
    for ask in (fleet.instances, lambda: launch(fleet), lambda: fleet.retire([id]), lambda: fleet.end([id])):
        with pytest.raises(Throttled):
            ask()


def test_an_answer_that_is_lost_brings_no_second_instance(account: Account, fleet: Ec2Fleet) -> None:
    token = a_token()
    account.cloud.told("/_faults", {"cut": {"RunInstances": 1}})
    with pytest.raises(Unavailable):
        fleet.launch(token, fleet.offers[0])
    id = fleet.launch(token, fleet.offers[0])
    assert set(account.mine()) == {id}


def test_a_token_asked_for_something_else_is_refused(account: Account) -> None:
    fleet, token = account.fleet(instance_types="t3.medium, t3a.medium"), a_token()
    fleet.launch(token, "t3.medium")
    for offer in ("t3a.medium", "no-longer-offered"):
        with pytest.raises(Conflict):
            fleet.launch(token, offer)
    assert len(account.mine()) == 1


def test_a_fleet_of_many_pages_is_listed_to_the_last(account: Account, fleet: Ec2Fleet) -> None:
    ids = launch(fleet, 5)
    account.cloud.told("/_world", {"page": 2})
    before = account.cloud.told("/_counts")["DescribeInstances"]
    assert set(states(fleet)) == ids
    assert account.cloud.told("/_counts")["DescribeInstances"] - before >= 3


def test_one_just_launched_can_be_ended_before_any_list_shows_it(account: Account, fleet: Ec2Fleet) -> None:
    account.cloud.told("/_faults", {"lag": LONG})
    (id,) = launch(fleet)
    fleet.end([id])
    until(lambda: account.instances()[id]["state"] == "terminated")


def test_who_is_retired_is_told_to_drain_and_one_that_does_not_end_can_be_ended(
    account: Account, tmp_path: Path
) -> None:
    diary, fleet = Diary(tmp_path / "diary"), account.fleet(warm_pool=1)
    account.cloud.told("/_world", {"command": WORKER, "env": {"DIARY": str(tmp_path / "diary")}, "grace": LONG})
    (id,) = launch(fleet)
    assert diary.expect("works") == {id}
    until(lambda: states(fleet) == {id: RUNNING})
    fleet.retire([id])
    assert diary.expect("drains") == {id}
    assert states(fleet) == {id: InstanceState.STOPPING}
    fleet.end([id])
    await_none(fleet)
    diary.processes.clear()
    diary.close()
