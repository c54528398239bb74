"""How patient each client is, and which share a fate: a client that is throttled slows all its calls down."""

from concurrent.futures import ThreadPoolExecutor
from threading import Lock

import pytest
from botocore.exceptions import UnknownServiceError

from facefleet.backends.aws.clients import READ_TIMEOUT, Clients, Lanes, Later, connect_all
from facefleet.errors import BadSettings
from facefleet.ports import MAX_WAIT


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> tuple[Clients, Lanes]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    return connect_all(connections=500)


def test_sends_receives_and_leases_do_not_wait_for_each_other(made: tuple[Clients, Lanes]) -> None:
    clients, lanes = made
    assert len({id(lanes.send), id(lanes.receive), id(lanes.lease)}) == 3
    assert lanes.send is clients.sqs


def test_only_a_long_poll_is_waited_for_longer(made: tuple[Clients, Lanes]) -> None:
    _, lanes = made
    assert lanes.receive.meta.config.read_timeout == MAX_WAIT + READ_TIMEOUT
    assert lanes.send.meta.config.read_timeout == lanes.lease.meta.config.read_timeout == READ_TIMEOUT


def test_all_slow_down_when_throttled_and_ec2_is_soon_asked_elsewhere(made: tuple[Clients, Lanes]) -> None:
    clients, lanes = made
    every = (clients.s3, clients.dynamodb, clients.autoscaling, lanes.send, lanes.receive, lanes.lease)
    assert {client.meta.config.retries["mode"] for client in (*every, clients.ec2)} == {"adaptive"}
    assert {client.meta.config.retries["total_max_attempts"] for client in every} == {4}
    assert clients.ec2.meta.config.retries["total_max_attempts"] == 2


def test_as_many_connections_are_kept_as_there_are_uploads(made: tuple[Clients, Lanes]) -> None:
    clients, lanes = made
    assert {client.meta.config.max_pool_connections for client in (clients.s3, lanes.send)} == {500}


def test_a_client_that_only_the_controller_needs_is_made_once_and_by_whoever_uses_it_first(
    made: tuple[Clients, Lanes],
) -> None:
    clients, _ = made
    assert "_client" not in vars(clients.ec2), "workers and the web tier never ask EC2"
    with ThreadPoolExecutor(8) as threads:
        asked = set(threads.map(lambda _: id(clients.ec2.meta), range(32)))
    assert len(asked) == 1
    assert "_client" not in vars(clients.autoscaling)


def test_what_is_wrong_with_boto3s_settings_is_said_in_our_words_however_late(made: tuple[Clients, Lanes]) -> None:
    def fails() -> object:
        raise UnknownServiceError(service_name="ec3", known_service_names="ec2")

    with pytest.raises(BadSettings, match="boto3's settings cannot be used"):
        _ = Later(fails, Lock()).run_instances
