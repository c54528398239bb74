"""The resources of a stack that are roles, and the profiles that instances carry them by."""

import json
from typing import Any

from stack_calls import Kind, Made, Props, call, gone_is_fine, made_name


def role_create(logical: str, props: Props, stack: str) -> Made:
    name = props.get("RoleName") or made_name(stack, logical)[-64:]
    call(
        "iam",
        "create_role",
        RoleName=name,
        Path=props.get("Path"),
        AssumeRolePolicyDocument=_text(props["AssumeRolePolicyDocument"]),
        Description=props.get("Description"),
        MaxSessionDuration=props.get("MaxSessionDuration"),
        Tags=props.get("Tags"),
    )
    return role_update(name, {}, props, stack)


def role_update(name: str, old: Props, new: Props, _: str) -> Made:
    if old:
        document = _text(new["AssumeRolePolicyDocument"])
        call("iam", "update_assume_role_policy", RoleName=name, PolicyDocument=document)
    before, after = ({one["PolicyName"] for one in props.get("Policies", [])} for props in (old, new))
    for policy in before - after:
        call("iam", "delete_role_policy", RoleName=name, PolicyName=policy)
    for policy in new.get("Policies", []):
        document = _text(policy["PolicyDocument"])
        call("iam", "put_role_policy", RoleName=name, PolicyName=policy["PolicyName"], PolicyDocument=document)
    before, after = (set(props.get("ManagedPolicyArns", [])) for props in (old, new))
    for arn in before - after:
        call("iam", "detach_role_policy", RoleName=name, PolicyArn=arn)
    for arn in after - before:
        call("iam", "attach_role_policy", RoleName=name, PolicyArn=arn)
    found = call("iam", "get_role", RoleName=name)["Role"]
    return name, {"Arn": found["Arn"], "RoleId": found["RoleId"]}


def role_delete(name: str, props: Props) -> None:
    for policy in call("iam", "list_role_policies", RoleName=name)["PolicyNames"]:
        call("iam", "delete_role_policy", RoleName=name, PolicyName=policy)
    for policy in call("iam", "list_attached_role_policies", RoleName=name)["AttachedPolicies"]:
        call("iam", "detach_role_policy", RoleName=name, PolicyArn=policy["PolicyArn"])
    call("iam", "delete_role", RoleName=name)


def profile_create(logical: str, props: Props, stack: str) -> Made:
    name = props.get("InstanceProfileName") or made_name(stack, logical)
    made = call("iam", "create_instance_profile", InstanceProfileName=name, Path=props.get("Path"))
    for role in props["Roles"]:
        call("iam", "add_role_to_instance_profile", InstanceProfileName=name, RoleName=role)
    return name, {"Arn": made["InstanceProfile"]["Arn"]}


def profile_update(name: str, old: Props, new: Props, _: str) -> Made:
    for role in old["Roles"]:
        call("iam", "remove_role_from_instance_profile", InstanceProfileName=name, RoleName=role)
    for role in new["Roles"]:
        call("iam", "add_role_to_instance_profile", InstanceProfileName=name, RoleName=role)
    return name, {"Arn": call("iam", "get_instance_profile", InstanceProfileName=name)["InstanceProfile"]["Arn"]}


def profile_delete(name: str, _: Props) -> None:
    for role in call("iam", "get_instance_profile", InstanceProfileName=name)["InstanceProfile"]["Roles"]:
        call("iam", "remove_role_from_instance_profile", InstanceProfileName=name, RoleName=role["RoleName"])
    call("iam", "delete_instance_profile", InstanceProfileName=name)


def _text(document: Any) -> str:
    return document if isinstance(document, str) else json.dumps(document)


KINDS = {
    "AWS::IAM::Role": Kind(
        role_create,
        gone_is_fine(role_delete),
        role_update,
        replacing=("RoleName", "Path"),
        known=("AssumeRolePolicyDocument", "Policies", "ManagedPolicyArns", "Description", "MaxSessionDuration"),
    ),
    "AWS::IAM::InstanceProfile": Kind(
        profile_create,
        gone_is_fine(profile_delete),
        profile_update,
        replacing=("InstanceProfileName", "Path"),
        known=("Roles",),
    ),
}
