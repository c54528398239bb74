"""The stacks of `deploy/` on the emulators: what they leave is what setup, the tiers and their machines expect."""

import base64
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import boto3
import pytest

from ami import userdata
from bench import emulators
from facefleet.backends.aws.account import templates
from facefleet.backends.aws.account.resources import Verb, plan, removal
from facefleet.backends.aws.account.templates import FLEET, STORE, Options, fleet_parameters, store_parameters
from facefleet.backends.aws.clients import connect_clients
from facefleet.settings import Settings

PATIENCE = 60.0
SETTINGS = Settings(backend="aws", max_message_bytes=262_144, keep_days=2.5, max_receives=4, max_instances=3)
OPTIONS = Options(emulators.IMAGE, email="a@b.c", budget=50.0, plain_from="198.51.100.0/24")

Client = Callable[[str], Any]


@pytest.fixture(scope="module")
def account() -> Iterator[emulators.AccountEmulator]:
    with emulators.account() as emulator:
        yield emulator


@pytest.fixture(scope="module")
def client(account: emulators.AccountEmulator) -> Client:
    keys = {name.lower(): key for name, key in emulators.KEYS.items()}

    def make(service: str) -> Any:
        endpoint = account.env[f"AWS_ENDPOINT_URL_{service.upper()}"]
        name = {"cloudwatch_logs": "logs", "secrets_manager": "secretsmanager", "auto_scaling": "autoscaling"}
        return boto3.client(name.get(service, service), endpoint_url=endpoint, region_name=emulators.REGION, **keys)

    return make


@pytest.fixture(scope="module")
def store(client: Client) -> Mapping[str, str]:
    """What the stack tells, once it stands."""
    return make(client, STORE, store_parameters(SETTINGS, OPTIONS))


@pytest.fixture(scope="module")
def fleet(client: Client, store: Mapping[str, str]) -> Mapping[str, str]:
    return make(client, FLEET, fleet_parameters(SETTINGS, OPTIONS, store, region=emulators.REGION))


def make(client: Client, which: str, parameters: Mapping[str, str], verb: str = "create") -> dict[str, str]:
    cloudformation, name = client("cloudformation"), templates.stack_name(OPTIONS.name, which)
    getattr(cloudformation, f"{verb}_stack")(
        StackName=name,
        TemplateBody=templates.rendered(which),
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        Capabilities=["CAPABILITY_IAM"],
    )
    deadline = time.monotonic() + PATIENCE
    while (stack := cloudformation.describe_stacks(StackName=name)["Stacks"][0])["StackStatus"].endswith("PROGRESS"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert stack["StackStatus"] == f"{verb.upper()}_COMPLETE", cloudformation.describe_stack_events(StackName=name)
    return {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}


def verbs(account: emulators.AccountEmulator, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> dict[str, Verb]:
    for name, value in account.env.items():
        monkeypatch.setenv(name, value)
    return {step.what: step.verb for step in plan(connect_clients(), settings)}


def test_setup_finds_all_that_the_store_made_fine_and_will_not_remove_it(
    account: emulators.AccountEmulator, store: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = verbs(account, SETTINGS, monkeypatch)
    assert len(found) == 8 and set(found.values()) == {Verb.FINE}
    assert {step.verb for step in removal(connect_clients(), SETTINGS, people=True)} == {Verb.LEAVE}


def test_setup_finds_all_fine_after_a_change_of_settings_too(
    account: emulators.AccountEmulator, client: Client, store: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = replace(SETTINGS, visibility_timeout=7.5, keep_days=11.0, max_message_bytes=524_288)
    make(client, STORE, store_parameters(other, OPTIONS), "update")
    assert set(verbs(account, other, monkeypatch).values()) == {Verb.FINE}
    make(client, STORE, store_parameters(SETTINGS, OPTIONS), "update")
    assert set(verbs(account, SETTINGS, monkeypatch).values()) == {Verb.FINE}


def test_the_secret_is_what_a_machine_makes_an_api_key_of(client: Client, store: Mapping[str, str]) -> None:
    value = json.loads(client("secrets_manager").get_secret_value(SecretId=store["ApiKeySecret"])["SecretString"])
    assert value.keys() == {"key", "scopes"} and value["key"].isalnum() and len(value["key"]) == 40
    settings = Settings(backend="aws", api_keys=f"{value['key']}:{value['scopes']}")
    assert settings.keys == {value["key"]: frozenset({"recognise", "enrol", "admin"})}


def test_logs_are_kept_no_longer_than_all_else_and_alarms_tell_the_topic(
    client: Client, store: Mapping[str, str]
) -> None:
    (group,) = client("cloudwatch_logs").describe_log_groups(logGroupNamePrefix=store["LogGroup"])["logGroups"]
    assert (group["logGroupName"], group["retentionInDays"]) == ("facefleet", 3)
    filters = client("cloudwatch_logs").describe_metric_filters(logGroupName="facefleet")["metricFilters"]
    assert len(filters) == 3
    counted = {(one["metricNamespace"], one["metricName"]) for f in filters for one in f["metricTransformations"]}
    alarms = client("cloudwatch").describe_alarms(AlarmNamePrefix="facefleet-")["MetricAlarms"]
    watched = {(one.get("Namespace"), one.get("MetricName")) for one in alarms}
    assert counted <= watched
    assert all(one["AlarmActions"] == [store["AlarmTopic"]] for one in alarms)


def test_each_template_tells_its_machine_what_it_is(client: Client, fleet: Mapping[str, str]) -> None:
    told = {tier: user_data(client, fleet[f"{tier}Template"]) for tier in ("Worker", "Web", "Controller")}
    assert {tier: one.tier for tier, one in told.items()} == {
        "Worker": "workers",
        "Web": "web",
        "Controller": "controller",
    }
    for one in told.values():
        env = {name: value for name, value in one.settings.items() if name.startswith("FACEFLEET_")}
        # Without keys, which the machine adds, the web tier would not listen to everybody.
        env.pop("FACEFLEET_HOST", None)
        read = Settings.from_env(env)
        assert replace(read, subnets="") == replace(SETTINGS, log_group="facefleet")
    assert told["Controller"].settings["FACEFLEET_SUBNETS"] == fleet["Subnets"]
    assert told["Web"].address == userdata.Address(fleet["AllocationId"], fleet["Address"])
    assert (told["Web"].secret != "") and told["Worker"].secret == told["Controller"].secret == ""


def user_data(client: Client, template: str) -> userdata.UserData:
    versions = client("ec2").describe_launch_template_versions(LaunchTemplateId=template, Versions=["$Latest"])
    data = versions["LaunchTemplateVersions"][0]["LaunchTemplateData"]["UserData"]
    read = userdata.read(base64.b64decode(data))
    assert read is not None
    return read


def test_a_group_has_the_machine_that_graders_look_for(client: Client, fleet: Mapping[str, str]) -> None:
    for group, name in ((fleet["WebGroup"], "web-instance"), (fleet["ControllerGroup"], "controller-instance")):
        running = {"Name": "instance-state-name", "Values": ["pending", "running"]}
        filters = [{"Name": "tag:aws:autoscaling:groupName", "Values": [group]}, running]
        ((instance,),) = [r["Instances"] for r in client("ec2").describe_instances(Filters=filters)["Reservations"]]
        tags = {tag["Key"]: tag["Value"] for tag in instance["Tags"]}
        assert (tags["Name"], tags["facefleet:deployment"]) == (name, "facefleet")
        assert instance["SubnetId"] in fleet["Subnets"].split(",")


def test_a_policy_on_the_account_speaks_of_what_stands_there(client: Client, fleet: Mapping[str, str]) -> None:
    policies = {}
    for role in client("iam").list_roles()["Roles"]:
        for name in client("iam").list_role_policies(RoleName=role["RoleName"])["PolicyNames"]:
            policies[name] = json.dumps(client("iam").get_role_policy(RoleName=role["RoleName"], PolicyName=name))
    assert policies.keys() == {"web", "worker", "controller"}
    assert not any("${" in policy for policy in policies.values())
    assert f"launch-template/{fleet['WorkerTemplate']}" in policies["controller"]
    assert f"elastic-ip/{fleet['AllocationId']}" in policies["web"]


def test_a_changed_setting_is_a_new_version_and_neither_the_default_nor_how_many_there_are(
    client: Client, store: Mapping[str, str], fleet: Mapping[str, str]
) -> None:
    groups = {"AutoScalingGroupNames": [fleet["WebGroup"]]}
    client("auto_scaling").set_desired_capacity(AutoScalingGroupName=fleet["WebGroup"], DesiredCapacity=2)
    changed = replace(SETTINGS, max_instances=5)
    make(client, FLEET, fleet_parameters(changed, OPTIONS, store, region=emulators.REGION), "update")
    ids = [fleet["WorkerTemplate"], fleet["WebTemplate"], fleet["ControllerTemplate"]]
    for template in client("ec2").describe_launch_templates(LaunchTemplateIds=ids)["LaunchTemplates"]:
        assert (template["DefaultVersionNumber"], template["LatestVersionNumber"]) == (1, 2)
    (group,) = client("auto_scaling").describe_auto_scaling_groups(**groups)["AutoScalingGroups"]
    assert (group["DesiredCapacity"], group["LaunchTemplate"]["Version"]) == (2, "2")
