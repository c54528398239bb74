"""The stand-in that most tests use, held against what it stands in for."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from nova_cloud import nova_cloud
from nova_walk import Walk
from openstack.connection import Connection

from bench.openstack_plane import Plane

ROOT = Path(__file__).parent.parent.parent
#: What a cloud has, or lacks, without anybody being wrong: the stand-in has no network of its own.
OF_THE_SITE = {"networks"}


@pytest.fixture
def standin() -> Iterator[Connection]:
    with nova_cloud(delete=0.1) as cloud, Connection(**cloud.cloud()) as connection:
        yield connection


def test_it_answers_every_call_as_a_fleet_needs_it(standin: Connection) -> None:
    answers = Walk(standin, "facefleet-worker").go()
    statuses = {name: status for name, (status, _) in answers.items()}
    assert {name: status for name, status in statuses.items() if "again" in name} == dict.fromkeys(
        ("os-stop again", "os-start again", "shelve again", "unshelve again"), 409
    )
    assert {status for name, status in statuses.items() if name.startswith("create with")} == {400}
    assert (statuses["create"], statuses["delete"], statuses["show who is gone"]) == (202, 204, 404)


@pytest.mark.openstack
def test_it_says_what_a_real_one_says(standin: Connection, demo: Connection, real: Plane) -> None:
    ours, theirs = Walk(standin, "facefleet-worker").go(), Walk(demo, "debian-12").go()
    assert ours.keys() == theirs.keys()
    for name in ours.keys() - OF_THE_SITE:
        assert ours[name] == theirs[name], name


def test_it_runs_as_a_process_too(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "tests" / "nova_cloud.py"), "--clouds", str(tmp_path), "--stop", "0.01"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            url, clouds = process.stdout.readline().split()
            assert Path(clouds).parent == tmp_path and url.startswith("http://127.0.0.1:")
            auth = {"auth_url": f"{url}/identity/v3", "username": "demo", "password": "made for tests"}
            names = {f"{kind}_domain_id": "default" for kind in ("user", "project")}
            with Connection(auth=auth | names | {"project_name": "demo"}, region_name="RegionOne") as cloud:
                assert list(cloud.compute.servers()) == []
        finally:
            process.kill()
