"""What hangs on another cannot be deleted under it: moto lets go of groups and networks that instances are still in."""

from moto.ec2.exceptions import DependencyViolationError
from moto.ec2.models.instances import Instance
from moto.ec2.models.internet_gateways import InternetGatewayBackend
from moto.ec2.models.security_groups import SecurityGroupBackend
from moto.ec2.models.subnets import SubnetBackend
from moto.ec2.models.vpcs import VPCBackend

MOTO_PREPARE = Instance.prep_nics
MOTO_DELETE_GROUP = SecurityGroupBackend._delete_security_group
MOTO_DELETE_SUBNET = SubnetBackend.delete_subnet
MOTO_DETACH_GATEWAY = InternetGatewayBackend.detach_internet_gateway
MOTO_DELETE_VPC = VPCBackend.delete_vpc
MOTO_ENDPOINTS = VPCBackend.describe_vpc_endpoints


def prepare_interfaces(self, nic_spec: list[dict], *args, **kwargs) -> None:
    """One that is made with the instance goes with it."""
    MOTO_PREPARE(self, nic_spec, *args, **kwargs)
    found = {nic.get("NetworkInterfaceId") for nic in nic_spec}
    for interface in self.nics.values():
        if interface.id not in found:
            interface.delete_on_termination = True


def delete_group(self, vpc_id: str | None, group_id: str) -> None:
    groups = [group for of_vpc in self.groups.values() for group in of_vpc.values() if group.id != group_id]
    named = {
        rule.source_group.get("GroupId") for group in groups for rule in (*group.ingress_rules, *group.egress_rules)
    }
    used = any(group_id in {group.id for group in one.group_set} for one in self.enis.values())
    if used or group_id in named:
        raise DependencyViolationError(f"resource {group_id} has a dependent object")
    MOTO_DELETE_GROUP(self, vpc_id, group_id)


def delete_subnet(self, subnet_id: str):
    if any(one.subnet.id == subnet_id for one in self.enis.values()):
        raise DependencyViolationError(f"The subnet '{subnet_id}' has dependencies and cannot be deleted.")
    return MOTO_DELETE_SUBNET(self, subnet_id)


def detach_gateway(self, gateway_id: str, vpc_id: str) -> None:
    if any(one.subnet.vpc_id == vpc_id and one.public_ip for one in self.enis.values()):
        raise DependencyViolationError(
            f"Network {vpc_id} has some mapped public address(es). Please unmap those public address(es) before "
            "detaching the gateway."
        )
    MOTO_DETACH_GATEWAY(self, gateway_id, vpc_id)


def delete_vpc(self, vpc_id: str):
    """moto looks for subnets alone."""
    gateways = [one for one in self.internet_gateways.values() if one.vpc and one.vpc.id == vpc_id]
    groups = [group for group in self.groups[vpc_id].values() if group.name != "default"]
    if gateways or groups:
        raise DependencyViolationError(f"The vpc '{vpc_id}' has dependencies and cannot be deleted.")
    return MOTO_DELETE_VPC(self, vpc_id)


def describe_endpoints(self, *args, **kwargs):
    """Those that are deleted are not shown for good."""
    return [one for one in MOTO_ENDPOINTS(self, *args, **kwargs) if one.state != "deleted"]


def patch() -> None:
    Instance.prep_nics = prepare_interfaces
    SecurityGroupBackend._delete_security_group = delete_group
    SubnetBackend.delete_subnet = delete_subnet
    InternetGatewayBackend.detach_internet_gateway = detach_gateway
    VPCBackend.delete_vpc, VPCBackend.describe_vpc_endpoints = delete_vpc, describe_endpoints
