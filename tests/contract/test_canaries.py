"""A worker that tries an image: seen, ended, and never left behind to be paid for."""

from collections.abc import Callable
from uuid import uuid4

import pytest

from bench.emulators import IMAGE, AccountEmulator
from facefleet.backends.aws.account.canaries import Canaries
from facefleet.backends.aws.account.looks import looks
from facefleet.backends.aws.account.rollout import Canary
from facefleet.backends.aws.clients import Clients, connect_clients


@pytest.fixture
def clients(one_account: AccountEmulator, monkeypatch: pytest.MonkeyPatch) -> Clients:
    for name, value in one_account.env.items():
        monkeypatch.setenv(name, value)
    return connect_clients()


@pytest.fixture
def another(clients: Clients) -> Callable[[], Canaries]:
    """Each time another run of the command, with the same fleet."""
    fleet, bucket = f"fleet-{uuid4().hex[:8]}", f"state-{uuid4().hex[:8]}"
    clients.s3.create_bucket(Bucket=bucket)
    return lambda: Canaries(clients, fleet, bucket, "t3.micro")


def launched(clients: Clients, canaries: Canaries) -> str:
    data = {"ImageId": IMAGE, "InstanceType": "t3.micro"}
    template = clients.ec2.create_launch_template(LaunchTemplateName=uuid4().hex, LaunchTemplateData=data)
    subnet = clients.ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    canaries.launch(template["LaunchTemplate"]["LaunchTemplateId"], IMAGE, subnet)
    (id,) = canaries._launched
    return id


def state(clients: Clients, id: str) -> str:
    return str(clients.ec2.describe_instances(InstanceIds=[id])["Reservations"][0]["Instances"][0]["State"]["Name"])


def await_state(clients: Clients, id: str, wanted: str) -> None:
    assert any(state(clients, id) == wanted for _ in looks(30.0)), f"{id} is not {wanted}"


def test_one_of_a_run_that_was_killed_is_known_to_the_next_which_ends_it(
    clients: Clients, another: Callable[[], Canaries]
) -> None:
    id = launched(clients, another())
    again = another()
    assert again.seen(IMAGE) is Canary.COMING and again.seen("ami-87654321") is Canary.OTHER
    again.end()
    assert again.seen(IMAGE) is Canary.NONE and state(clients, id) in ("shutting-down", "terminated")


def test_one_that_has_stopped_is_ended_too_in_this_run_and_in_the_next(
    clients: Clients, another: Callable[[], Canaries]
) -> None:
    first = another()
    id = launched(clients, first)
    await_state(clients, id, "running")
    clients.ec2.stop_instances(InstanceIds=[id])
    assert first.seen(IMAGE) is Canary.LOST
    second = another()
    assert second.seen(IMAGE) is Canary.OTHER
    second.end()
    assert state(clients, id) in ("shutting-down", "terminated") and another().seen(IMAGE) is Canary.NONE
