"""`facefleet doctor` from a terminal: a line for each thing, and an exit code."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from services import Service

from bench import emulators

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def env() -> Iterator[dict[str, str]]:
    """Servers for all that it asks; who is nobody is refused."""
    with emulators.store(asks_iam=True) as store, emulators.cloud() as cloud:
        ec2 = boto3.client("ec2", endpoint_url=cloud.url, region_name="us-east-1", **keys(emulators.KEYS))
        data = {"ImageId": emulators.IMAGE, "InstanceType": "t3.medium"}
        ec2.create_launch_template(LaunchTemplateName="facefleet-worker", LaunchTemplateData=data)
        yield {"FACEFLEET_BACKEND": "aws"} | dict(store.env) | dict(cloud.env)


def keys(env: dict[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in env.items()}


@pytest.fixture
def account(env: dict[str, str], tmp_path: Path) -> Service:
    account = Service(tmp_path, settings=dict(env))
    assert account.cli("setup", "--yes").returncode == 0
    return account


def states(account: Service, *options: str) -> dict[str, set[str]]:
    """What was looked at, by how it is."""
    run = account.cli("doctor", "--json", *options)
    found: list[dict[str, str]] = json.loads(run.stdout)["findings"]
    by_state: dict[str, set[str]] = {"ok": set(), "wrong": set(), "cannot tell": set()}
    for finding in found:
        assert finding["words"]
        by_state[finding["state"]].add(finding["about"])
    assert run.returncode == (1 if by_state["wrong"] else 0) and run.stderr == ""
    return by_state


def test_on_one_machine_it_looks_at_what_there_is_without_aws(tmp_path: Path) -> None:
    run = Service(tmp_path).cli("doctor")
    assert (run.returncode, run.stderr) == (0, "")
    lines = [line.partition(": ")[0].split(maxsplit=1) for line in run.stdout.splitlines()]
    assert {about for _, about in lines} == {"settings", "python", "libraries", "data folder", "model", "port"}
    assert {state for state, _ in lines} == {"ok"}


def test_a_taken_port_and_an_open_data_folder_are_wrong_and_it_says_what_to_do(tmp_path: Path) -> None:
    service = Service(tmp_path)
    (tmp_path / "data").mkdir(mode=0o755)
    with socket.create_server(("127.0.0.1", service.port)):
        run = service.cli("doctor")
    assert run.returncode == 1
    wrong = [line for line in run.stdout.splitlines() if line.startswith("wrong")]
    assert len(wrong) == 2 and "chmod 700" in wrong[0] and "FACEFLEET_PORT" in wrong[1]


def test_a_port_that_the_service_itself_has_is_fine(service: Service) -> None:
    run = service.cli("doctor")
    assert f"port: a service answers at {service.url}" in run.stdout


def test_an_account_that_is_set_up_is_fine(account: Service) -> None:
    found = states(account)
    # The emulator knows no quotas.
    assert (found["wrong"], found["cannot tell"]) == (set(), {"vCPU quota"})
    assert {"credentials", "region", "clock", "sqs", "s3", "dynamodb", "ec2", "launch template"} <= found["ok"]
    assert {"permissions, web", "permissions, worker", "permissions, controller"} <= found["ok"]


def test_it_leaves_nothing_behind(account: Service) -> None:
    before = everything(account)
    states(account)
    assert everything(account) == before


def everything(account: Service) -> tuple[list[str], list[Any], int]:
    def client(service: str) -> Any:
        url = account.settings["AWS_ENDPOINT_URL_S3"]
        return boto3.client(service, endpoint_url=url, region_name="us-east-1", **keys(emulators.KEYS))

    buckets = [bucket["Name"] for bucket in client("s3").list_buckets()["Buckets"]]
    versions = [client("s3").list_object_versions(Bucket=name).get("Versions", []) for name in buckets]
    items = client("dynamodb").scan(TableName="facefleet-people-index")["Count"]
    return client("sqs").list_queues()["QueueUrls"], versions, items


def test_what_somebody_changed_or_removed_is_found(account: Service) -> None:
    account.settings |= {"FACEFLEET_MAX_RECEIVES": "3", "FACEFLEET_OUTPUT_BUCKET": "facefleet-another"}
    account.settings["FACEFLEET_LAUNCH_TEMPLATE"] = "facefleet-another"
    wrong = {"queue facefleet-requests", "bucket facefleet-another", "launch template"}
    assert states(account)["wrong"] == wrong


@pytest.mark.parametrize(("most", "state"), [(19, "ok"), (3, "wrong")])
def test_of_a_group_it_looks_at_its_size_and_not_at_a_template(account: Service, most: int, state: str) -> None:
    name, url = f"group-of-{most}", account.settings["AWS_ENDPOINT_URL_AUTO_SCALING"]
    group = boto3.client("autoscaling", endpoint_url=url, region_name="us-east-1", **keys(emulators.KEYS))
    account.settings |= {"FACEFLEET_AUTO_SCALING_GROUP": name, "FACEFLEET_LAUNCH_TEMPLATE": "facefleet-another"}
    assert "Auto Scaling group" in states(account)["wrong"], "there is none yet"
    group.create_auto_scaling_group(
        AutoScalingGroupName=name,
        MinSize=0,
        MaxSize=most,
        LaunchTemplate={"LaunchTemplateName": "facefleet-worker"},
        AvailabilityZones=["us-east-1a"],
    )
    found = states(account)
    assert "Auto Scaling group" in found[state] and not any("launch template" in those for those in found.values())


def test_credentials_that_aws_does_not_take_are_wrong(account: Service) -> None:
    account.settings |= {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE"}
    assert "credentials" in states(account)["wrong"]


def test_without_credentials_or_region_it_says_what_to_set(account: Service, tmp_path: Path) -> None:
    del account.settings["AWS_ACCESS_KEY_ID"], account.settings["AWS_SECRET_ACCESS_KEY"]
    account.settings |= {"HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true"}
    run = account.cli("doctor")
    assert run.returncode == 1 and "AWS_PROFILE" in run.stdout
    del account.settings["AWS_DEFAULT_REGION"]
    run = account.cli("doctor")
    assert run.returncode == 1 and "AWS_DEFAULT_REGION" in run.stdout and " credentials: " not in run.stdout


def test_a_service_that_does_not_answer_is_wrong_and_keeps_nobody_from_the_rest(account: Service) -> None:
    account.settings["AWS_ENDPOINT_URL_EC2"] = "http://127.0.0.1:9"
    found = states(account)
    assert found["wrong"] == {"ec2"}
    assert found["cannot tell"] == {"launch template", "vCPU quota", "permissions, controller"}


def test_a_tier_that_lacks_a_permission_is_told_which_and_where_it_stands(account: Service) -> None:
    url = account.settings["AWS_ENDPOINT_URL_IAM"]
    iam = boto3.client("iam", endpoint_url=url, region_name="us-east-1", **keys(emulators.KEYS))
    policy = {"Effect": "Allow", "Action": ["sqs:*", "s3:*"], "Resource": "*"}
    iam.create_user(UserName="half")
    document = json.dumps({"Version": "2012-10-17", "Statement": [policy]})
    iam.put_user_policy(UserName="half", PolicyName="half", PolicyDocument=document)
    key = iam.create_access_key(UserName="half")["AccessKey"]
    account.settings |= {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
    run = account.cli("doctor", "--tier", "worker")
    denied = [line for line in run.stdout.splitlines() if line.startswith("wrong")]
    assert run.returncode == 1 and len(denied) == 4
    assert all("people" in line and "deploy/policies/worker.json" in line for line in denied)
    assert "permissions, web" not in run.stdout
    assert "permissions" not in account.cli("doctor", "--tier", "operator").stdout


def test_its_help_has_examples(tmp_path: Path) -> None:
    run = Service(tmp_path).cli("doctor", "-h")
    assert run.returncode == 0 and "Examples:" in run.stdout
