"""What `deploy/` makes on an account, read from its templates: who is let in, what outlives what, who is told."""

import json
import logging
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from facefleet.backends.aws import logs
from facefleet.backends.aws.account.templates import (
    FLEET,
    FOLDER,
    STORE,
    Options,
    fleet_parameters,
    rendered,
    stack_name,
    store_parameters,
)
from facefleet.backends.aws.account.wanted import as_text, lifecycle, wanted
from facefleet.settings import Settings

BOTH = [STORE, FLEET]
AWS = Settings(backend="aws")
OPTIONS = Options("ami-0123456789abcdef0")
CONTROLLER = Path(__file__).parents[2] / "controller"
#: https://aws.amazon.com/cloudwatch/pricing/: metrics in alarms that cost nothing.
FREE_ALARM_METRICS = 10
#: IAM quota, white space apart: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
MOST_OF_A_ROLE = 10_240
#: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_IpRange.html
DESCRIPTION = re.compile(r"[a-zA-Z0-9 ._:/()#,@\[\]+=&;{}!$*-]{1,255}")
KEEPS_DATA = ("AWS::S3::Bucket", "AWS::DynamoDB::Table", "AWS::SQS::Queue")


@cache
def resources(which: str) -> dict[str, dict[str, Any]]:
    return dict(json.loads(rendered(which))["Resources"])


def of_type(which: str, kind: str) -> dict[str, dict[str, Any]]:
    return {name: one["Properties"] for name, one in resources(which).items() if one["Type"] == kind}


def inside(part: Any) -> Iterator[Any]:
    """Everything that is in it."""
    yield part
    for one in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from inside(one)


def test_two_deployments_share_neither_stacks_nor_alarms() -> None:
    here, there = (store_parameters(AWS, replace(OPTIONS, name=name)) for name in ("facefleet", "other"))
    assert {name for name in here if here[name] != there[name]} == {"Name", "LogGroup"}
    assert stack_name("other", STORE) == "other-store"
    alarms = [
        one["AlarmName"]["Fn::Sub"] for which in BOTH for one in of_type(which, "AWS::CloudWatch::Alarm").values()
    ]
    assert all(name.startswith("${Name}-") for name in alarms) and len(set(alarms)) == len(alarms)


def test_all_that_setup_wants_is_in_the_store_and_forgets_by_the_same_rules() -> None:
    """That each is as wanted is seen where it stands: tests/contract/test_stacks_store.py."""
    assert sum(len(of_type(STORE, kind)) for kind in KEEPS_DATA) == len(wanted(AWS))
    stand = [one["LifecycleConfiguration"]["Rules"] for one in of_type(STORE, "AWS::S3::Bucket").values()]
    asked = [lifecycle(one) for one in wanted(AWS) if hasattr(one, "forgets")]
    assert [[rule["Id"] for rule in rules] for rules in stand] == [[rule["ID"] for rule in rules] for rules in asked]


def test_a_rule_is_the_same_whichever_way_s3_tells_it() -> None:
    rule = {"ID": "facefleet-forget-all", "Status": "Enabled", "Expiration": {"Days": 7}}
    assert as_text(rule | {"Prefix": ""}) == as_text(rule | {"Filter": {"Prefix": ""}}) == as_text(rule)
    assert as_text(rule | {"Prefix": "results/"}) != as_text(rule)


def test_what_holds_data_outlives_a_change_of_its_name_and_says_who_made_it() -> None:
    for which in BOTH:
        for name, one in resources(which).items():
            if one["Type"] in KEEPS_DATA:
                assert one["UpdateReplacePolicy"] == "Retain", name
                assert {"Key": "facefleet:made-by", "Value": "stack"} in one["Properties"]["Tags"]


def test_tables_are_made_after_all_that_may_fail() -> None:
    """Their protection would keep a creation that failed from being rolled back."""
    people = resources(STORE)["People"]
    before = {*people["DependsOn"], *needs(people["Metadata"])}
    for name, one in resources(STORE).items():
        if name in before:
            before |= needs(one)
    assert resources(STORE)["PeopleIndex"]["DependsOn"] == "People"
    assert {name for name in resources(STORE) if name not in before} == {"People", "PeopleIndex"}


def test_nothing_depends_on_what_a_condition_may_leave_out_without_asking_it() -> None:
    """CloudFormation would leave it out, too."""
    for which in BOTH:
        optional = {name for name, one in resources(which).items() if "Condition" in one}
        for one in resources(which).values():
            after = one.get("DependsOn", [])
            assert not optional & {*([after] if isinstance(after, str) else after)}


def needs(part: Any) -> set[str]:
    """The store's resources that it speaks of."""
    named = [one.get("Ref") or one.get("Fn::GetAtt", [""])[0] for one in inside(part) if isinstance(one, dict)]
    return {name for name in named if isinstance(name, str)} & resources(STORE).keys()


def test_ec2_takes_what_security_groups_are_described_with() -> None:
    for group in of_type(FLEET, "AWS::EC2::SecurityGroup").values():
        for part in inside(group):
            if isinstance(part, dict):
                for word in part.keys() & {"Description", "GroupDescription"}:
                    assert DESCRIPTION.fullmatch(part[word]), part[word]


def test_nobody_is_let_in_but_by_the_web_tiers_ports() -> None:
    groups = of_type(FLEET, "AWS::EC2::SecurityGroup")
    assert "SecurityGroupIngress" not in groups["Inside"]
    *everybody, plain = groups["Door"]["SecurityGroupIngress"]
    assert [one["FromPort"] for one in everybody] == [80, 443]
    assert plain["Fn::If"][0] == "HasPlain" and plain["Fn::If"][1]["CidrIp"] == {"Ref": "PlainFrom"}
    for group in groups.values():
        assert [one["FromPort"] for one in group["SecurityGroupEgress"]] == [443, 80]


def test_every_machine_answers_metadata_to_itself_alone_and_lies_encrypted() -> None:
    for template in of_type(FLEET, "AWS::EC2::LaunchTemplate").values():
        data = template["LaunchTemplateData"]
        assert data["MetadataOptions"] == {
            "HttpEndpoint": "enabled",
            "HttpTokens": "required",
            "HttpPutResponseHopLimit": 1,
        }
        assert [one["Ebs"]["Encrypted"] for one in data["BlockDeviceMappings"]] == [True]
        assert "KeyName" not in data


def test_an_update_does_not_say_how_many_machines_there_are() -> None:
    for group in of_type(FLEET, "AWS::AutoScaling::AutoScalingGroup").values():
        assert (group["MinSize"], group["MaxSize"]) == ("1", "2") and "DesiredCapacity" not in group


def test_each_alarm_says_where_to_read_on_and_all_of_them_cost_nothing() -> None:
    alarms = [one for which in BOTH for one in of_type(which, "AWS::CloudWatch::Alarm").values()]
    for alarm in alarms:
        name = alarm["AlarmName"]["Fn::Sub"].removeprefix("${Name}-")
        assert alarm["AlarmDescription"].endswith(f'docs/operations.md, "{name}".')
        assert alarm["AlarmActions"] and "TreatMissingData" in alarm
    assert sum(len(alarm.get("Metrics", "xx")) - 1 for alarm in alarms) <= FREE_ALARM_METRICS


def counted_by(pattern: str, line: str) -> bool:
    """CloudWatch's plain patterns: one of the words after question marks, or the words between quotes."""
    if pattern.startswith('"'):
        return pattern.strip('"') in line
    return any(word.removeprefix("?") in line for word in pattern.split())


def test_what_a_filter_counts_is_what_processes_log() -> None:
    filters = {name: one["FilterPattern"] for name, one in of_type(STORE, "AWS::Logs::MetricFilter").items()}
    for level in (logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL):
        record = logging.makeLogRecord({"levelno": level, "levelname": logging.getLevelName(level), "msg": "an error"})
        line = logs.Line(logs.FORM).format(record)
        assert counted_by(filters["ErrorsCounted"], line) is (level >= logging.ERROR)
    told = "".join(path.read_text() for path in CONTROLLER.rglob("*.py"))
    assert counted_by(filters["FleetAtMostCounted"], told) and counted_by(filters["HourlyBudgetCounted"], told)


def is_as_its_file_says(policy: dict[str, Any]) -> bool:
    source = json.loads((FOLDER / "policies" / f"{policy['PolicyName']}.json").read_text())
    sent = [one["Sid"] for one in policy["PolicyDocument"]["Statement"]]
    return sent == [one["Sid"] for one in source["Statement"]]


def test_a_role_has_its_tiers_policy_and_no_more_than_a_role_may() -> None:
    for name, role in of_type(FLEET, "AWS::IAM::Role").items():
        policy, *more = role["Policies"]
        tier = name.removesuffix("Role").lower()
        assert policy["PolicyName"] == tier and is_as_its_file_says(policy)
        # Only workers that a relay has recognise read all that came.
        assert [one["Fn::If"][0] for one in more] == (["RelayByFleet"] if tier == "worker" else [])
        assert all(is_as_its_file_says(one["Fn::If"][1]) for one in more)
        assert len(json.dumps(role["Policies"], separators=(",", ":"))) <= MOST_OF_A_ROLE
        assert "ManagedPolicyArns" not in role


def user_data(template: str, settings: str, **filled_in: str) -> dict[str, Any]:
    """As CloudFormation fills it in."""
    (text,) = of_type(FLEET, "AWS::EC2::LaunchTemplate")[template]["LaunchTemplateData"]["UserData"].values()
    known = {"Settings": settings, **filled_in}
    return dict(json.loads(re.sub(r"\$\{([\w.]+)\}", lambda found: known.get(found[1], found[1]), text["Fn::Sub"])))


def test_user_data_tell_each_tier_its_settings_and_only_the_web_tier_a_secrets_name() -> None:
    outputs = {"ApiKeySecret": "arn:x", "AlarmTopic": "arn:y"}
    told = fleet_parameters(replace(AWS, max_instances=5), OPTIONS, outputs, region="eu-central-1")["Settings"]
    worker, web, controller = (user_data(f"{tier}Template", told) for tier in ("Worker", "Web", "Controller"))
    everybodys = {
        "AWS_DEFAULT_REGION": "eu-central-1",
        "FACEFLEET_BACKEND": "aws",
        "FACEFLEET_LOG_GROUP": "facefleet",
        "FACEFLEET_MAX_INSTANCES": "5",
    }
    assert worker == {"tier": "workers", "settings": everybodys}
    assert controller == {
        "tier": "controller",
        "settings": everybodys | {"FACEFLEET_SUBNETS": "SubnetA,SubnetB"},
    }
    assert web == {
        "tier": "web",
        "settings": everybodys | {"FACEFLEET_HOST": "0.0.0.0"},  # noqa: S104  # as it should
        "secret": "ApiKeySecret",
        "address": {"allocation": "Address.AllocationId", "ip": "Address.PublicIp", "domain": "Domain"},
    }
