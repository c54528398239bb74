"""What the controller may do with instances. EC2's conditions no server here knows, so its judge is asked alone."""

import json
import subprocess
from collections.abc import Mapping

from bench import emulators
from facefleet.settings import Settings

from .iam import ACCOUNT, policy

JUDGE = """
import json, sys
from ministack.core.iam_evaluator import EvalContext, evaluate, parse_policy_document
asked = json.load(sys.stdin)
policy = parse_policy_document(asked["policy"])
def allows(action, resource, context):
    context = {key.lower(): value for key, value in context.items()}
    at = EvalContext("arn:aws:iam::000000000000:user/x", "User", "000000000000", action, resource, "us-east-1",
                     service_context=context)
    return evaluate(at, [policy]).decision == "Allow"
print(json.dumps([all(allows(action, resource, context) for resource in resources)
                  for action, resources, context in asked["requests"]]))
"""
EC2 = f"arn:aws:ec2:{ACCOUNT.region}:{ACCOUNT.id}"
INSTANCE, VOLUME = f"{EC2}:instance/*", f"{EC2}:volume/*"
TEMPLATE = f"{EC2}:launch-template/lt-0abc"
#: What EC2 checks of one launch: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html
LAUNCHED = (INSTANCE, VOLUME, TEMPLATE, f"{EC2}:subnet/subnet-1", f"{EC2}:security-group/sg-1")
LAUNCHED += (f"{EC2}:network-interface/*", f"arn:aws:ec2:{ACCOUNT.region}::image/ami-1")
OURS = {"aws:RequestTag/facefleet:fleet": "app-tier-instance"}
LAUNCH = OURS | {"ec2:LaunchTemplate": TEMPLATE, "ec2:MetadataHttpTokens": "required"}
TAG = "aws:ResourceTag/facefleet:fleet"
OWN = {TAG: "app-tier-instance"}
AT_LAUNCH = OURS | {"ec2:CreateAction": "RunInstances"}
ROLES = f"arn:aws:iam::{ACCOUNT.id}:role"
TO_EC2 = {"iam:PassedToService": "ec2.amazonaws.com"}
GROUPS = f"arn:aws:autoscaling:{ACCOUNT.region}:{ACCOUNT.id}:autoScalingGroup:1-2-3:autoScalingGroupName"
IN_GROUP = {"aws:ResourceTag/aws:autoscaling:groupName": "group", "aws:TagKeys": ["facefleet:token", "Name"]}
GROUP, UPDATE = (f"{GROUPS}/group",), "autoscaling:UpdateAutoScalingGroup"
TOKENS = {"aws:TagKeys": ["facefleet:token:1", "facefleet:token:2"]}
OTHERS = {"aws:TagKeys": ["facefleet:token:1", "k8s.io/cluster-autoscaler/enabled"]}

ADDRESS = f"{EC2}:elastic-ip/eipalloc-0abc"
MACHINE = (INSTANCE, f"{EC2}:network-interface/*")
BY_STACK = ["cloudformation.amazonaws.com"]
DEPLOYED = {"aws:ResourceTag/facefleet:deployment": "facefleet"}

Judged = tuple[str, str, tuple[str, ...], Mapping[str, object], bool]
JUDGED: list[Judged] = [
    ("launch by the template, tagged", "ec2:RunInstances", LAUNCHED, LAUNCH, True),
    ("launch spot", "ec2:RunInstances", (*LAUNCHED, f"{EC2}:spot-instances-request/*"), LAUNCH, True),
    ("launch untagged", "ec2:RunInstances", LAUNCHED, LAUNCH | {"aws:RequestTag/facefleet:fleet": "x"}, False),
    ("launch with IMDSv1", "ec2:RunInstances", LAUNCHED, LAUNCH | {"ec2:MetadataHttpTokens": "optional"}, False),
    ("launch by another template", "ec2:RunInstances", LAUNCHED, LAUNCH | {"ec2:LaunchTemplate": "lt-9"}, False),
    ("launch without a template", "ec2:RunInstances", LAUNCHED, OURS, False),
    ("tag what is launched", "ec2:CreateTags", (INSTANCE, VOLUME), AT_LAUNCH, True),
    ("tag later", "ec2:CreateTags", (INSTANCE,), OURS, False),
    ("mark an instance of the group", "ec2:CreateTags", (INSTANCE,), IN_GROUP, True),
    ("other tags there", "ec2:CreateTags", (INSTANCE,), IN_GROUP | {"aws:TagKeys": ["owner"]}, False),
    (
        "terminate own",
        "ec2:TerminateInstances",
        (INSTANCE,),
        {"aws:ResourceTag/facefleet:fleet": "app-tier-instance"},
        True,
    ),
    ("terminate untagged", "ec2:TerminateInstances", (INSTANCE,), {}, False),
    ("pass the worker's role to EC2", "iam:PassRole", (f"{ROLES}/facefleet-worker",), TO_EC2, True),
    ("pass another role", "iam:PassRole", (f"{ROLES}/admin",), TO_EC2, False),
    ("pass it elsewhere", "iam:PassRole", (f"{ROLES}/facefleet-worker",), {"iam:PassedToService": "lambda"}, False),
    ("size of the group", "autoscaling:SetDesiredCapacity", (f"{GROUPS}/group",), {}, True),
    ("size of another", "autoscaling:SetDesiredCapacity", (f"{GROUPS}/group2",), {}, False),
    ("have the group protect its instances", UPDATE, GROUP, {}, True),
    ("let it grow", UPDATE, GROUP, {"autoscaling:MaxSize": "99"}, False),
    ("terminate one of the group", "ec2:TerminateInstances", (INSTANCE,), IN_GROUP, True),
    ("let it launch others", UPDATE, GROUP, {"autoscaling:LaunchConfigurationName": "x"}, False),
    ("let it launch another version", UPDATE, GROUP, {"autoscaling:LaunchTemplateVersionSpecified": "true"}, False),
    ("let it launch other types", UPDATE, GROUP, {"autoscaling:InstanceTypes": ["p5.48xlarge"]}, False),
    ("note a token on the group", "autoscaling:CreateOrUpdateTags", GROUP, TOKENS, True),
    ("remove a token", "autoscaling:DeleteTags", GROUP, TOKENS, True),
    ("other tags of the group", "autoscaling:CreateOrUpdateTags", GROUP, OTHERS, False),
    ("remove others", "autoscaling:DeleteTags", GROUP, OTHERS, False),
    ("delete the group", "autoscaling:DeleteAutoScalingGroup", (f"{GROUPS}/group",), {}, False),
    ("change a template", "ec2:CreateLaunchTemplateVersion", (TEMPLATE,), {}, False),
    ("make an image public", "ec2:ModifyImageAttribute", (f"{EC2}:image/ami-1",), {}, False),
]


#: Of the web tier's machine, which takes the address.
OF_THE_WEB_TIER: list[Judged] = [
    ("take the address", "ec2:AssociateAddress", (ADDRESS,), {}, True),
    ("take another", "ec2:AssociateAddress", (f"{EC2}:elastic-ip/eipalloc-9",), {}, False),
    ("give it to a machine of the deployment", "ec2:AssociateAddress", MACHINE, DEPLOYED, True),
    ("give it to another", "ec2:AssociateAddress", MACHINE, {}, False),
    ("let it go", "ec2:DisassociateAddress", (ADDRESS,), {}, False),
    ("launch", "ec2:RunInstances", LAUNCHED, LAUNCH, False),
    ("terminate", "ec2:TerminateInstances", (INSTANCE,), DEPLOYED, False),
]


#: Of whoever deploys, beside what stacks make.
OF_THE_DEPLOYER: list[Judged] = [
    ("move the address", "ec2:AssociateAddress", (ADDRESS, *MACHINE), DEPLOYED, True),
    ("move another", "ec2:AssociateAddress", (ADDRESS, *MACHINE), {}, False),
    ("say the default version", "ec2:ModifyLaunchTemplate", (TEMPLATE,), DEPLOYED, True),
    ("end a worker", "ec2:TerminateInstances", (INSTANCE,), OWN, True),
    ("end somebody's", "ec2:TerminateInstances", (INSTANCE,), {}, False),
    ("try an image", "ec2:RunInstances", LAUNCHED, DEPLOYED | {"ec2:LaunchTemplate": TEMPLATE}, True),
    ("launch without a template", "ec2:RunInstances", LAUNCHED, DEPLOYED, False),
    ("make a network by itself", "ec2:CreateVpc", (f"{EC2}:vpc/*",), {}, False),
    ("make it by a stack", "ec2:CreateVpc", (f"{EC2}:vpc/*",), {"aws:CalledVia": BY_STACK}, True),
    ("make a role by itself", "iam:CreateRole", (f"{ROLES}/facefleet-fleet-x",), {}, False),
    ("make it by a stack", "iam:CreateRole", (f"{ROLES}/facefleet-fleet-x",), {"aws:CalledVia": BY_STACK}, True),
    ("make another by a stack", "iam:CreateRole", (f"{ROLES}/admin",), {"aws:CalledVia": BY_STACK}, False),
    ("pass its roles", "iam:PassRole", (f"{ROLES}/facefleet-fleet-x",), TO_EC2, True),
    ("pass another", "iam:PassRole", (f"{ROLES}/admin",), TO_EC2, False),
    ("roll a group", "autoscaling:SetDesiredCapacity", (f"{GROUPS}/facefleet-web",), {}, True),
    ("roll another", "autoscaling:SetDesiredCapacity", (f"{GROUPS}/group",), {}, False),
]


def judged(tier: str, settings: Settings, table: list[Judged] = JUDGED) -> list[bool]:
    asked = {"policy": policy(tier, settings), "requests": [list(one[1:4]) for one in table]}
    run = subprocess.run(
        [emulators.PYTHON, "-c", JUDGE], input=json.dumps(asked), capture_output=True, text=True, check=True
    )
    return list(json.loads(run.stdout))


def test_the_controller_launches_and_ends_its_own_fleet_and_nothing_else() -> None:
    settings = Settings(backend="aws", auto_scaling_group="group")
    found = judged("controller", settings)
    assert [one[0] for one, allowed in zip(JUDGED, found, strict=True) if allowed != one[4]] == []
    for tier in ("web", "worker", "operator"):
        assert not any(judged(tier, settings)), tier


def test_the_web_tier_gives_the_address_to_machines_of_its_deployment_and_to_no_other() -> None:
    settings = Settings(backend="aws")
    found = judged("web", settings, OF_THE_WEB_TIER)
    assert [one[0] for one, allowed in zip(OF_THE_WEB_TIER, found, strict=True) if allowed != one[4]] == []
    for tier in ("worker", "operator"):
        assert not any(judged(tier, settings, OF_THE_WEB_TIER)), tier


def test_who_deploys_changes_what_is_the_deployments_and_makes_roles_by_its_stacks_alone() -> None:
    found = judged("deployer", Settings(backend="aws"), OF_THE_DEPLOYER)
    assert [one[0] for one, allowed in zip(OF_THE_DEPLOYER, found, strict=True) if allowed != one[4]] == []
