"""What is an Auto Scaling group's alone: how large it is to be is ours, and it replaces what dies."""

from collections.abc import Iterator

import pytest
from services import until

from bench.emulators import Emulator
from facefleet.backends.aws.group import GroupFleet
from facefleet.errors import NoCapacity, Throttled, Unavailable
from facefleet.model import InstanceState

from .amazon import Account, a_token
from .workers import states

RUNNING = InstanceState.RUNNING


@pytest.fixture
def account(cloud: Emulator) -> Iterator[Account]:
    account = Account(cloud).group(most=3)
    yield account
    account.close()


@pytest.fixture
def fleet(account: Account) -> GroupFleet:
    return account.group_fleet()


def running(fleet: GroupFleet, count: int) -> list[str]:
    """So many more, once they run."""
    tokens = {a_token() for _ in range(count)}
    for token in tokens:
        fleet.launch(token, "group")
    until(lambda: tokens <= {one.token for one in fleet.instances() if one.state is RUNNING})
    return [one.id for one in fleet.instances() if one.token in tokens]


def desired(account: Account) -> int:
    return account.described_group()["DesiredCapacity"]


def waiting(account: Account) -> list[str]:
    return [tag["Key"] for tag in account.described_group()["Tags"]]


def test_a_token_is_noted_on_the_group_until_its_instance_is_seen(account: Account, fleet: GroupFleet) -> None:
    token = a_token()
    account.cloud.told("/_faults", {"no_capacity": 1.0})
    assert fleet.launch(token, "group") == token
    assert waiting(account) == [f"facefleet:token:{token}"]
    assert fleet.instances() == []
    account.cloud.told("/_faults", {})
    (instance,) = fleet.instances()
    assert instance.token == token
    assert waiting(account) == []
    assert fleet.launch(token, "group") == instance.id
    tags, name = account.instances()[instance.id]["tags"], account.settings.instance_name
    assert tags["Name"] == f"{name}-{token[:8]}"


def test_a_token_that_waits_asks_for_one_however_often_and_by_whom_it_is_asked(account: Account) -> None:
    token = a_token()
    account.cloud.told("/_faults", {"no_capacity": 1.0})
    for _ in range(3):
        account.group_fleet().launch(token, "group")
    assert desired(account) == 1
    account.group_fleet().launch(a_token(), "group")
    assert desired(account) == 2


def test_a_token_that_was_noted_counts_while_the_groups_tags_do_not_show_it(
    account: Account, fleet: GroupFleet
) -> None:
    account.cloud.told("/_faults", {"no_capacity": 1.0})
    fleet.launch(a_token(), "group")
    (key,), name = waiting(account), account.settings.auto_scaling_group
    tag = {"ResourceId": name, "ResourceType": "auto-scaling-group", "Key": key}
    account.autoscaling.delete_tags(Tags=[tag])
    fleet.launch(a_token(), "group")
    assert desired(account) == 2


def test_what_a_drought_left_unanswered_is_not_launched_for_nobody_afterwards(
    account: Account, fleet: GroupFleet
) -> None:
    (id,) = running(fleet, 1)
    account.cloud.told("/_faults", {"no_capacity": 1.0})
    name = account.settings.auto_scaling_group
    long_ago = {"ResourceId": name, "ResourceType": "auto-scaling-group", "Value": "1", "PropagateAtLaunch": False}
    account.autoscaling.create_or_update_tags(Tags=[long_ago | {"Key": f"facefleet:token:{a_token()}"}])
    account.autoscaling.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=3)
    fleet.instances()
    assert (desired(account), waiting(account)) == (1, [])
    account.cloud.told("/_faults", {})
    assert set(states(fleet)) == {id}


@pytest.mark.parametrize("call", ["CreateOrUpdateTags", "SetDesiredCapacity"])
def test_an_answer_that_is_lost_leaves_the_group_as_large_as_it_was_to_be(
    account: Account, fleet: GroupFleet, call: str
) -> None:
    token = a_token()
    account.cloud.told("/_faults", {"cut": {call: 1}})
    with pytest.raises(Unavailable):
        fleet.launch(token, "group")
    account.group_fleet().launch(token, "group")
    assert desired(account) == len(fleet.instances()) == 1


def test_those_that_came_and_are_not_listed_yet_are_not_counted_beside_their_tokens(
    account: Account, fleet: GroupFleet
) -> None:
    account.cloud.told("/_faults", {"lag": 60.0})
    for _ in range(2):
        fleet.launch(a_token(), "group")
    assert len(account.described_group()["Instances"]) == 2


def test_what_dies_is_replaced_by_one_that_came_for_no_token(account: Account, fleet: GroupFleet) -> None:
    (id,) = running(fleet, 1)
    account.cloud.told("/_kill", {"ids": [id]})
    (other,) = fleet.instances()
    assert other.id != id
    assert other.token == ""
    (newer,) = running(fleet, 1)
    assert set(states(fleet)) == {other.id, newer}
    assert desired(account) == 2


def test_the_group_is_not_asked_for_more_than_it_may_have(account: Account, fleet: GroupFleet) -> None:
    running(fleet, 3)
    with pytest.raises(NoCapacity):
        fleet.launch(a_token(), "group")
    assert desired(account) == 3
    assert waiting(account) == []


def test_who_is_retired_goes_and_no_other_comes(account: Account, fleet: GroupFleet) -> None:
    leaves, stays = running(fleet, 2)
    fleet.retire([leaves])
    fleet.retire([leaves])
    assert desired(account) == 1
    until(lambda: set(states(fleet)) == {stays})
    assert desired(account) == 1


def test_one_that_the_group_does_not_let_go_keeps_no_other_from_going(account: Account, fleet: GroupFleet) -> None:
    stays, leaves = running(fleet, 2)
    account.cloud.told("/_faults", {"refuse": {"TerminateInstanceInAutoScalingGroup": [stays]}})
    with pytest.raises(Unavailable, match=stays):
        fleet.retire([stays, leaves])
    until(lambda: set(states(fleet)) == {stays})
    assert desired(account) == 1


def test_a_scale_in_that_is_not_ours_takes_none(account: Account, fleet: GroupFleet) -> None:
    account.autoscaling.set_desired_capacity(
        AutoScalingGroupName=account.settings.auto_scaling_group, DesiredCapacity=1
    )
    running(fleet, 2)
    assert all(one["ProtectedFromScaleIn"] for one in account.described_group()["Instances"])
    account.autoscaling.set_desired_capacity(
        AutoScalingGroupName=account.settings.auto_scaling_group, DesiredCapacity=0
    )
    assert len(fleet.instances()) == 3


def test_instances_of_another_group_are_neither_listed_nor_touched(
    cloud: Emulator, account: Account, fleet: GroupFleet
) -> None:
    others = Account(cloud).group()
    (theirs,) = running(others.group_fleet(), 1)
    assert fleet.instances() == []
    for verb in (fleet.start, fleet.retire, fleet.end):
        verb([theirs])
    fleet.tidy()
    assert states(others.group_fleet()) == {theirs: RUNNING}
    assert desired(others) == 1
    others.close()


def test_who_asks_too_often_or_for_a_group_there_is_not_is_told_so(account: Account, fleet: GroupFleet) -> None:
    account.cloud.told("/_faults", {"throttle": 1.0})
    for ask in (fleet.instances, lambda: fleet.launch(a_token(), "group"), lambda: fleet.retire(["i-1"])):
        with pytest.raises(Throttled):
            ask()
    account.cloud.told("/_faults", {})
    nowhere = Account(account.cloud, auto_scaling_group="there-is-none").group_fleet()
    with pytest.raises(Unavailable):
        nowhere.instances()


def test_after_an_upgrade_those_are_stale_that_the_group_would_make_otherwise_now(
    account: Account, fleet: GroupFleet
) -> None:
    (before,) = running(fleet, 1)
    account.upgrade()
    (after,) = running(fleet, 1)
    assert {one.id: one.is_stale for one in fleet.instances()} == {before: True, after: False}
