"""A real control plane, one for all tests here: booting it takes longer than they do."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from openstack.connection import Connection

from bench.openstack_plane import Plane, missing, plane

HERE = Path(__file__).parent
#: Seconds that booting it may take besides a test's own, on a machine that is busy.
BOOTING = 400


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents and item.get_closest_marker("openstack"):
            item.add_marker(pytest.mark.timeout(BOOTING))


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """The control plane."""
    if why := missing():
        pytest.skip(why)
    with plane(tmp_path_factory.mktemp("plane")) as made:
        yield made


@pytest.fixture
def demo(real: Plane) -> Iterator[Connection]:
    """The project of that name; what servers it has left are gone afterwards, and its quota is what it was."""
    with real.connect("demo") as cloud:
        yield cloud
        for server in cloud.compute.servers():
            cloud.compute.delete_server(server)
        for server in cloud.compute.servers():
            cloud.compute.wait_for_delete(server)
    real.set_quota("demo", instances=10, cores=20)
