"""How patient each client is, and which share a fate: a client that is throttled slows all its calls down."""

import pytest

from facefleet.backends.aws.clients import READ_TIMEOUT, Clients, Lanes, connect_all
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
