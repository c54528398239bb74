"""Clouds as the settings name them, behind a backend: who is asked, and who is not."""

import secrets
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from nova_cloud import nova_cloud
from services import until

from bench.emulators import Emulator
from facefleet.backends import connect
from facefleet.backends.aws.clients import connect_clients
from facefleet.ports import Backend
from facefleet.settings import Settings

from .amazon import Account
from .bare import make_bare
from .conftest import aws


@pytest.fixture
def site(store: Emulator, cloud: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Settings of a site with a private cloud, and an account of EC2."""
    with nova_cloud() as private:
        for env in (store.env, cloud.env):
            for name, value in env.items():
                monkeypatch.setenv(name, value)
        monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(private.write_clouds(tmp_path)))
        account = Account(cloud)
        ours = {name: getattr(account.settings, name) for name in ("instance_name", "launch_template")}
        settings = replace(aws(tmp_path), openstack_cloud="demo", warm_pool=0, **ours)
        make_bare(connect_clients(), settings)
        yield settings


@pytest.fixture
def called() -> Iterator[list[int]]:
    """What EC2's port is, in the beginning, and then of everybody who calls it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        ports = [server.getsockname()[1]]

        def count() -> None:
            while True:
                try:
                    connection, address = server.accept()
                except OSError:
                    return
                ports.append(address[1])
                connection.close()

        threading.Thread(target=count, daemon=True).start()
        yield ports
        server.shutdown(socket.SHUT_RDWR)


def launched(backend: Backend, offer: str) -> str:
    return backend.fleet.launch(secrets.token_hex(16), offer)


def ids(backend: Backend) -> dict[str, int]:
    return {one.id: one.rank for one in backend.fleet.instances()}


def test_instances_are_had_from_both_and_end_in_both(site: Settings) -> None:
    backend = connect(replace(site, fleets="openstack:1,ec2:2"))
    assert backend.fleet.offers == ("openstack:m1.small", "ec2:t3.medium")
    own, burst = (launched(backend, offer) for offer in backend.fleet.offers)
    until(lambda: ids(backend) == {own: 0, burst: 1})
    backend.tidy()
    backend.fleet.end([own, burst])
    until(lambda: not ids(backend))


def test_who_has_no_ec2_calls_none(site: Settings, called: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    for service in ("EC2", "AUTO_SCALING"):
        monkeypatch.setenv(f"AWS_ENDPOINT_URL_{service}", f"http://127.0.0.1:{called[0]}")
    backend = connect(replace(site, fleets="openstack:1"))
    id = launched(backend, "openstack:m1.small")
    until(lambda: ids(backend) == {id: 0})
    backend.fleet.retire([id])
    backend.fleet.start([id])
    backend.tidy()
    backend.fleet.end([id, "nobody"])
    until(lambda: not ids(backend))
    assert len(called) == 1


def test_the_other_cloud_may_be_a_group(site: Settings, cloud: Emulator) -> None:
    account = Account(cloud).group()
    group = {name: getattr(account.settings, name) for name in ("instance_name", "auto_scaling_group")}
    backend = connect(replace(site, fleets="openstack:1,ec2:2", **group))
    assert backend.fleet.offers == ("openstack:m1.small", "ec2:group")
    assert [share.cloud for share in backend.fleet.shares] == ["openstack", "ec2"]
    assert ids(backend) == {}
    account.close()


def test_who_asks_for_no_instance_needs_no_password_of_a_cloud(
    site: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A worker, and the web tier."""
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "nothing.yaml"))
    backend = connect(replace(site, fleets="openstack:1,ec2:2"))
    assert backend.requests.depth().backlog == 0
