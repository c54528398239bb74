"""moto's launches as EC2's and Auto Scaling's: what the version of the launch template says holds for the instance.

moto itself forgets a version's role, metadata options and the like, and in a group the version.
"""

import copy
from collections import Counter

from moto.autoscaling.exceptions import ValidationError
from moto.autoscaling.models import AutoScalingBackend, FakeAutoScalingGroup, InstanceState
from moto.autoscaling.responses import AutoScalingResponse
from moto.ec2.exceptions import InvalidParameterCombination
from moto.ec2.models.instances import InstanceBackend
from moto.ec2.models.launch_templates import LaunchTemplateVersion
from moto.ec2.responses.launch_templates import LaunchTemplates
from moto.ec2.utils import parse_user_data
from world import WORLD

GROUP_TAG = "aws:autoscaling:groupName"
TEMPLATE_TAG, VERSION_TAG = "aws:ec2launchtemplate:id", "aws:ec2launchtemplate:version"
MOTO_VERSION_INIT = LaunchTemplateVersion.__init__
MOTO_CREATE_VERSION = LaunchTemplates.create_launch_template_version
MOTO_RUN = InstanceBackend.run_instances
MOTO_REPLACE = FakeAutoScalingGroup.replace_autoscaling_group_instances
MOTO_LEAVE_GROUP = AutoScalingBackend.terminate_instance
MOTO_SET_DESIRED = AutoScalingResponse.set_desired_capacity


def version_init(self, template, number: int, data: dict, description: str) -> None:
    """moto decodes a first version's user data alone, and stumbles over all others."""
    if isinstance(data.get("UserData"), str):
        data = data | {"UserData": parse_user_data(data["UserData"])}
    MOTO_VERSION_INIT(self, template, number, data, description)


def create_version(self):
    """One with a source has what the source says, where it does not say it itself; moto starts from nothing."""
    source, id, name = (self._get_param(key) for key in ("SourceVersion", "LaunchTemplateId", "LaunchTemplateName"))
    if source:
        backend = self.ec2_backend
        template = backend.get_launch_template(id) if id else backend.get_launch_template_by_name(name)
        own = self._get_param("LaunchTemplateData", {})
        self.params["LaunchTemplateData"] = template.get_version(source).data | own
    return MOTO_CREATE_VERSION(self)


def run_instances(self, image_id, count: int, user_data, security_group_names: list[str], **asked):
    if not asked.get("launch_template"):
        return MOTO_RUN(self, image_id, count, user_data, security_group_names, **asked)
    said = self._get_template_from_args(asked["launch_template"]).data
    if said.get("NetworkInterfaces") and asked.get("subnet_id"):
        raise InvalidParameterCombination(
            "Network interfaces and an instance-level subnet ID may not be specified on the same request"
        )
    reservation = MOTO_RUN(self, image_id, count, user_data, security_group_names, **asked | from_template(said, asked))
    profile = said.get("IamInstanceProfile")
    if profile and not (asked.get("iam_instance_profile_name") or asked.get("iam_instance_profile_arn")):
        for instance in reservation.instances:
            self.associate_iam_instance_profile(instance.id, profile.get("Name"), profile.get("Arn"))
    return reservation


def from_template(said: dict, asked: dict) -> dict:
    """What a launch takes from a template's version, where it does not say it itself."""
    filled = {"metadata_options": said.get("MetadataOptions", {}) | (asked.get("metadata_options") or {})}
    if not asked.get("instance_initiated_shutdown_behavior"):
        filled["instance_initiated_shutdown_behavior"] = said.get("InstanceInitiatedShutdownBehavior")
    if not asked.get("instance_market_options"):
        filled["instance_market_options"] = said.get("InstanceMarketOptions", {}).get("MarketType", {})
    if not asked.get("nics"):
        filled["nics"] = copy.deepcopy(said.get("NetworkInterfaces", []))
    return filled


# Groups


def replace_in_group(self, count: int, tags: dict[str, str]) -> None:
    if WORLD.refuses({self.instance_type}):
        return
    if self.ec2_launch_template is None:
        MOTO_REPLACE(self, count, tags)
        return
    for _ in range(count):
        (instance,) = _launch(self, {**tags, GROUP_TAG: self.name}).instances
        instance.autoscaling_group = self
        protected = self.new_instances_protected_from_scale_in
        self.instance_states.append(InstanceState(instance, protected_from_scale_in=protected))


def _launch(group: FakeAutoScalingGroup, tags: dict[str, str]):
    version = group.ec2_launch_template.get_version(group.launch_template_version)
    subnet = _emptiest(group)
    nics = copy.deepcopy(version.data.get("NetworkInterfaces", []))
    for nic in nics[:1]:
        nic["SubnetId"] = subnet
    return WORLD.ec2.run_instances(
        version.image_id,
        1,
        version.user_data,
        version.security_groups,
        instance_type=group.instance_type,
        is_instance_type_default=False,
        tags={"instance": group.instance_tags | tags},
        placement=None if subnet else group.availability_zones[0],
        launch_template={"LaunchTemplateId": version.template.id, "Version": version.number},
        associate_public_ip=None,
        subnet_id=None if nics else subnet,
        nics=nics,
    )


def _emptiest(group: FakeAutoScalingGroup) -> str | None:
    """The zone that has fewest of the group."""
    if not group.vpc_zone_identifier:
        return None
    there = Counter(state.instance.subnet_id for state in group.instance_states)
    return min(group.vpc_zone_identifier.split(","), key=lambda subnet: there[subnet])


def leave_group(self, id: str, should_decrement: bool):
    """moto takes the group's tag away from one that is being terminated; the service leaves it."""
    states = [state for group in self.autoscaling_groups.values() for state in group.instance_states]
    state = next((one for one in states if one.instance.id == id), None)
    if state is None:
        raise ValidationError(f"Instance Id not found - No managed instance found for instance ID: {id}")
    group = state.instance.autoscaling_group
    if should_decrement and group.desired_capacity <= group.min_size:
        raise ValidationError(
            f"Currently, desiredSize equals minSize ({group.min_size}). Terminating instance without replacement will "
            "violate group's min size constraint. Either set shouldDecrementDesiredCapacity flag to false or lower "
            "group's min size."
        )
    activity = MOTO_LEAVE_GROUP(self, id, should_decrement)
    state.instance.add_tag(GROUP_TAG, group.name)
    return activity


def set_desired(self):
    name, desired = self._get_param("AutoScalingGroupName"), self._get_int_param("DesiredCapacity")
    group = self.autoscaling_backend.autoscaling_groups.get(name)
    if group is None:
        raise ValidationError(f"AutoScalingGroup name not found - {name}")
    if not group.min_size <= desired <= group.max_size:
        bound = f"above max value {group.max_size}" if desired > group.max_size else f"below min value {group.min_size}"
        raise ValidationError(f"New SetDesiredCapacity value {desired} is {bound} for the AutoScalingGroup.")
    return MOTO_SET_DESIRED(self)


def launched_from(self) -> dict[str, str] | None:
    """The version that this one was launched from, and not the template's of now."""
    tags = {tag["key"]: tag["value"] for tag in self.instance.get_tags()}
    if TEMPLATE_TAG not in tags:
        return None
    template = WORLD.ec2.launch_templates.get(tags[TEMPLATE_TAG])
    name = {"LaunchTemplateName": template.name} if template else {}
    return {"LaunchTemplateId": tags[TEMPLATE_TAG], "Version": tags[VERSION_TAG], **name}


def counted(self) -> list[InstanceState]:
    """Those that make up the group's size: one that comes up, too."""
    return [state for state in self.instance_states if state.kept_state == "InService"]


def seen_state(self) -> str:
    """In service once it runs."""
    pending = self.kept_state == "InService" and self.instance.state == "pending"
    return "Pending" if pending else self.kept_state


def keep_state(self, state: str) -> None:
    self.kept_state = state


def patch() -> None:
    LaunchTemplateVersion.__init__ = version_init
    LaunchTemplates.create_launch_template_version = create_version
    InstanceBackend.run_instances = run_instances
    FakeAutoScalingGroup.replace_autoscaling_group_instances = replace_in_group
    FakeAutoScalingGroup.active_instances = counted
    AutoScalingBackend.terminate_instance = leave_group
    AutoScalingResponse.set_desired_capacity = set_desired
    InstanceState.launch_template = property(launched_from)
    InstanceState.lifecycle_state = property(seen_state, keep_state)
