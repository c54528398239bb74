"""Stacks of CloudFormation for tests of the emulators, and a network with one machine kept alive as such a stack."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any
from uuid import uuid4

import boto3
import pytest
from botocore.exceptions import ClientError
from services import until

from bench.emulators import IMAGE, AccountEmulator

USER_DATA = '{"tier": "web", "settings": ${Settings}, "allocation": "${Address.AllocationId}", "ip": "${Address}"}'
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
HTTPS = {"IpProtocol": "tcp", "FromPort": "443", "ToPort": 443, "CidrIp": "0.0.0.0/0"}


def ref(name: str) -> dict[str, str]:
    return {"Ref": name}


def get(name: str, attribute: str) -> dict[str, list[str]]:
    return {"Fn::GetAtt": [name, attribute]}


def resource(type: str, **properties: object) -> dict[str, Any]:
    return {"Type": f"AWS::{type}", "Properties": properties}


def _subnet(number: int) -> dict[str, Any]:
    zone = {"Fn::Select": [number, {"Fn::GetAZs": ""}]}
    cidr = f"10.42.{16 * number}.0/20"
    return resource("EC2::Subnet", VpcId=ref("Vpc"), CidrBlock=cidr, AvailabilityZone=zone, MapPublicIpOnLaunch=True)


def _in_table(subnet: str) -> dict[str, Any]:
    return resource("EC2::SubnetRouteTableAssociation", RouteTableId=ref("Table"), SubnetId=ref(subnet))


NETWORK = {
    "Vpc": resource("EC2::VPC", CidrBlock="10.42.0.0/16", EnableDnsHostnames=True),
    "Gateway": resource("EC2::InternetGateway"),
    "Attached": resource("EC2::VPCGatewayAttachment", VpcId=ref("Vpc"), InternetGatewayId=ref("Gateway")),
    "SubnetA": _subnet(0),
    "SubnetB": _subnet(1),
    "Table": resource("EC2::RouteTable", VpcId=ref("Vpc")),
    "Out": resource("EC2::Route", RouteTableId=ref("Table"), DestinationCidrBlock="0.0.0.0/0", GatewayId=ref("Gateway"))
    | {"DependsOn": "Attached"},
    "RoutesA": _in_table("SubnetA"),
    "RoutesB": _in_table("SubnetB"),
    "S3": resource(
        "EC2::VPCEndpoint",
        VpcId=ref("Vpc"),
        ServiceName={"Fn::Sub": "com.amazonaws.${AWS::Region}.s3"},
        RouteTableIds=[ref("Table")],
    ),
    "Doors": resource("EC2::SecurityGroup", GroupDescription="web", VpcId=ref("Vpc"), SecurityGroupIngress=[HTTPS]),
    "Plain": resource("EC2::SecurityGroupIngress", GroupId=ref("Doors"), **HTTPS | {"FromPort": 80, "ToPort": 80}),
    "Address": resource("EC2::EIP", Domain="vpc"),
}
MACHINES = {
    "Role": resource("IAM::Role", AssumeRolePolicyDocument=TRUST),
    "Profile": resource("IAM::InstanceProfile", Roles=[ref("Role")]),
    "Web": resource(
        "EC2::LaunchTemplate",
        LaunchTemplateData={
            "ImageId": ref("Image"),
            "InstanceType": "t3.small",
            "IamInstanceProfile": {"Arn": get("Profile", "Arn")},
            "SecurityGroupIds": [ref("Doors")],
            "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": "1"},
            "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": "8", "VolumeType": "gp3"}}],
            "UserData": {"Fn::Base64": {"Fn::Sub": USER_DATA}},
        },
    ),
    "Group": resource(
        "AutoScaling::AutoScalingGroup",
        MinSize="1",
        MaxSize="2",
        VPCZoneIdentifier=[ref("SubnetA"), ref("SubnetB")],
        LaunchTemplate={"LaunchTemplateId": ref("Web"), "Version": get("Web", "LatestVersionNumber")},
        MetricsCollection=[{"Granularity": "1Minute", "Metrics": ["GroupInServiceInstances"]}],
        Tags=[{"Key": "Name", "Value": "web-instance", "PropagateAtLaunch": True}],
    )
    | {"DependsOn": "Out"},
}
FLEET: dict[str, Any] = {
    "Parameters": {
        "Image": {"Type": "String", "Default": IMAGE},
        "Settings": {"Type": "String", "Default": "{}"},
    },
    "Resources": NETWORK | MACHINES,
    "Outputs": {
        "Group": {"Value": ref("Group")},
        "Template": {"Value": ref("Web")},
        "Allocation": {"Value": get("Address", "AllocationId")},
        "Role": {"Value": ref("Role")},
        "Vpc": {"Value": ref("Vpc")},
        "Doors": {"Value": ref("Doors")},
    },
}


class Stack:
    """One by name: `change` proposes, `deploy` does, both wait."""

    def __init__(self, name: str, template: Mapping[str, Any]) -> None:
        self.name, self.template = name, template
        self._stacks = boto3.client("cloudformation")

    def change(self, kind: str = "UPDATE", **parameters: str) -> dict[str, Any]:
        """What the change set is described as."""
        named = {"StackName": self.name, "ChangeSetName": f"change-{uuid4().hex}"}
        given = [{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()]
        self._stacks.create_change_set(
            **named,
            ChangeSetType=kind,
            TemplateBody=json.dumps(self.template),
            Parameters=given,
            Capabilities=["CAPABILITY_IAM"],
        )
        return until(lambda: _settled(self._stacks.describe_change_set(**named), "Status"))

    def deploy(self, kind: str = "UPDATE", **parameters: str) -> str:
        """The state that it ends in."""
        self._stacks.execute_change_set(ChangeSetName=self.change(kind, **parameters)["ChangeSetId"])
        return str(until(lambda: _settled(self.described(), "StackStatus"))["StackStatus"])

    def described(self) -> dict[str, Any]:
        return self._stacks.describe_stacks(StackName=self.name)["Stacks"][0]

    def outputs(self) -> dict[str, str]:
        return {one["OutputKey"]: one["OutputValue"] for one in self.described()["Outputs"]}

    def reasons(self) -> dict[str, str]:
        """By resource, why it failed."""
        events = self._stacks.describe_stack_events(StackName=self.name)["StackEvents"]
        return {
            one["LogicalResourceId"]: one["ResourceStatusReason"] for one in events if "FAILED" in one["ResourceStatus"]
        }

    def delete(self) -> str:
        id = self.described()["StackId"]
        self._stacks.delete_stack(StackName=self.name)
        ended = until(lambda: _settled(self._stacks.describe_stacks(StackName=id)["Stacks"][0], "StackStatus"))
        return str(ended["StackStatus"])


def _settled(described: dict[str, Any], status: str) -> dict[str, Any] | None:
    return None if described[status].endswith(("PROGRESS", "PENDING")) else described


def refusal(call: Callable[..., object], **asked: object) -> str:
    """The code of the error that the call ends in."""
    with pytest.raises(ClientError) as caught:
        call(**asked)
    return str(caught.value.response["Error"]["Code"])


class FleetStack(Stack):
    """A network with a group of one in it."""

    def __init__(self, account: AccountEmulator) -> None:
        super().__init__(f"fleet-{uuid4().hex[:8]}", FLEET)
        self.account = account
        self.ec2, self.groups = boto3.client("ec2"), boto3.client("autoscaling")

    def members(self) -> list[dict[str, Any]]:
        """The group's instances that there ever were."""
        group = self.outputs()["Group"]
        every = self.account.told("/_instances")
        return [one for one in every if one["tags"].get("aws:autoscaling:groupName") == group]

    def running(self) -> list[str]:
        return [one["id"] for one in self.members() if one["state"] == "running"]

    def the_one(self) -> str:
        """Once it runs."""
        return str(until(self.running)[0])

    def grown(self, beside: str) -> str:
        """The second, once it runs."""
        self.resize(2)
        return str(until(lambda: [id for id in self.running() if id != beside])[0])

    def resize(self, size: int) -> None:
        self.groups.set_desired_capacity(AutoScalingGroupName=self.outputs()["Group"], DesiredCapacity=size)

    def group(self) -> dict[str, Any]:
        found = self.groups.describe_auto_scaling_groups(AutoScalingGroupNames=[self.outputs()["Group"]])
        return dict(found["AutoScalingGroups"][0])

    def instance(self, id: str) -> dict[str, Any]:
        return dict(self.ec2.describe_instances(InstanceIds=[id])["Reservations"][0]["Instances"][0])

    def version(self, id: str) -> str:
        """Of the launch template, as EC2 tags an instance with it."""
        tags = {tag["Key"]: tag["Value"] for tag in self.instance(id)["Tags"]}
        assert tags["aws:ec2launchtemplate:id"] == self.outputs()["Template"]
        return tags["aws:ec2launchtemplate:version"]


@contextmanager
def fleet_stack(account: AccountEmulator) -> Iterator[FleetStack]:
    """Deleted at the end, unless it is already."""
    stack = FleetStack(account)
    assert stack.deploy("CREATE") == "CREATE_COMPLETE", stack.reasons()
    yield stack
    with suppress(ClientError):
        stack.delete()
