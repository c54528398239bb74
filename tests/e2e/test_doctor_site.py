"""`facefleet doctor`, `setup` and `deploy` on a site with a private cloud: whom they ask, and whom not."""

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from nova_cloud import nova_cloud
from services import Service

from bench import emulators

pytestmark = pytest.mark.slow
OF_EC2 = {"ec2", "launch template", "vCPU quota", "Auto Scaling group"}


@pytest.fixture(scope="module")
def env() -> Iterator[dict[str, str]]:
    with emulators.store() as store:
        yield {"FACEFLEET_BACKEND": "aws"} | dict(store.env)


@pytest.fixture
def ec2() -> Iterator[tuple[str, list[int]]]:
    """Its address, and the ports of all who called there; nobody gets an answer."""
    ports: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def count() -> None:
            while True:
                try:
                    connection, address = server.accept()
                except OSError:
                    return
                ports.append(address[1])
                connection.close()

        threading.Thread(target=count, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", ports
        server.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def site(env: dict[str, str], ec2: tuple[str, list[int]], tmp_path: Path) -> Iterator[Service]:
    """Servers of its own, and all set up."""
    with nova_cloud() as private:
        ours = {
            "FACEFLEET_FLEETS": "openstack:5",
            "FACEFLEET_OPENSTACK_CLOUD": "demo",
            "FACEFLEET_OPENSTACK_NETWORKS": "none",
            "OS_CLIENT_CONFIG_FILE": str(private.write_clouds(tmp_path)),
            "AWS_ENDPOINT_URL_EC2": ec2[0],
            "AWS_ENDPOINT_URL_AUTO_SCALING": ec2[0],
        }
        site = Service(tmp_path, settings=env | ours)
        assert site.cli("setup", "--yes").returncode == 0
        yield site


def states(site: Service, *options: str) -> dict[str, str]:
    """How each is that was looked at."""
    run = site.cli("doctor", "--json", *options)
    assert run.stderr == ""
    return {finding["about"]: finding["state"] for finding in json.loads(run.stdout)["findings"]}


def test_a_site_without_ec2_is_looked_at_on_openstack_and_ec2_is_not_asked(
    site: Service, ec2: tuple[str, list[int]]
) -> None:
    found = states(site)
    assert {about: state for about, state in found.items() if state != "ok"} == {"user data": "cannot tell"}
    assert {"OpenStack", "image", "flavors", "quota, instances", "permissions, controller"} <= found.keys()
    assert not OF_EC2 & found.keys()
    assert site.cli("setup", "--teardown", "--dry-run").stderr == ""
    assert ec2[1] == []


def test_of_two_clouds_both_are_looked_at(site: Service, ec2: tuple[str, list[int]]) -> None:
    site.settings["FACEFLEET_FLEETS"] = "openstack:5,ec2:19"
    found = states(site)
    assert found["OpenStack"] == "ok" and found["ec2"] == "wrong" and ec2[1]
    assert {"launch template", "vCPU quota"} < found.keys()
    assert "cannot be told" in site.cli("setup", "--teardown", "--dry-run").stderr


def test_a_cloud_that_nobody_can_sign_in_to_is_wrong_and_keeps_nobody_from_the_rest(site: Service) -> None:
    site.settings["FACEFLEET_OPENSTACK_CLOUD"] = "nosuch"
    found = states(site)
    assert {about for about, state in found.items() if state == "wrong"} == {"OpenStack"}
    assert {"sqs", "permissions, controller"} < found.keys()


def test_who_launches_nothing_need_not_sign_in(site: Service) -> None:
    del site.settings["OS_CLIENT_CONFIG_FILE"]
    assert "OpenStack" not in states(site, "--tier", "web", "--tier", "worker")


def test_a_relays_queue_without_one_for_what_is_given_up_is_wrong(site: Service) -> None:
    site.settings["FACEFLEET_RELAY_INPUT"] = "told"
    assert "relay" not in states(site)
    sqs = sqs_of(site)
    sqs.create_queue(QueueName="told")
    assert states(site)["relay"] == "wrong"
    sqs.create_queue(QueueName="told-dead")
    assert states(site)["relay"] == "ok"


def sqs_of(site: Service) -> Any:
    keys = {name.lower(): value for name, value in emulators.KEYS.items()}
    return boto3.client("sqs", endpoint_url=site.settings["AWS_ENDPOINT_URL_SQS"], region_name="us-east-1", **keys)


def test_a_deployment_to_ec2_with_a_private_cloud_is_refused_before_anything_is_asked(
    site: Service, ec2: tuple[str, list[int]]
) -> None:
    run = site.cli("deploy", "--image", "ami-0123456789abcdef0", "--yes")
    assert run.returncode == 78 and "FACEFLEET_FLEETS" in run.stderr and run.stderr.count("\n") == 1
    assert ec2[1] == []
