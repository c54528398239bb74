"""The control plane is one, and what is behind its servers follows them."""

from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from keystoneauth1.exceptions import ConnectFailure, ConnectTimeout
from openstack.connection import Connection
from openstack.exceptions import ConflictException, ForbiddenException, NotFoundException

from bench.local import awaited
from bench.nspawn import Machine
from bench.openstack_plane import Plane
from bench.server_machines import Machines, machines
from bench.server_processes import Processes
from bench.servers import watched

pytestmark = pytest.mark.openstack

#: Seconds between two questions.
EVERY = 0.1
#: Tells that it was started, and by whom it was stopped; takes its time to end.
WORKER = 'echo "up $INSTANCE_ID" >> told; trap "sleep 1; echo down >> told; exit" TERM; while :; do sleep 0.1; done'


def launch(cloud: Connection, *, flavor: str = "tiny", **own: Any) -> str:
    """The id of a server that is asked for."""
    (image,) = cloud.image.images(name="debian-12")
    found = cloud.compute.find_flavor(flavor, ignore_missing=False)
    made = cloud.compute.create_server(name="one", image_id=image.id, flavor_id=found.id, networks="none", **own)
    return str(made.id)


def wait(cloud: Connection, id: str, status: str = "ACTIVE") -> None:
    server = cloud.compute.get_server(id)
    cloud.compute.wait_for_server(server, status, failures=["ERROR"], interval=EVERY, wait=120)


def test_a_server_is_made_stopped_started_and_deleted(demo: Connection) -> None:
    id = launch(demo)
    wait(demo, id)
    demo.compute.stop_server(id)
    wait(demo, id, "SHUTOFF")
    demo.compute.start_server(id)
    wait(demo, id)
    demo.compute.delete_server(id)
    demo.compute.wait_for_delete(demo.compute.get_server(id), interval=EVERY)
    with pytest.raises(NotFoundException):
        demo.compute.get_server(id)


def test_a_server_is_shelved_and_comes_back(demo: Connection) -> None:
    id = launch(demo)
    wait(demo, id)
    demo.compute.shelve_server(id)
    wait(demo, id, "SHELVED_OFFLOADED")
    demo.compute.unshelve_server(id)
    wait(demo, id)


def test_who_is_active_cannot_be_started(demo: Connection) -> None:
    id = launch(demo)
    wait(demo, id)
    with pytest.raises(ConflictException, match="while it is in vm_state active"):
        demo.compute.start_server(id)


def test_beyond_the_quota_is_forbidden(real: Plane, demo: Connection) -> None:
    real.set_quota("demo", instances=1)
    launch(demo)
    with pytest.raises(ForbiddenException, match="Quota exceeded for instances: Requested 1, but already used 1 of 1"):
        launch(demo)


def test_a_quota_is_that_of_one_project(real: Plane, demo: Connection) -> None:
    real.set_quota("demo", instances=0)
    with real.connect("other") as other:
        id = launch(other)
        assert [server.id for server in other.compute.servers()] == [id]
        assert list(demo.compute.servers()) == []
        other.compute.delete_server(id)


@pytest.mark.parametrize("flavor", ["huge", "tiny"])
def test_without_room_there_is_no_valid_host(real: Plane, demo: Connection, flavor: str) -> None:
    def fault() -> str:
        return (demo.compute.get_server(id).fault or {}).get("message", "")

    if flavor == "huge":
        id = launch(demo, flavor=flavor)
    else:
        with real.no_room():
            id = launch(demo)
            awaited(fault, "it failed")
    assert "No valid host was found" in awaited(fault, "it failed")
    assert demo.compute.get_server(id).status == "ERROR"


def test_one_that_is_off_is_refused_and_comes_back_with_its_servers(real: Plane, demo: Connection) -> None:
    id = launch(demo)
    wait(demo, id)
    with real.off(), real.connect("demo") as other, pytest.raises(ConnectFailure, match="refused"):
        other.compute.get_server(id)
    wait(demo, id)


def test_one_that_hangs_takes_calls_and_answers_none(real: Plane, demo: Connection) -> None:
    id = launch(demo)
    wait(demo, id)
    with real.hung(), pytest.raises(ConnectTimeout):
        demo.compute.get(f"/servers/{id}", timeout=1, connect_retries=0)
    wait(demo, id)


def test_one_that_crashed_comes_back_with_its_servers(real: Plane, demo: Connection) -> None:
    id = launch(demo)
    wait(demo, id)
    with real.crashed(), real.connect("demo") as other, pytest.raises(ConnectFailure):
        other.compute.get_server(id)
    wait(demo, id)
    again = launch(demo)
    wait(demo, again)
    for one in (id, again):
        demo.compute.stop_server(one)
        wait(demo, one, "SHUTOFF")


def test_a_process_behind_a_server_ends_before_the_server_is_off(real: Plane, demo: Connection, tmp_path: Path) -> None:
    told = tmp_path / "told"
    processes = Processes(["sh", "-c", f"cd {tmp_path}; {WORKER}"], {})
    with real.connect("admin") as admin, watched(admin, processes, held=real.held):
        id = launch(demo)
        awaited(lambda: told.exists() and told.read_text() == f"up {id}\n", "it runs")
        demo.compute.stop_server(id)
        wait(demo, id, "SHUTOFF")
        assert told.read_text() == f"up {id}\ndown\n"
        demo.compute.start_server(id)
        pid = awaited(lambda: processes.pid(id), "it runs again")
        demo.compute.delete_server(id)
        awaited(lambda: not Path(f"/proc/{pid}").exists(), "it is killed")
        assert told.read_text().count("down") == 1


@pytest.fixture
def behind(real: Plane, tmp_path: Path) -> Any:
    with (
        machines(tmp_path, env={"TOLD": "all"}) as made,
        real.connect("admin") as admin,
        watched(admin, made, held=real.held),
    ):
        yield made


@pytest.mark.machine
def test_a_machine_behind_a_server_keeps_its_disk_until_that_is_deleted(demo: Connection, behind: Machines) -> None:
    script = b64encode(b"#!/bin/sh\necho first boot >> /root/script\n").decode()
    id = launch(demo, user_data=script, metadata={"facefleet:fleet": "a"})
    machine = booted(behind, id)
    told = machine.run("curl", "--silent", "http://169.254.169.254/openstack/latest/meta_data.json")
    assert f'"uuid": "{id}"' in told and '"meta": {"facefleet:fleet": "a"}' in told
    awaited(lambda: machine.run("cat", "/root/script", check=False) == "first boot", "its user data ran")
    assert machine.run("systemctl", "show-environment").count("TOLD=all") == 1
    demo.compute.stop_server(id)
    wait(demo, id, "SHUTOFF")
    assert not machine.is_up
    demo.compute.start_server(id)
    assert booted(behind, id) is machine
    assert machine.run("cat", "/root/script") == "first boot"
    demo.compute.delete_server(id)
    awaited(lambda: behind.machine(id) is None and not machine.is_up, "it is gone")
    assert not machine.disk.exists()


@pytest.mark.machine
def test_a_machine_that_switches_itself_off_has_its_server_off(demo: Connection, behind: Machines) -> None:
    id = launch(demo)
    booted(behind, id).run("systemctl", "poweroff", check=False)
    wait(demo, id, "SHUTOFF")


def booted(behind: Machines, id: str) -> Machine:
    """The machine behind this server, up."""
    machine: Machine = awaited(lambda: behind.machine(id), "there is a machine")
    early = ("", "offline", "initializing", "starting")
    awaited(
        lambda: machine.is_up and machine.run("systemctl", "is-system-running", check=False) not in early, "it is up"
    )
    return machine
