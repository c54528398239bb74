"""`facefleet deploy`, `upgrade` and `destroy` from a terminal, on an account whose instances are processes."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from deployed import Deployed, account, until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """An account on which nothing stands yet."""
    with account(tmp_path_factory.mktemp("deployed")) as deployed:
        yield deployed


def changes(told: dict[str, Any]) -> dict[str, list[str]]:
    """By stack, what a plan changes."""
    return {stack["stack"]: [change["what"] for change in stack["changes"]] for stack in told["stacks"]}


def answers(aws: Deployed) -> bool:
    return requests.get(f"{aws.internet.url}readyz", timeout=10).ok


def everything(aws: Deployed) -> dict[str, list[Any]]:
    """All that stands on the account, by service, but for what EC2 makes of itself."""
    ec2, iam, s3 = aws.client("ec2"), aws.client("iam"), aws.client("s3")
    ours = [{"Name": "tag:facefleet:deployment", "Values": ["*"]}]
    return {
        "stacks": [
            one["StackName"]
            for one in aws.client("cloudformation").list_stacks()["StackSummaries"]
            if one["StackStatus"] != "DELETE_COMPLETE"
        ],
        "machines": list(aws.machines("pending", "running", "stopping", "stopped", "shutting-down")),
        "vpcs": ec2.describe_vpcs(Filters=ours)["Vpcs"],
        "groups of machines": aws.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"],
        "launch templates": ec2.describe_launch_templates()["LaunchTemplates"],
        "addresses": ec2.describe_addresses()["Addresses"],
        "disks": ec2.describe_volumes()["Volumes"],
        "roles": iam.list_roles()["Roles"],
        "profiles": iam.list_instance_profiles()["InstanceProfiles"],
        "buckets": s3.list_buckets()["Buckets"],
        "tables": aws.client("dynamodb").list_tables()["TableNames"],
        "queues": aws.client("sqs").list_queues().get("QueueUrls", []),
        "secrets": aws.client("secretsmanager").list_secrets()["SecretList"],
        "log groups": aws.client("logs").describe_log_groups()["logGroups"],
        "topics": aws.client("sns").list_topics()["Topics"],
    }


@pytest.mark.timeout(400)
def test_a_deployment_lives(aws: Deployed) -> None:
    """Made, found fine, changed, upgraded with interruptions, taken back by itself, and gone without a trace."""
    before = everything(aws)
    first, second, broken = aws.images["first"], aws.images["second"], aws.images["broken"]
    told = aws.told("deploy", "--image", first, "--yes", "--show-key")
    assert told["done"] and told["url"] == aws.internet.url and answers(aws)
    proof = requests.post(
        f"{told['url']}v1/recognitions",
        data=b"no image",
        headers={"x-api-key": told["key"], "Content-Type": "image/png"},
        timeout=10,
    )
    assert proof.status_code in (400, 415, 422), "its key opens it"

    again = aws.told("deploy", "--yes")
    assert not again["done"] and changes(again) == {"facefleet-store": [], "facefleet-fleet": []}
    assert "key" not in again and told["key"] not in str(again)

    changed = aws.told("deploy", "--budget", "70", "--dry-run")
    assert changes(changed) == {"facefleet-store": ["MonthlyBudget"], "facefleet-fleet": []} and not changed["done"]

    killed_when = (
        lambda: second in aws.machines().values(),
        lambda: aws.image() == second,
        lambda: aws.web_tiers() == 2,
    )
    for seen in killed_when:
        aws.killed("upgrade", "--image", second, "--yes", once=seen)
        assert answers(aws)
    aws.told("upgrade", "--image", second, "--yes")
    until(lambda: set(aws.machines().values()) == {second})
    elsewhere = aws.cli("upgrade", "--image", second, "--yes", "--patience", "1", FACEFLEET_URL="http://127.0.0.1:9/")
    assert elsewhere.returncode == 1 and "the web tier: not within 1 s" in elsewhere.stderr.splitlines()[-1]
    assert set(aws.machines().values()) == {second}, "where nothing was changed nothing goes back"
    assert answers(aws)

    # Once the first worker came, which takes as long as it takes: what never comes need not be waited for.
    aws.killed("upgrade", "--image", broken, "--yes", once=lambda: aws.image() == broken)
    failed = aws.cli("upgrade", "--image", broken, "--yes", "--patience", "3")
    assert failed.returncode == 1 and "All is as it was before" in failed.stderr.splitlines()[-1]
    assert "the controller: not within 3 s until it" in failed.stderr.splitlines()[-1]
    assert answers(aws)
    until(lambda: set(aws.machines().values()) == {second})
    assert not aws.told("upgrade", "--image", second, "--yes")["done"]

    assert aws.cli("destroy", stdin="n\n").returncode == 1 and answers(aws)
    kept = aws.told("destroy", "--yes")
    assert {step["what"] for step in kept["steps"] if not step["done"]} >= {"stack facefleet-store"}
    assert aws.machines() == {} and "facefleet-people" in everything(aws)["tables"]
    aws.told("destroy", "--yes", "--people")
    assert everything(aws) == before
    assert aws.told("destroy", "--yes", "--people") == {"steps": [], "left": []}


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["deploy", "--yes"], "which machine image? Give --image"),
        (["deploy", "--image", "ami-0123456789abcdef0", "--yes"], "there is no image ami-0123456789abcdef0"),
        (["upgrade", "--image", "ami-0123456789abcdef0", "--yes"], "there is no deployment facefleet"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_what_cannot_be_is_told_in_one_line_and_changes_nothing(aws: Deployed, command: list[str], words: str) -> None:
    run = aws.cli(*command)
    assert run.returncode in (1, 78) and words in run.stderr and len(run.stderr.splitlines()) == 1
    assert everything(aws)["stacks"] == []


@pytest.mark.parametrize(
    "command",
    [["deploy", "--json"], ["upgrade"], ["upgrade", "--rollback", "--image", "ami-1"], ["destroy", "--people"]],
    ids=" ".join,
)
def test_options_that_do_not_fit_together_are_wrong_usage(aws: Deployed, command: list[str]) -> None:
    run = aws.cli(*command)
    assert run.returncode == 2 and "Error: " in run.stderr


@pytest.mark.parametrize("command", ["deploy", "upgrade", "destroy"])
def test_its_help_has_examples(aws: Deployed, command: str) -> None:
    run = aws.cli(command, "-h")
    assert run.returncode == 0 and "Examples:" in run.stdout
