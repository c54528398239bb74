"""The emulators' groups, launch templates and addresses as AWS's: what rolling from old machines to new relies on."""

from collections.abc import Iterator

import pytest
from services import until

from bench.emulators import AccountEmulator

from .stacks import FleetStack, fleet_stack, refusal

OTHER_IMAGE = "ami-0000000000000other"


@pytest.fixture(autouse=True)
def account(one_account: AccountEmulator, monkeypatch: pytest.MonkeyPatch) -> AccountEmulator:
    for name, value in one_account.env.items():
        monkeypatch.setenv(name, value)
    return one_account


@pytest.fixture
def stack(account: AccountEmulator) -> Iterator[FleetStack]:
    with fleet_stack(account) as stack:
        yield stack


def test_an_instance_from_a_template_may_have_another_image(stack: FleetStack) -> None:
    ec2, template = stack.ec2, {"LaunchTemplateId": stack.outputs()["Template"]}
    ec2.create_launch_template_version(**template, SourceVersion="1", LaunchTemplateData={"InstanceType": "t3.large"})
    ec2.modify_launch_template(**template, DefaultVersion="2")
    (canary,) = ec2.run_instances(
        LaunchTemplate={**template, "Version": "$Default"},
        ImageId=OTHER_IMAGE,
        SubnetId=stack.instance(stack.the_one())["SubnetId"],
        MinCount=1,
        MaxCount=1,
    )["Instances"]
    seen = stack.instance(canary["InstanceId"])
    assert (seen["ImageId"], seen["InstanceType"]) == (OTHER_IMAGE, "t3.large")
    assert seen["IamInstanceProfile"]
    assert stack.version(canary["InstanceId"]) == "2"
    ec2.terminate_instances(InstanceIds=[canary["InstanceId"]])
    until(lambda: stack.instance(canary["InstanceId"])["State"]["Name"] == "terminated")


def test_a_group_that_grew_lets_its_older_go(stack: FleetStack) -> None:
    one = stack.the_one()
    newer = stack.grown(beside=one)
    stack.groups.terminate_instance_in_auto_scaling_group(InstanceId=one, ShouldDecrementDesiredCapacity=True)
    until(lambda: stack.running() == [newer])
    assert stack.group()["DesiredCapacity"] == 1
    assert [one["InstanceId"] for one in stack.group()["Instances"]] == [newer]


def test_a_group_is_kept_within_its_bounds(stack: FleetStack) -> None:
    one = stack.the_one()
    for size in (0, 3):
        assert refusal(stack.resize, size=size) == "ValidationError"
    for id in (one, "i-00000000000000000"):
        leaves = {"InstanceId": id, "ShouldDecrementDesiredCapacity": True}
        assert refusal(stack.groups.terminate_instance_in_auto_scaling_group, **leaves) == "ValidationError"
    assert stack.running() == [one]


def test_a_group_of_one_replaces_what_it_lost(stack: FleetStack) -> None:
    one = stack.the_one()
    stack.account.told("/_kill", {"ids": [one]})
    until(lambda: len(stack.running()) == 1)
    assert stack.running() != [one]


def test_a_groups_instances_stand_in_different_zones(stack: FleetStack) -> None:
    one = stack.the_one()
    newer = stack.grown(beside=one)
    assert stack.instance(one)["SubnetId"] != stack.instance(newer)["SubnetId"]


def test_an_instance_that_comes_up_is_not_yet_in_service_and_gets_no_address(stack: FleetStack) -> None:
    stack.the_one()
    stack.account.told("/_world", {"boot": 1.0})
    stack.resize(2)
    stack.account.told("/_world", {"boot": 0.02})
    states = {one["LifecycleState"]: one["InstanceId"] for one in stack.group()["Instances"]}
    assert states.keys() == {"InService", "Pending"}
    asked = {"AllocationId": stack.outputs()["Allocation"], "InstanceId": states["Pending"]}
    assert refusal(stack.ec2.associate_address, **asked) == "InvalidInstanceID"
    until(lambda: {one["LifecycleState"] for one in stack.group()["Instances"]} == {"InService"})


def test_an_address_moves_to_whom_it_is_given_and_leaves_who_ends(stack: FleetStack) -> None:
    allocation, one = stack.outputs()["Allocation"], stack.the_one()
    newer = stack.grown(beside=one)

    def give(id: str, **more: object) -> None:
        stack.ec2.associate_address(AllocationId=allocation, InstanceId=id, **more)

    def holders() -> tuple[str, list[str]]:
        (address,) = stack.ec2.describe_addresses(AllocationIds=[allocation])["Addresses"]
        seen = [id for id in (one, newer) if stack.instance(id).get("PublicIpAddress") == address["PublicIp"]]
        return address.get("InstanceId", ""), seen

    give(one)
    assert holders() == (one, [one])
    assert refusal(give, id=newer, AllowReassociation=False) == "Resource.AlreadyAssociated"
    give(newer)
    assert holders() == (newer, [newer])
    stack.account.told("/_kill", {"ids": [newer]})
    assert holders() == ("", [])


def test_a_network_cannot_be_deleted_under_its_instances(stack: FleetStack) -> None:
    outputs, seen, ec2 = stack.outputs(), stack.instance(stack.the_one()), stack.ec2
    for delete, asked in (
        (ec2.delete_security_group, {"GroupId": outputs["Doors"]}),
        (ec2.delete_subnet, {"SubnetId": seen["SubnetId"]}),
        (ec2.delete_vpc, {"VpcId": outputs["Vpc"]}),
    ):
        assert refusal(delete, **asked) == "DependencyViolation"
