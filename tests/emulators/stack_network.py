"""The resources of a stack that are a network."""

import json
from typing import Any

from stack_calls import Kind, Made, Props, call, ec2_deletes, gone_is_fine, retag, tagged


def _given(props: Props, *names: str) -> dict[str, Any]:
    return {name: props.get(name) for name in names}


def vpc_create(_: str, props: Props, __: str) -> Made:
    found = call("ec2", "create_vpc", **_given(props, "CidrBlock"), TagSpecifications=tagged("vpc", props))["Vpc"]
    return vpc_update(found["VpcId"], {"Tags": props.get("Tags", [])}, props, "")


def vpc_update(id: str, old: Props, new: Props, _: str) -> Made:
    for name in ("EnableDnsSupport", "EnableDnsHostnames"):
        if name in new:
            call("ec2", "modify_vpc_attribute", VpcId=id, **{name: {"Value": new[name]}})
    retag(id, old, new)
    return id, {"VpcId": id, "CidrBlock": new["CidrBlock"]}


def subnet_create(_: str, props: Props, __: str) -> Made:
    asked = _given(props, "VpcId", "CidrBlock", "AvailabilityZone")
    id = call("ec2", "create_subnet", **asked, TagSpecifications=tagged("subnet", props))["Subnet"]["SubnetId"]
    return subnet_update(id, {"Tags": props.get("Tags", [])}, props, "")


def subnet_update(id: str, old: Props, new: Props, _: str) -> Made:
    open_ = {"Value": new.get("MapPublicIpOnLaunch", False)}
    call("ec2", "modify_subnet_attribute", SubnetId=id, MapPublicIpOnLaunch=open_)
    retag(id, old, new)
    (found,) = call("ec2", "describe_subnets", SubnetIds=[id])["Subnets"]
    return id, {"SubnetId": id, **_given(found, "VpcId", "AvailabilityZone", "CidrBlock")}


def gateway_create(_: str, props: Props, __: str) -> Made:
    made = call("ec2", "create_internet_gateway", TagSpecifications=tagged("internet-gateway", props))
    return _named("InternetGatewayId", made["InternetGateway"]["InternetGatewayId"])


def table_create(_: str, props: Props, __: str) -> Made:
    made = call("ec2", "create_route_table", VpcId=props["VpcId"], TagSpecifications=tagged("route-table", props))
    return _named("RouteTableId", made["RouteTable"]["RouteTableId"])


def _named(attribute: str, id: str) -> Made:
    return id, {attribute: id}


def _retagged(attribute: str):
    """Of what has nothing to change but tags."""

    def update(id: str, old: Props, new: Props, _: str) -> Made:
        retag(id, old, new)
        return _named(attribute, id)

    return update


def attachment_create(_: str, props: Props, __: str) -> Made:
    call("ec2", "attach_internet_gateway", **_given(props, "InternetGatewayId", "VpcId"))
    return f"IGW|{props['VpcId']}", {"AttachmentType": "IGW"}


def attachment_delete(_: str, props: Props) -> None:
    call("ec2", "detach_internet_gateway", **_given(props, "InternetGatewayId", "VpcId"))


def route_create(_: str, props: Props, __: str) -> Made:
    call("ec2", "create_route", **props)
    return f"{props['RouteTableId']}|{props['DestinationCidrBlock']}", {"CidrBlock": props["DestinationCidrBlock"]}


def route_update(id: str, _: Props, new: Props, __: str) -> Made:
    call("ec2", "replace_route", **new)
    return id, {"CidrBlock": new["DestinationCidrBlock"]}


def route_delete(_: str, props: Props) -> None:
    call("ec2", "delete_route", **_given(props, "RouteTableId", "DestinationCidrBlock"))


def association_create(_: str, props: Props, __: str) -> Made:
    made = call("ec2", "associate_route_table", **_given(props, "RouteTableId", "SubnetId"))
    return _named("Id", made["AssociationId"])


def association_update(id: str, _: Props, new: Props, __: str) -> Made:
    made = call("ec2", "replace_route_table_association", AssociationId=id, RouteTableId=new["RouteTableId"])
    return _named("Id", made["NewAssociationId"])


def endpoint_create(_: str, props: Props, __: str) -> Made:
    asked = {"VpcEndpointType": "Gateway"} | {name: value for name, value in props.items() if name != "Tags"}
    if isinstance(asked.get("PolicyDocument"), dict):
        asked["PolicyDocument"] = json.dumps(asked["PolicyDocument"])
    made = call("ec2", "create_vpc_endpoint", **asked, TagSpecifications=tagged("vpc-endpoint", props))
    return _named("Id", made["VpcEndpoint"]["VpcEndpointId"])


def endpoint_update(id: str, old: Props, new: Props, _: str) -> Made:
    before, after = set(old.get("RouteTableIds", [])), set(new.get("RouteTableIds", []))
    if before != after:
        call(
            "ec2",
            "modify_vpc_endpoint",
            VpcEndpointId=id,
            AddRouteTableIds=sorted(after - before),
            RemoveRouteTableIds=sorted(before - after),
        )
    retag(id, old, new)
    return _named("Id", id)


def _endpoint_delete(id: str, _: Props) -> None:
    call("ec2", "delete_vpc_endpoints", VpcEndpointIds=[id])


KINDS = {
    "AWS::EC2::VPC": Kind(
        vpc_create,
        ec2_deletes("delete_vpc", "VpcId"),
        vpc_update,
        replacing=("CidrBlock",),
        known=("EnableDnsSupport", "EnableDnsHostnames"),
    ),
    "AWS::EC2::Subnet": Kind(
        subnet_create,
        ec2_deletes("delete_subnet", "SubnetId"),
        subnet_update,
        replacing=("VpcId", "CidrBlock", "AvailabilityZone"),
        known=("MapPublicIpOnLaunch",),
    ),
    "AWS::EC2::InternetGateway": Kind(
        gateway_create,
        ec2_deletes("delete_internet_gateway", "InternetGatewayId"),
        _retagged("InternetGatewayId"),
        known=("Tags",),
    ),
    "AWS::EC2::VPCGatewayAttachment": Kind(
        attachment_create,
        gone_is_fine(attachment_delete),
        lambda id, *_: (id, {}),
        replacing=("VpcId", "InternetGatewayId"),
        known=("Tags",),
    ),
    "AWS::EC2::RouteTable": Kind(
        table_create,
        ec2_deletes("delete_route_table", "RouteTableId"),
        _retagged("RouteTableId"),
        replacing=("VpcId",),
        known=("Tags",),
    ),
    "AWS::EC2::Route": Kind(
        route_create, gone_is_fine(route_delete), route_update, replacing=("RouteTableId", "DestinationCidrBlock")
    ),
    "AWS::EC2::SubnetRouteTableAssociation": Kind(
        association_create,
        ec2_deletes("disassociate_route_table", "AssociationId"),
        association_update,
        replacing=("SubnetId",),
        known=("RouteTableId",),
    ),
    "AWS::EC2::VPCEndpoint": Kind(
        endpoint_create,
        gone_is_fine(_endpoint_delete),
        endpoint_update,
        replacing=("VpcId", "ServiceName", "VpcEndpointType"),
    ),
}
