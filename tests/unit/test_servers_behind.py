"""What is kept behind a server follows what Nova's API says of it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests
from keystoneauth1.exceptions import ConnectFailure
from openstack.exceptions import SDKException

from bench.local import awaited
from bench.server_metadata import answer
from bench.server_processes import Processes
from bench.server_states import Server, Wish
from bench.servers import Watcher, watched

RECORDED = Path(__file__).parent.parent / "openstack" / "recorded"
#: Ends when it is asked to, and says so.
WORKER = 'trap "echo $INSTANCE_ID >> ended; exit" TERM; echo $INSTANCE_ID >> began; while :; do sleep 0.02; done'


@pytest.mark.parametrize(
    ("name", "wish"),
    [
        ("build", Wish.NONE),
        ("active", Wish.UP),
        ("powering-off", Wish.DOWN),
        ("shutoff", Wish.DOWN),
        ("powering-on", Wish.NONE),
        ("shelving", Wish.DOWN),
        ("shelved-offloaded", Wish.DOWN),
        ("unshelving", Wish.NONE),
        ("deleting", Wish.GONE),
        ("error", Wish.NONE),
    ],
)
def test_what_is_wished_is_what_nova_is_about(name: str, wish: Wish) -> None:
    one = json.loads((RECORDED / f"servers-detail-{name}.json").read_text())["response"]["body"]["servers"][0]
    assert Server(one["id"], one["name"], one["status"], one["OS-EXT-STS:task_state"]).wish is wish


class Cloud:
    """One server, as a test says."""

    def __init__(self) -> None:
        self.servers: list[Server] = []
        self.outage: Exception | None = None

    def shows(self, status: str, task: str | None = None) -> None:
        self.servers = [Server("a", "one", status, task)]

    def look(self) -> list[Server]:
        if self.outage is not None:
            raise self.outage
        return self.servers


@contextmanager
def keeping(
    cloud: Cloud, folder: Path, *, script: str = WORKER, grace: float = 60.0
) -> Iterator[tuple[Watcher, Processes]]:
    processes = Processes(["sh", "-c", f"cd {folder}; {script}"], {}, grace=grace)
    (folder / "held").mkdir()
    watcher = Watcher(cloud.look, processes, held=folder / "held")
    try:
        yield watcher, processes
    finally:
        watcher.close()


def said(folder: Path, what: str) -> int:
    path = folder / what
    return len(path.read_text().splitlines()) if path.exists() else 0


def test_a_server_is_held_until_its_process_has_ended(tmp_path: Path) -> None:
    cloud = Cloud()
    with keeping(cloud, tmp_path) as (watcher, processes):
        cloud.shows("ACTIVE")
        watcher.step()
        awaited(lambda: said(tmp_path, "began"), "it runs")
        assert (tmp_path / "held" / "a").exists()
        cloud.shows("ACTIVE", "powering-off")
        watcher.step()
        awaited(lambda: not (tmp_path / "held" / "a").exists(), "it is let go")
        assert said(tmp_path, "ended") == 1
        assert processes.pid("a") is None


def test_one_that_was_stopped_is_started_again(tmp_path: Path) -> None:
    cloud = Cloud()
    with keeping(cloud, tmp_path) as (watcher, _):
        for times, status in enumerate(("ACTIVE", "SHUTOFF", "ACTIVE")):
            cloud.shows(status)
            watcher.step()
            awaited(lambda times=times: said(tmp_path, "began") == times // 2 + 1, "it runs")
        assert [event.wish for event in watcher.events] == [Wish.UP, Wish.DOWN, Wish.UP]


def test_who_does_not_end_is_killed_after_the_grace(tmp_path: Path) -> None:
    cloud, deaf = Cloud(), 'trap "" TERM; echo >> began; while :; do sleep 0.02; done'
    with keeping(cloud, tmp_path, script=deaf, grace=0.2) as (watcher, processes):
        cloud.shows("ACTIVE")
        watcher.step()
        awaited(lambda: said(tmp_path, "began"), "it runs")
        cloud.shows("SHUTOFF")
        watcher.step()
        awaited(lambda: processes.pid("a") is None, "it is killed")


def test_one_that_is_gone_is_killed_at_once(tmp_path: Path) -> None:
    cloud = Cloud()
    with keeping(cloud, tmp_path) as (watcher, processes):
        cloud.shows("ACTIVE")
        watcher.step()
        awaited(lambda: said(tmp_path, "began"), "it runs")
        cloud.servers = []
        watcher.step()
        assert processes.pid("a") is None
        assert said(tmp_path, "ended") == 0
        assert not (tmp_path / "held" / "a").exists()


@pytest.mark.parametrize("outage", [SDKException("no"), ConnectFailure("refused"), requests.Timeout("none")])
def test_an_api_that_does_not_answer_changes_nothing(tmp_path: Path, outage: Exception) -> None:
    cloud = Cloud()
    with keeping(cloud, tmp_path) as (watcher, processes):
        cloud.shows("ACTIVE")
        watcher.step()
        pid = awaited(lambda: processes.pid("a"), "it runs")
        cloud.outage = outage
        watcher.step()
        assert processes.pid("a") == pid


def test_all_ends_with_the_watcher(tmp_path: Path) -> None:
    cloud = Cloud()
    with keeping(cloud, tmp_path) as (watcher, processes):
        cloud.shows("ACTIVE")
        watcher.step()
        pid = awaited(lambda: processes.pid("a"), "it runs")
    assert not Path(f"/proc/{pid}").exists()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_all_ends_where_to_look_fails_as_nobody_thought_of(tmp_path: Path) -> None:
    one = SimpleNamespace(**{field.name: "" for field in fields(Server)}, task_state=None, metadata={}, project_id="")
    one.id, one.status, one.image, one.flavor, one.key_name = "a", "ACTIVE", None, None, ""
    found = [one]
    cloud = SimpleNamespace(compute=SimpleNamespace(servers=lambda **_: list(found), stop_server=None))
    processes = Processes(["sh", "-c", f"cd {tmp_path}; {WORKER}"], {})
    with watched(cloud, processes, every=0.02):
        pid = awaited(lambda: processes.pid("a"), "it runs")
        found.append(SimpleNamespace())
        awaited(lambda: not Path(f"/proc/{pid}").exists(), "it is killed")


#: What the real one told of is not all that ours does.
VERSIONS = ("/", "/openstack", "/openstack/")
NOT_OURS = ("block-device-mapping", "ami-manifest-path", "reservation-id")


@pytest.mark.parametrize(("asked", "real"), json.loads((RECORDED / "metadata-service.json").read_text()).items())
def test_the_metadata_service_answers_as_the_real_one(asked: str, real: dict[str, object]) -> None:
    meta = {"facefleet:fleet": "facefleet", "facefleet:token": "t-1"}
    told = b"#cloud-config\nlocale: false\n"
    server = Server("SERVER", "facefleet-1", "ACTIVE", meta=meta, user_data=told, project="PROJECT", flavor="tiny")
    method, path = asked.split(" ")
    status, kind, body = answer(path, server, address="10.0.0.5", number=6)
    assert (status, kind) == (real["status"], real["type"])
    if status != 200 or method == "HEAD":
        return
    theirs = str(real["body"])
    if path.endswith("meta_data.json"):
        ours, real_one = json.loads(body), json.loads(theirs)
        assert ours == {name: real_one[name] for name in ours}
    elif path in VERSIONS:
        assert set(body.decode().splitlines()) <= set(theirs.splitlines())
    else:
        kept = [line for line in theirs.splitlines() if not line.startswith(NOT_OURS)]
        assert body.decode().splitlines() == kept
