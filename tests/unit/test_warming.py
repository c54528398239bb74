"""How long one who deploys waits for the warm pool."""

import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from facefleet.backends.aws.account.launching import TEMPLATE, VERSION
from facefleet.backends.aws.account.warming import await_warm
from facefleet.backends.aws.clients import Clients
from facefleet.errors import Unavailable
from facefleet.settings import Settings

LAUNCHED = datetime(2026, 11, 1, tzinfo=UTC)


class Stopped:
    """EC2 and S3, where so many instances of the newest version rest, and a controller told why."""

    def __init__(self, count: int) -> None:
        tags = [{"Key": TEMPLATE, "Value": "lt-1"}, {"Key": VERSION, "Value": "2"}]
        common = {"State": {"Name": "stopped"}, "LaunchTime": LAUNCHED, "Tags": tags}
        self.instances = [{"InstanceId": f"i-{number}"} | common for number in range(count)]

    def get_paginator(self, _: str) -> "Stopped":
        return self

    def paginate(self, **_: Any) -> list[dict]:
        return [{"Reservations": [{"Instances": self.instances}]}]

    def describe_launch_templates(self, **_: Any) -> dict:
        return {"LaunchTemplates": [{"LatestVersionNumber": 2}]}

    def get_object(self, **_: Any) -> dict:
        return {"Body": io.BytesIO(json.dumps({"reason": "because"}).encode())}


def awaited(stopped: int, settings: Settings) -> int:
    aws = Stopped(stopped)
    clients = Clients(sqs=None, s3=aws, dynamodb=None, ec2=aws, autoscaling=None)
    return await_warm(clients, settings, "lt-1", lambda *_: None, patience=0.05)


def test_those_that_always_run_are_not_waited_for() -> None:
    assert awaited(3, Settings(warm_least=5, min_instances=2)) == 3
    assert awaited(0, Settings(warm_least=2, min_instances=2)) == 0


def test_those_that_do_not_come_are_told_of_with_the_reason() -> None:
    with pytest.raises(Unavailable, match=r"2 of 3 instances wait, stopped, after 0 s \(because\)"):
        awaited(2, Settings(warm_least=5, min_instances=2))
