"""The emulators' CloudFormation as AWS's: what deploying relies on."""

import base64
import json
from collections.abc import Iterator
from uuid import uuid4

import boto3
import pytest

from bench.emulators import ACCOUNT, AccountEmulator

from .stacks import FLEET, FleetStack, Stack, fleet_stack, ref, refusal, resource


@pytest.fixture(autouse=True)
def account(one_account: AccountEmulator, monkeypatch: pytest.MonkeyPatch) -> AccountEmulator:
    for name, value in one_account.env.items():
        monkeypatch.setenv(name, value)
    return one_account


@pytest.fixture
def stack(account: AccountEmulator) -> Iterator[FleetStack]:
    with fleet_stack(account) as stack:
        yield stack


def test_an_instance_of_a_stack_has_what_its_template_says(stack: FleetStack) -> None:
    one, outputs = stack.the_one(), stack.outputs()
    (found,), seen = stack.members(), stack.instance(one)
    assert found["http_tokens"] == "required"
    assert found["tags"]["Name"] == "web-instance"
    assert seen["IamInstanceProfile"]["Arn"].startswith(f"arn:aws:iam::{ACCOUNT}:instance-profile/")
    assert [group["GroupId"] for group in seen["SecurityGroups"]] == [outputs["Doors"]]
    assert seen["VpcId"] == outputs["Vpc"]
    said = stack.ec2.describe_instance_attribute(InstanceId=one, Attribute="userData")["UserData"]["Value"]
    told = json.loads(base64.b64decode(said))
    assert told["allocation"] == outputs["Allocation"]
    assert told["ip"].startswith("203.0.113.")


def test_a_parameter_alone_changes_what_refers_to_it_and_what_that_moves(stack: FleetStack) -> None:
    one, changes = stack.the_one(), stack.change(Settings='{"a": "b"}')["Changes"]
    changed = {one["ResourceChange"]["LogicalResourceId"]: one["ResourceChange"] for one in changes}
    assert {name: (one["Action"], one["Replacement"]) for name, one in changed.items()} == {
        "Web": ("Modify", "False"),
        "Group": ("Modify", "False"),
    }
    assert stack.deploy(Settings='{"a": "b"}') == "UPDATE_COMPLETE"
    asked = {"LaunchTemplateIds": [stack.outputs()["Template"]]}
    (template,) = stack.ec2.describe_launch_templates(**asked)["LaunchTemplates"]
    assert (template["DefaultVersionNumber"], template["LatestVersionNumber"]) == (1, 2)
    newer = stack.grown(beside=one)
    assert (stack.version(one), stack.version(newer)) == ("1", "2")
    assert {one["InstanceId"]: one["LaunchTemplate"]["Version"] for one in stack.group()["Instances"]} == {
        one: "1",
        newer: "2",
    }


def test_a_group_keeps_its_size_when_its_stack_changes_meanwhile(stack: FleetStack) -> None:
    stack.grown(beside=stack.the_one())
    assert stack.deploy(Settings='{"c": "d"}') == "UPDATE_COMPLETE"
    assert len(stack.running()) == 2


def test_a_change_set_without_changes_fails_and_says_so(stack: FleetStack) -> None:
    change = stack.change()
    assert (change["Status"], change["Changes"]) == ("FAILED", [])
    assert "didn't contain changes" in change["StatusReason"]


def test_a_stack_goes_with_all_that_it_made(stack: FleetStack) -> None:
    stack.grown(beside=stack.the_one())
    outputs, group = stack.outputs(), stack.group()["AutoScalingGroupName"]
    members = {one["id"] for one in stack.members()}
    assert stack.delete() == "DELETE_COMPLETE"
    ec2, in_vpc = stack.ec2, {"Filters": [{"Name": "vpc-id", "Values": [outputs["Vpc"]]}]}
    assert ec2.describe_vpcs(**in_vpc)["Vpcs"] == []
    assert ec2.describe_subnets(**in_vpc)["Subnets"] == []
    assert ec2.describe_network_interfaces(**in_vpc)["NetworkInterfaces"] == []
    assert refusal(ec2.describe_addresses, AllocationIds=[outputs["Allocation"]]) == "InvalidAllocationID.NotFound"
    assert ec2.describe_launch_templates(LaunchTemplateIds=[outputs["Template"]])["LaunchTemplates"] == []
    left = stack.groups.describe_auto_scaling_groups(AutoScalingGroupNames=[group])["AutoScalingGroups"]
    assert left == []
    assert refusal(boto3.client("iam").get_role, RoleName=outputs["Role"]) == "NoSuchEntity"
    ended = {one["state"] for one in stack.account.told("/_instances") if one["id"] in members}
    assert ended == {"terminated"}


def test_a_stack_that_cannot_be_made_says_why_and_leaves_nothing() -> None:
    wrong = {"Bad": resource("EC2::EIP", Domain="vpc", Colour="red") | {"DependsOn": "Good"}}
    before = boto3.client("ec2").describe_addresses()["Addresses"]
    stack = Stack(f"wrong-{uuid4().hex[:8]}", {"Resources": {"Good": resource("EC2::EIP"), **wrong}})
    assert stack.deploy("CREATE") == "ROLLBACK_COMPLETE"
    assert "unsupported property Colour" in stack.reasons()["Bad"]
    assert boto3.client("ec2").describe_addresses()["Addresses"] == before


def test_an_update_that_fails_is_taken_back(stack: FleetStack) -> None:
    bad = resource("EC2::RouteTable", VpcId="vpc-00000000000000000") | {"DependsOn": "Group"}
    worse = Stack(stack.name, FLEET | {"Resources": FLEET["Resources"] | {"Bad": bad}})
    assert worse.deploy(Settings='{"e": "f"}') == "UPDATE_ROLLBACK_COMPLETE"
    asked = {"LaunchTemplateId": stack.outputs()["Template"], "Versions": [stack.group()["LaunchTemplate"]["Version"]]}
    (used,) = stack.ec2.describe_launch_template_versions(**asked)["LaunchTemplateVersions"]
    assert '"settings": {}' in base64.b64decode(used["LaunchTemplateData"]["UserData"]).decode()


def test_both_servers_are_one_account(stack: FleetStack) -> None:
    assert boto3.client("sts").get_caller_identity()["Account"] == ACCOUNT
    assert stack.described()["StackId"].split(":")[4] == ACCOUNT
    assert boto3.client("iam").get_role(RoleName=stack.outputs()["Role"])["Role"]["Arn"].split(":")[4] == ACCOUNT


# What lasts


def test_a_stack_takes_over_nothing_that_somebody_made_before_it() -> None:
    name = f"theirs-{uuid4().hex[:8]}"
    boto3.client("s3").create_bucket(Bucket=name)
    boto3.client("s3").put_object(Bucket=name, Key="kept", Body=b"theirs")
    boto3.client("sqs").create_queue(QueueName=name)
    for properties in (resource("S3::Bucket", BucketName=name), resource("SQS::Queue", QueueName=name)):
        stack = Stack(f"thief-{uuid4().hex[:8]}", {"Resources": {"Theirs": properties}})
        assert stack.deploy("CREATE") == "ROLLBACK_COMPLETE"
    assert "already exists" in stack.reasons()["Theirs"]
    assert boto3.client("s3").get_object(Bucket=name, Key="kept")["Body"].read() == b"theirs"


def test_a_bucket_with_something_in_it_and_a_protected_table_outlive_their_stack() -> None:
    keys = {"KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}]}
    keys["AttributeDefinitions"] = [{"AttributeName": "k", "AttributeType": "S"}]
    table = resource("DynamoDB::Table", BillingMode="PAY_PER_REQUEST", DeletionProtectionEnabled=True, **keys)
    stack = Stack(f"kept-{uuid4().hex[:8]}", {"Resources": {"Table": table, "Bucket": resource("S3::Bucket")}})
    stack.template |= {"Outputs": {"Table": {"Value": ref("Table")}, "Bucket": {"Value": ref("Bucket")}}}
    assert stack.deploy("CREATE") == "CREATE_COMPLETE"
    name, bucket = stack.outputs()["Table"], stack.outputs()["Bucket"]
    boto3.client("s3").put_object(Bucket=bucket, Key="kept", Body=b"")
    assert stack.delete() == "DELETE_FAILED"
    assert set(stack.reasons()) >= {"Table", "Bucket"}
    boto3.client("s3").delete_object(Bucket=bucket, Key="kept")
    boto3.client("dynamodb").update_table(TableName=name, DeletionProtectionEnabled=False)
    assert stack.delete() == "DELETE_COMPLETE"


def test_a_secret_is_made_as_its_template_says_and_stays_the_same() -> None:
    how = {"SecretStringTemplate": '{"scopes": "a"}', "GenerateStringKey": "key", "PasswordLength": "40"}
    how["ExcludePunctuation"] = "true"
    secret = resource("SecretsManager::Secret", GenerateSecretString=how, Description=ref("Words"))
    template = {"Parameters": {"Words": {"Type": "String"}}, "Resources": {"Key": secret}}
    stack = Stack(f"secret-{uuid4().hex[:8]}", template | {"Outputs": {"Arn": {"Value": ref("Key")}}})
    stack.deploy("CREATE", Words="one")
    read = boto3.client("secretsmanager").get_secret_value
    before = json.loads(read(SecretId=stack.outputs()["Arn"])["SecretString"])
    assert before["scopes"] == "a"
    assert len(before["key"]) == 40
    assert before["key"].isalnum()
    assert stack.deploy(Words="two") == "UPDATE_COMPLETE"
    assert json.loads(read(SecretId=stack.outputs()["Arn"])["SecretString"]) == before
    assert stack.delete() == "DELETE_COMPLETE"
