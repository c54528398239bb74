"""The policies in `deploy/policies/`: least privilege, as far as it can be read from them."""

import json
import re
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from botocore.session import Session
from hypothesis import given
from hypothesis import strategies as st

from facefleet import keys
from facefleet.backends.aws import account
from facefleet.backends.aws.account import deployment
from facefleet.backends.aws.account.policies import Account, names, rendered
from facefleet.settings import Settings

FOLDER = Path(__file__).parents[2] / "deploy" / "policies"
POLICIES = sorted(FOLDER.glob("*.json"))
ACCOUNT = Account(id="123456789012", region="eu-central-1", partition="aws-cn")
#: Of a role's own policies together, white space apart: a managed one takes 6,144, too few for long names.
#: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
MOST_CHARACTERS = 10_240
#: The longest that S3, SQS, EC2 and Auto Scaling take, in this order, or longer.
LONG = {
    **dict.fromkeys(("input_bucket", "output_bucket", "state_bucket"), "b" * 63),
    **dict.fromkeys(("request_queue", "response_queue"), "q" * 75),
    **dict.fromkeys(("launch_template", "instance_name", "auto_scaling_group", "people_table"), "n" * 200),
}
#: What AWS cannot limit to a resource.
WITHOUT_RESOURCE = re.compile(
    r"(ec2|autoscaling):Describe\w+|sqs:ListQueues|servicequotas:Get\w+|cloudwatch:DescribeAlarms|sns:Unsubscribe"
    r"|secretsmanager:GetRandomPassword|logs:DescribeIndexPolicies|xray:Put(TraceSegments|TelemetryRecords)"
    r"|logs:(\w+LogDelivery|ListLogDeliveries|PutResourcePolicy|DescribeResourcePolicies)"
)
#: Permissions of S3, IAM, Lambda, Budgets and API Gateway that are not called as their operation is.
NO_OPERATION = {
    *(f"apigateway:{verb}" for verb in ("GET", "POST", "PATCH", "PUT", "DELETE")),
    *(f"logs:{verb}LogDelivery" for verb in ("Create", "Get", "Update", "Delete")),
    "logs:ListLogDeliveries",
    "s3:GetObjectVersion",
    "budgets:ModifyBudget",
    "budgets:ViewBudget",
    "iam:PassRole",
    "lambda:InvokeFunction",
    "s3:DeleteObjectVersion",
    "s3:ListBucketVersions",
    *(f"s3:{verb}{what}" for verb in ("Get", "Put") for what in ("EncryptionConfiguration", "LifecycleConfiguration")),
    *(f"s3:{verb}BucketPublicAccessBlock" for verb in ("Get", "Put")),
    "s3:ListBucket",
}
SERVICES = {"servicequotas": "service-quotas"}
#: How a call is written in the code behind `deploy`, `upgrade` and `destroy`, and the service by its name there.
CALL = re.compile(r"\b_?(calls|ec2|autoscaling|secrets)\.(?:get_paginator\(\"(\w+)\"|(\w+)\()|\(\"(describe_\w+)\",")
CALLED = {"calls": "cloudformation", "secrets": "secretsmanager", "": "ec2"}
LETTERS = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=3, max_size=20)


@pytest.fixture(params=POLICIES, ids=lambda path: path.stem)
def text(request: pytest.FixtureRequest) -> str:
    return Path(request.param).read_text()


def statements(text: str, settings: Settings | None = None) -> list[dict[str, Any]]:
    settings = settings or Settings(backend="aws", auto_scaling_group="group")
    return list(json.loads(rendered(text, names(ACCOUNT, settings)))["Statement"])


def each(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


@cache
def operations(service: str) -> frozenset[str]:
    return frozenset(Session().get_service_model(service).operation_names)


def test_there_is_one_for_each_tier_and_each_way_of_a_relay_and_four_for_whoever_runs_them() -> None:
    tiers, people = ["controller", "function", "web", "worker"], ["data", "deployer", "operator", "serverless"]
    relays = ["relay", "relay-fleet", "relay-itself", "worker-relay"]
    assert {path.stem for path in POLICIES} == {*tiers, *people, *relays}


def test_nothing_stays_to_be_filled_in_and_it_fits(text: str) -> None:
    done = rendered(text, names(ACCOUNT, Settings(backend="aws", **LONG)))
    assert "${" not in done and "arn:aws:" not in text
    assert len(re.sub(r"\s", "", done)) <= MOST_CHARACTERS


def test_it_allows_no_action_by_a_wildcard_and_a_wildcard_of_resources_only_where_aws_knows_no_other(text: str) -> None:
    for statement in statements(text):
        actions = each(statement["Action"])
        assert not any("*" in action for action in actions)
        assert statement.keys() <= {"Sid", "Effect", "Action", "Resource", "Condition"}
        if "*" in each(statement["Resource"]):
            assert [action for action in actions if not WITHOUT_RESOURCE.fullmatch(action)] == []


def test_every_action_is_one_that_aws_knows(text: str) -> None:
    for statement in statements(text):
        for action in set(each(statement["Action"])) - NO_OPERATION:
            service, _, operation = action.partition(":")
            assert operation in operations(SERVICES.get(service, service))


def test_each_statement_has_a_name_of_its_own(text: str) -> None:
    sids = [statement["Sid"] for statement in statements(text)]
    assert len(set(sids)) == len(sids) and all(sid.isalnum() for sid in sids)


@pytest.mark.parametrize("tier", ["controller", "deployer"])
def test_who_changes_instances_must_show_whose_they_are(tier: str) -> None:
    for statement in statements((FOLDER / f"{tier}.json").read_text()):
        changes = [a for a in each(statement["Action"]) if a.startswith("ec2:") and "Describe" not in a]
        assert not changes or statement["Condition"]


@pytest.mark.parametrize(("who", "stack"), [("deployer", "fleet"), ("serverless", "serverless")])
def test_who_makes_roles_makes_those_of_the_deployment_and_only_by_its_stack(who: str, stack: str) -> None:
    for statement in statements((FOLDER / f"{who}.json").read_text()):
        actions, about = each(statement["Action"]), each(statement["Resource"])
        if any(action.startswith("iam:") and "ServiceLinked" not in action for action in actions):
            assert all(one.partition("/")[2] == f"facefleet-{stack}-*" for one in about)
        if "iam:PutRolePolicy" in actions:
            told = {"aws:CalledVia": "cloudformation.amazonaws.com"}
            assert statement["Condition"] == {"ForAnyValue:StringEquals": told}


def test_a_bucket_of_another_account_is_nothing_to_anybody_whoever_lets_them_in(text: str) -> None:
    """Names of buckets are the whole world's: one that was removed here may be made again there."""
    here = {"StringEquals": {"aws:ResourceAccount": ACCOUNT.id}}
    # One that is to be made is nobody's yet, and whose it is cannot be asked.
    of_s3 = [
        one
        for one in statements(text)
        if any(action.startswith("s3:") and action != "s3:CreateBucket" for action in each(one["Action"]))
    ]
    # A relay that has a function called sees no bucket.
    assert of_s3 or "lambda:InvokeFunction" in text
    assert all(one["Condition"] == here for one in of_s3)


def test_nobody_but_who_recognises_or_may_change_people_reads_them_and_nobody_reads_photos() -> None:
    readers = set()
    for path in POLICIES:
        for statement in statements(path.read_text()):
            actions, resources = each(statement["Action"]), each(statement["Resource"])
            if {"dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Scan"} & set(actions):
                readers.add(path.stem)
            if "s3:GetObject" in actions:
                photo = "arn:aws-cn:s3:::facefleet-state/photos/paul/1"
                assert not any(fnmatchcase(photo, resource) for resource in resources)
    assert readers == {"data", "function", "relay-itself", "web", "worker"}


def test_who_deploys_may_make_each_call_that_deploying_makes() -> None:
    allowed = {
        action
        for who in ("operator", "deployer", "serverless")
        for one in statements((FOLDER / f"{who}.json").read_text())
        for action in each(one["Action"])
    }
    made = set()
    for path in Path(account.__file__).parent.glob("*.py"):
        for name, *calls in CALL.findall(path.read_text()):
            service, operation = CALLED.get(name, name), "".join(calls).title().replace("_", "")
            if operation in operations(service):
                made.add(f"{service}:{operation}")
    assert {"cloudformation:CreateChangeSet", "ec2:DescribeVpcs", "secretsmanager:GetSecretValue"} <= made
    assert made <= allowed


def test_who_deploys_may_read_what_a_roll_looks_at_and_nothing_else_of_the_state() -> None:
    readable = {
        resource.partition("/")[2]
        for one in statements((FOLDER / "deployer.json").read_text())
        if "s3:GetObject" in each(one["Action"])
        for resource in each(one["Resource"])
    }
    assert readable == {keys.CAME, keys.FLEET_STATUS, deployment.ROOT}


@given(st.fixed_dictionaries({field: LETTERS for field in ("request_queue", "state_bucket", "people_table")}))
def test_it_speaks_of_what_the_settings_name_and_of_nothing_else(own: dict[str, str]) -> None:
    settings = Settings(backend="aws", **{field: f"own-{name}" for field, name in own.items()})
    for path in POLICIES:
        told = rendered(path.read_text(), names(ACCOUNT, settings))
        assert not re.search(r"(?<![\w-])facefleet-(requests|state|people)\b", told)


@pytest.mark.parametrize(
    "named",
    [
        "mine",
        "mine:live",
        "arn:aws:lambda:eu-central-1:123456789012:function:mine",
        "arn:aws:lambda:r:1:function:mine:7",
    ],
)
def test_a_relay_may_call_its_function_however_that_is_named_and_no_other(named: str) -> None:
    settings = Settings(backend="aws", relay_function=named)
    (call,) = [
        one for one in statements((FOLDER / "relay.json").read_text(), settings) if "lambda" in str(one["Action"])
    ]
    assert [one.rpartition(":function:")[2] for one in call["Resource"]] == ["mine", "mine:*"]


def test_a_placeholder_without_a_name_is_refused_and_an_escaped_one_is_none() -> None:
    with pytest.raises(KeyError):
        rendered("${Typo}", {})
    assert rendered("${!aws:username} of ${AWS::Region}", {"AWS::Region": "x"}) == "${aws:username} of x"
