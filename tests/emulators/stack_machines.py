"""The resources of a stack that are machines: what they are launched from, where they are found, and how many."""

import time

from stack_calls import PATIENCE, Kind, Made, Props, call, gone_is_fine, made_name, retag, tagged

GROUP_TAG = "aws:autoscaling:groupName"
THERE = ["pending", "running", "stopping", "stopped", "shutting-down"]


# Launch templates


def template_create(logical: str, props: Props, stack: str) -> Made:
    made = call(
        "ec2",
        "create_launch_template",
        LaunchTemplateName=props.get("LaunchTemplateName") or made_name(stack, logical),
        LaunchTemplateData=props["LaunchTemplateData"],
        VersionDescription=props.get("VersionDescription"),
    )
    id = made["LaunchTemplate"]["LaunchTemplateId"]
    # Apart: moto writes the template's own tags into what its first version says.
    if tags := [tag for said in props.get("TagSpecifications", ()) for tag in said["Tags"]]:
        call("ec2", "create_tags", Resources=[id], Tags=tags)
    return _template(id)


def template_update(id: str, old: Props, new: Props, _: str) -> Made:
    """Another version; which is the default stays."""
    said = ("LaunchTemplateData", "VersionDescription")
    if any(old.get(name) != new.get(name) for name in said):
        call("ec2", "create_launch_template_version", LaunchTemplateId=id, **{name: new.get(name) for name in said})
    return _template(id)


def _template(id: str) -> Made:
    (found,) = call("ec2", "describe_launch_templates", LaunchTemplateIds=[id])["LaunchTemplates"]
    return id, {
        "LaunchTemplateId": id,
        "LatestVersionNumber": str(found["LatestVersionNumber"]),
        "DefaultVersionNumber": str(found["DefaultVersionNumber"]),
    }


def template_delete(id: str, _: Props) -> None:
    call("ec2", "delete_launch_template", LaunchTemplateId=id)


# Addresses


def address_create(_: str, props: Props, __: str) -> Made:
    made = call(
        "ec2",
        "allocate_address",
        Domain=props.get("Domain", "vpc"),
        TagSpecifications=tagged("elastic-ip", props),
    )
    if "InstanceId" in props:
        call("ec2", "associate_address", AllocationId=made["AllocationId"], InstanceId=props["InstanceId"])
    return made["PublicIp"], {"AllocationId": made["AllocationId"], "PublicIp": made["PublicIp"]}


def address_update(ip: str, old: Props, new: Props, _: str) -> Made:
    allocation = _allocation(ip)
    retag(allocation, old, new)
    return ip, {"AllocationId": allocation, "PublicIp": ip}


def address_delete(ip: str, _: Props) -> None:
    call("ec2", "release_address", AllocationId=_allocation(ip))


def _allocation(ip: str) -> str:
    return call("ec2", "describe_addresses", PublicIps=[ip])["Addresses"][0]["AllocationId"]


# Groups of instances

#: What is said in calls of its own.
ASIDE = ("Tags", "MetricsCollection", "Cooldown", "AutoScalingGroupName")


def group_create(logical: str, props: Props, stack: str) -> Made:
    name = props.get("AutoScalingGroupName") or made_name(stack, logical)
    call(
        "autoscaling", "create_auto_scaling_group", AutoScalingGroupName=name, **_sizes(props), Tags=_tags(name, props)
    )
    _measure(name, props)
    return _group(name)


def group_update(name: str, old: Props, new: Props, _: str) -> Made:
    call("autoscaling", "update_auto_scaling_group", AutoScalingGroupName=name, **_sizes(new))
    kept = {tag["Key"] for tag in new.get("Tags", [])}
    if left := [tag for tag in _tags(name, old) if tag["Key"] not in kept]:
        call("autoscaling", "delete_tags", Tags=left)
    if tags := _tags(name, new):
        call("autoscaling", "create_or_update_tags", Tags=tags)
    _measure(name, new)
    return _group(name)


def _sizes(props: Props) -> Props:
    said = {key: value for key, value in props.items() if key not in ASIDE}
    if "Cooldown" in props:
        said["DefaultCooldown"] = props["Cooldown"]
    if "VPCZoneIdentifier" in props:
        said["VPCZoneIdentifier"] = ",".join(props["VPCZoneIdentifier"])
    return said


def _tags(name: str, props: Props) -> list[Props]:
    where = {"ResourceId": name, "ResourceType": "auto-scaling-group"}
    # CloudFormation's own tags say nothing of it, and are the instances' too.
    return [{"PropagateAtLaunch": True} | tag | where for tag in props.get("Tags", [])]


def _measure(name: str, props: Props) -> None:
    for one in props.get("MetricsCollection", []):
        call("autoscaling", "enable_metrics_collection", AutoScalingGroupName=name, **one)


def _group(name: str) -> Made:
    (found,) = call("autoscaling", "describe_auto_scaling_groups", AutoScalingGroupNames=[name])["AutoScalingGroups"]
    return name, {"AutoScalingGroupARN": found["AutoScalingGroupARN"]}


def group_delete(name: str, _: Props) -> None:
    """And waits for its instances to have ended, as the service does: their network goes next."""
    found = call("autoscaling", "describe_auto_scaling_groups", AutoScalingGroupNames=[name])["AutoScalingGroups"]
    if found:
        call("autoscaling", "delete_auto_scaling_group", AutoScalingGroupName=name, ForceDelete=True)
    deadline = time.monotonic() + PATIENCE
    while left := _instances(name):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{len(left)} instances of {name} do not end")
        time.sleep(0.05)


def _instances(group: str) -> list[str]:
    filters = [{"Name": f"tag:{GROUP_TAG}", "Values": [group]}, {"Name": "instance-state-name", "Values": THERE}]
    pages = call("ec2", "describe_instances", Filters=filters)["Reservations"]
    return [one["InstanceId"] for page in pages for one in page["Instances"]]


KINDS = {
    "AWS::EC2::LaunchTemplate": Kind(
        template_create,
        gone_is_fine(template_delete),
        template_update,
        replacing=("LaunchTemplateName",),
        known=("LaunchTemplateData", "VersionDescription", "TagSpecifications"),
    ),
    "AWS::EC2::EIP": Kind(
        address_create, gone_is_fine(address_delete), address_update, replacing=("Domain",), known=("InstanceId",)
    ),
    "AWS::AutoScaling::AutoScalingGroup": Kind(
        group_create, gone_is_fine(group_delete), group_update, replacing=("AutoScalingGroupName",)
    ),
}
