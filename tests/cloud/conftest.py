"""A small cloud on this machine, whose instances are machines that systemd boots."""

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest

from bench.local import awaited
from bench.nspawn import cannot
from bench.region import Region, RegionMachine, region

Launch = Callable[..., RegionMachine]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    """One for all tests of a file: each launches machines of its own."""
    if why := cannot():
        pytest.skip(why)
    with region(tmp_path_factory.mktemp("region")) as made:
        yield made


@pytest.fixture
def ec2(cloud: Region, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name, value in cloud.env.items():
        monkeypatch.setenv(name, value)
    return boto3.client("ec2")


@pytest.fixture
def launch(cloud: Region, ec2: Any) -> Iterator[Launch]:
    """A machine that has booted, unless somebody does not want to wait; it is gone after the test."""
    made: list[RegionMachine] = []

    def run(*, ready: bool = True, **asked: Any) -> RegionMachine:
        asked = {"ImageId": cloud.source_image, "MinCount": 1, "MaxCount": 1} | asked
        machine = cloud.machine(ec2.run_instances(**asked)["Instances"][0]["InstanceId"])
        made.append(machine)
        if ready:
            machine.await_boot()
        return machine

    yield run
    cloud.cloud.told("/_kill", {"ids": [machine.id for machine in made]})


@pytest.fixture
def await_state(cloud: Region) -> Callable[[RegionMachine, str], None]:
    """Returns once EC2 says so of the instance."""

    def is_now(machine: RegionMachine, state: str) -> bool:
        return (machine.id, state) in [(one["id"], one["state"]) for one in cloud.cloud.told("/_instances")]

    return lambda machine, state: awaited(lambda: is_now(machine, state), f"{machine.id} is {state}")
