"""Figures and rights that `docs/` tells, against prices, usage and policies."""

import json
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from facefleet.backends.aws.account.bill import Line, Workers, compute, of_images, total, usage
from facefleet.backends.aws.account.cost import IMAGES, estimate
from facefleet.backends.aws.account.prices import prices
from facefleet.settings import Settings

ROOT = Path(__file__).parents[2]
OPERATIONS, SECURITY = ROOT / "docs/operations.md", ROOT / "docs/security.md"
ON_AWS = Settings(backend="aws")
TIERS = ("web", "worker", "controller")


# Costs


@dataclass(frozen=True)
class Options:
    """As `facefleet deploy` has them unless told otherwise."""

    web_type: str
    controller_type: str
    credits: str = "unlimited"

    @classmethod
    def built_in(cls) -> "Options":
        parameters = yaml.safe_load((ROOT / "deploy/fleet.yaml").read_text())["Parameters"]
        return cls(parameters["WebType"]["Default"], parameters["ControllerType"]["Default"])


def month(lines: tuple[Line, ...]) -> str:
    rows = [f"| {line.what} | {line.dollars:.2f} | {line.how} |" for line in lines]
    return "\n".join([*rows, f"| **all** | **{total(lines):.2f}** | |"])


def thousand(lines: tuple[Line, ...]) -> str:
    rows = [f"| {line.what} | {line.dollars:.5f} | {line.how} |" for line in lines]
    return "\n".join([*rows, f"| **all** | **{total(lines):.5f}** | |"])


def against_theirs() -> str:
    """A row for each kind of worker: compute alone, as long as credits last and beyond, and all."""
    listed, image = prices(), usage()["image"]
    theirs, rows = IMAGES * listed.of("rekognition"), []
    for kind in ("t3.micro", "t3.medium", "c7g.large"):
        for spot in (0.0, 1.0):
            workers = Workers(kind, spot)
            lasting = total(compute(IMAGES * image.cpu_seconds, Workers(kind, spot, unlimited=False), listed))
            computed = total(compute(IMAGES * image.cpu_seconds, workers, listed))
            everything = total(of_images(image, IMAGES, workers, ON_AWS.keep_days, listed))
            cells = [f"{dollars:.5f} (1/{theirs / dollars:,.0f})" for dollars in (lasting, computed, everything)]
            rows.append(f"| {kind}{', spot' if spot else ''} | {' | '.join(cells)} |")
    return "\n".join(rows)


def test_costs_are_what_a_deployment_is_told() -> None:
    found, text = estimate(ON_AWS, Options.built_in()), OPERATIONS.read_text()
    for wanted in (month(found.idle), thousand(found.busy), against_theirs()):
        assert wanted in text, f"write this there:\n{wanted}"


def test_the_readme_tells_the_same_price() -> None:
    everything = estimate(ON_AWS, Options.built_in()).busy_sum
    times = IMAGES * prices().of("rekognition") / everything
    assert f"| ${everything:.3f}, a {times:.0f}th of Amazon Rekognition's;" in (ROOT / "README.md").read_text()


# Who may do what

READS = {
    *("s3:GetObject", "sqs:ReceiveMessage", "secretsmanager:GetSecretValue"),
    *(f"dynamodb:{name}" for name in ("GetItem", "BatchGetItem", "Query", "Scan")),
}
WRITES = {
    *("s3:PutObject", "sqs:SendMessage", "logs:PutLogEvents"),
    *(f"dynamodb:{name}" for name in ("PutItem", "UpdateItem", "BatchWriteItem")),
}
DELETES = {"s3:DeleteObject", "s3:DeleteObjectVersion", "sqs:DeleteMessage", "sqs:PurgeQueue", "dynamodb:DeleteItem"}
S3, SQS = "arn:${AWS::Partition}:s3:::", "arn:${AWS::Partition}:sqs:${AWS::Region}:${AWS::AccountId}:"
TABLE = "arn:${AWS::Partition}:dynamodb:${AWS::Region}:${AWS::AccountId}:table/${PeopleTable}"
LOGS = "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group:${LogGroup}:log-stream:one"
#: As the table calls it, and an example of it.
STORES = {
    "images as sent": S3 + "${InputBucket}/test_00.jpg",
    "images too large for a message, until they are answered": S3 + "${InputBucket}/claims/one",
    "answers by file name": S3 + "${OutputBucket}/test_00",
    "answers by id, with encodings": S3 + "${StateBucket}/results/one.json",
    "ids of what waits": S3 + "${StateBucket}/queued/one",
    "what was sent under an `Idempotency-Key`, in digests": S3 + "${StateBucket}/idempotency/one",
    "enrolled photos": S3 + "${StateBucket}/photos/obama/one",
    "snapshot of the gallery: all encodings": S3 + "${StateBucket}/gallery/snapshot",
    "heartbeats of workers": S3 + "${StateBucket}/workers/one",
    "state of the fleet": S3 + "${StateBucket}/state/fleet",
    "lease and ledger of the controller": S3 + "${StateBucket}/state/controller",
    "certificates, with their private keys": S3 + "${StateBucket}/tls/caddy.zip",
    "request queue, with images": SQS + "${RequestQueue}",
    "dead letters, with images": SQS + "${RequestQueue}-dead",
    "response queues, with answers": SQS + "${ResponseQueue}-one",
    "people, with encodings": TABLE,
    "changes and names of people": TABLE + "-index",
    "API key": "${ApiKeySecret}",
    "log lines": LOGS,
}


@cache
def statements(tier: str) -> list[dict[str, Any]]:
    return list(json.loads((ROOT / f"deploy/policies/{tier}.json").read_text())["Statement"])


def each(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def rights(tier: str, resource: str) -> str:
    """What a tier may do with it: `read, write, delete`."""
    about = [one for one in statements(tier) if any(fnmatchcase(resource, mask) for mask in each(one["Resource"]))]
    actions = {action for one in about for action in each(one["Action"])}
    kinds = {"read": READS, "write": WRITES, "delete": DELETES}
    return ", ".join(word for word, names in kinds.items() if actions & names) or "–"


def test_who_may_do_what_is_what_the_policies_say() -> None:
    rows = [f"| {what} | {' | '.join(rights(tier, one) for tier in TIERS)} |" for what, one in STORES.items()]
    wanted = "\n".join(rows)
    assert wanted in SECURITY.read_text(), f"write this there:\n{wanted}"


def test_no_policy_has_an_action_on_data_that_the_table_does_not_know() -> None:
    known = READS | WRITES | DELETES
    # None of these reads, writes or deletes what is stored.
    harmless = re.compile(
        r"(ec2|autoscaling|iam):\w+|sqs:(List|GetQueue|Tag|CreateQueue|DeleteQueue|ChangeMessageVisibility)\w*"
        r"|s3:(ListBucket(Versions)?|AbortMultipartUpload)|logs:CreateLogStream|dynamodb:Describe\w+"
    )
    actions = {action for tier in TIERS for one in statements(tier) for action in each(one["Action"])}
    assert {action for action in actions - known if not harmless.fullmatch(action)} == set()
