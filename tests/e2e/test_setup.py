"""`facefleet setup` from a terminal: the plan first, then a question, then what was agreed to."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest
from services import Service

from bench import emulators

pytestmark = pytest.mark.slow

EVERYTHING = 8
#: What stays when people do: two tables, and the bucket with their photos.
OF_PEOPLE = 3


@pytest.fixture(scope="module")
def store() -> Iterator[emulators.Emulator]:
    with emulators.store() as emulator:
        yield emulator


@pytest.fixture(scope="module")
def cloud() -> Iterator[emulators.Emulator]:
    with emulators.cloud() as emulator:
        yield emulator


@pytest.fixture
def account(store: emulators.Emulator, cloud: emulators.Emulator, tmp_path: Path) -> Service:
    """The command line on an account where nothing stands under its names."""
    own = uuid4().hex[:8]
    settings = {f"FACEFLEET_{name}": f"{name.lower().replace('_', '-')}-{own}" for name in NAMES}
    return Service(tmp_path, settings={"FACEFLEET_BACKEND": "aws"} | settings | dict(cloud.env) | dict(store.env))


NAMES = ("REQUEST_QUEUE", "RESPONSE_QUEUE", "INPUT_BUCKET", "OUTPUT_BUCKET", "STATE_BUCKET", "PEOPLE_TABLE")


def client(account: Service, service: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=account.settings["AWS_ENDPOINT_URL_S3"],
        region_name="us-east-1",
        **credentials(),
    )


def credentials() -> dict[str, str]:
    return {name.lower(): key for name, key in emulators.KEYS.items()}


def verbs(account: Service, *options: str) -> list[str]:
    """What a plan says of each thing that there is to do something about."""
    run = account.cli("setup", "--dry-run", "--json", *options)
    assert (run.returncode, run.stderr) == (0, "")
    return [step["verb"] for step in json.loads(run.stdout)["steps"] if step["verb"] != "fine"]


def test_a_dry_run_shows_what_would_be_made_and_makes_nothing(account: Service) -> None:
    run = account.cli("setup", "--dry-run")
    assert (run.returncode, run.stderr) == (0, "")
    assert "RedrivePolicy" in run.stdout and "public access: blocked" in run.stdout and "not there" in run.stdout
    assert run.stdout.endswith(f"{EVERYTHING} to do; nothing was done\n")
    assert verbs(account) == ["make"] * EVERYTHING


@pytest.mark.parametrize("answer", ["n\n", ""])
def test_who_does_not_say_yes_gets_nothing(account: Service, answer: str) -> None:
    run = account.cli("setup", stdin=answer)
    assert run.returncode == 1 and "Do this? [y/N]" in run.stdout
    assert verbs(account) == ["make"] * EVERYTHING


def test_who_says_yes_gets_everything_and_the_next_time_there_is_nothing_to_do(account: Service) -> None:
    run = account.cli("setup", stdin="y\n")
    assert (run.returncode, run.stderr) == (0, "") and run.stdout.endswith(f"{EVERYTHING} done\n")
    again = account.cli("setup")
    assert again.returncode == 0 and again.stdout.endswith("all is fine: nothing to do\n")


def test_a_changed_setting_is_shown_with_what_it_is_now_and_changed(account: Service) -> None:
    account.cli("setup", "--yes")
    account.settings["FACEFLEET_MAX_MESSAGE_BYTES"] = "1024"
    run = account.cli("setup", "--yes", "--json")
    steps = [step for step in json.loads(run.stdout)["steps"] if step["verb"] != "fine"]
    assert steps == [
        {
            "what": f"queue {account.settings['FACEFLEET_REQUEST_QUEUE']}",
            "verb": "change",
            "now": {"MaximumMessageSize": "1048576"},
            "wanted": {"MaximumMessageSize": "1024"},
            "done": True,
        }
    ]
    assert verbs(account) == []


def test_what_was_set_up_a_service_can_connect_to(account: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    account.cli("setup", "--yes")
    for name, value in account.settings.items():
        monkeypatch.setenv(name, value)
    assert account.backend.requests.depth().backlog == 0


@pytest.fixture
def peopled(account: Service) -> Service:
    """Everything stands, and somebody is enrolled."""
    account.cli("setup", "--yes")
    client(account, "s3").put_object(Bucket=account.settings["FACEFLEET_STATE_BUCKET"], Key="photos/paul/1")
    table = account.settings["FACEFLEET_PEOPLE_TABLE"]
    client(account, "dynamodb").put_item(TableName=table, Item={"name": {"S": "paul"}})
    return account


def people_are_there(account: Service) -> bool:
    s3, bucket = client(account, "s3"), account.settings["FACEFLEET_STATE_BUCKET"]
    if bucket not in {one["Name"] for one in s3.list_buckets()["Buckets"]}:
        return False
    item = {"name": {"S": "paul"}}
    table = account.settings["FACEFLEET_PEOPLE_TABLE"]
    found = client(account, "dynamodb").get_item(TableName=table, Key=item)
    return "Item" in found and bool(s3.list_objects_v2(Bucket=bucket).get("Contents"))


def test_a_teardown_that_nobody_confirms_removes_nothing(peopled: Service) -> None:
    run = peopled.cli("setup", "--teardown", stdin="n\n")
    assert run.returncode == 1 and peopled.settings["FACEFLEET_INPUT_BUCKET"] in run.stdout
    assert verbs(peopled) == []


@pytest.mark.parametrize("typed", ["\n", "yes\n"])
def test_a_teardown_keeps_people_unless_their_tables_name_is_typed(peopled: Service, typed: str) -> None:
    run = peopled.cli("setup", "--teardown", stdin=f"y\n{typed}")
    assert run.returncode == 0 and "EVERYBODY ENROLLED" in run.stdout
    assert "kept: " in run.stdout.splitlines()[-1]
    assert people_are_there(peopled) and verbs(peopled) == ["make"] * (EVERYTHING - OF_PEOPLE)


def test_a_teardown_by_name_removes_people_too(peopled: Service) -> None:
    table = peopled.settings["FACEFLEET_PEOPLE_TABLE"]
    run = peopled.cli("setup", "--teardown", stdin=f"y\n{table}\n")
    assert run.returncode == 0 and not people_are_there(peopled)
    assert verbs(peopled, "--teardown") == []


def test_a_teardown_tells_which_instances_are_left_and_what_ends_them(
    account: Service, cloud: emulators.Emulator
) -> None:
    account.cli("setup", "--yes")
    account.settings["FACEFLEET_INSTANCE_NAME"] = name = uuid4().hex
    ec2 = boto3.client("ec2", endpoint_url=cloud.url, region_name="us-east-1", **credentials())
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "facefleet:fleet", "Value": name}]}]
    run = ec2.run_instances(ImageId=emulators.IMAGE, MinCount=1, MaxCount=1, TagSpecifications=tags)
    id = run["Instances"][0]["InstanceId"]
    told = account.cli("setup", "--teardown", "--dry-run")
    assert f"terminate-instances --instance-ids {id}" in told.stderr and "controller" in told.stderr
    account.settings["FACEFLEET_INSTANCE_NAME"] = "another"
    assert account.cli("setup", "--teardown", "--dry-run").stderr == ""


def test_a_bucket_with_somebodys_files_is_changed_only_if_that_is_said_and_never_removed(account: Service) -> None:
    bucket = account.settings["FACEFLEET_INPUT_BUCKET"]
    client(account, "s3").create_bucket(Bucket=bucket)
    client(account, "s3").put_object(Bucket=bucket, Key="payroll.csv")
    run = account.cli("setup", "--yes")
    assert run.returncode == 78 and "--adopt" in run.stderr and len(run.stderr.splitlines()) == 1
    assert account.cli("setup", "--yes", "--adopt").returncode == 0 and verbs(account) == []
    run = account.cli("setup", "--teardown", "--yes", "--people")
    assert run.returncode == 0 and f"leaves: bucket {bucket}" in run.stdout
    assert client(account, "s3").list_objects_v2(Bucket=bucket)["KeyCount"] == 1


def test_yes_alone_never_erases_people(peopled: Service) -> None:
    run = peopled.cli("setup", "--teardown", "--yes")
    assert run.returncode == 0 and people_are_there(peopled)
    assert verbs(peopled, "--teardown") == ["remove"] * OF_PEOPLE
    run = peopled.cli("setup", "--teardown", "--yes", "--people")
    assert run.returncode == 0 and verbs(peopled, "--teardown") == []


def test_its_help_has_examples(tmp_path: Path) -> None:
    run = Service(tmp_path).cli("setup", "-h")
    assert run.returncode == 0 and "Examples:" in run.stdout


def test_without_aws_it_says_what_to_set(tmp_path: Path) -> None:
    run = Service(tmp_path).cli("setup")
    assert (run.returncode, run.stdout) == (78, "")
    assert "FACEFLEET_BACKEND=aws" in run.stderr and len(run.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "options", [["--json"], ["--people"], ["--people", "--yes"], ["--adopt", "--teardown"]], ids=" ".join
)
def test_options_that_do_not_fit_together_are_wrong_usage(account: Service, options: list[str]) -> None:
    run = account.cli("setup", *options)
    assert run.returncode == 2 and "Error: --" in run.stderr
    assert verbs(account) == ["make"] * EVERYTHING


def test_a_bucket_name_that_somebody_has_is_told_in_one_line(account: Service) -> None:
    other = boto3.client(
        "s3",
        endpoint_url=account.settings["AWS_ENDPOINT_URL_S3"],
        region_name="us-east-1",
        aws_access_key_id="111122223333",
        aws_secret_access_key="theirs",  # noqa: S106  # an emulator's
    )
    other.create_bucket(Bucket=account.settings["FACEFLEET_STATE_BUCKET"])
    run = account.cli("setup", "--yes")
    assert run.returncode == 78 and "FACEFLEET_STATE_BUCKET" in run.stderr and len(run.stderr.splitlines()) == 1
