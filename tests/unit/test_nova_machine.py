"""A server of OpenStack, where a small server on loopback speaks as Nova's metadata service; and other machines."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from app_tier.__main__ import name_of
from facefleet.backends.aws.machine import Ec2Machine
from facefleet.backends.openstack.machine import META_DATA, TRIES, NovaMachine, is_server, machine_here
from facefleet.errors import Unavailable

UUID = "0c7d9f0a-4c1e-4a0e-9d6b-0f6f4f1f7a3e"
NOVA = "facefleet.backends.openstack.machine"


class Other:
    """The machine of a process that runs on no server."""

    def id(self) -> str:
        return "other"

    def notice(self) -> str | None:
        return "it goes"


class Metadata(ThreadingHTTPServer):
    """Nova's: no tokens, 404 for a PUT, EC2's paths with an id of EC2's; `failing` answers are 500 first."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.says = {META_DATA: json.dumps({"uuid": UUID, "name": "w"}), "/latest/meta-data/instance-id": "i-0000000a"}
        self.failing, self.missing = 0, 404
        self.asked: list[str] = []


class Answers(BaseHTTPRequestHandler):
    server: Metadata

    def do_PUT(self) -> None:
        self._answer(404, "")

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.server.failing -= 1
        text = self.server.says.get(self.path)
        status = 500 if self.server.failing >= 0 else self.server.missing if text is None else 200
        self._answer(status, text or "")

    def _answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def metadata(monkeypatch: pytest.MonkeyPatch) -> Iterator[Metadata]:
    server = Metadata()
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", f"http://127.0.0.1:{server.server_address[1]}")
    monkeypatch.setattr(f"{NOVA}.PAUSE", 0.01)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def firmware(tmp_path: Path) -> Path:
    """What a server's says of itself."""
    (tmp_path / "product_name").write_text("OpenStack Nova\n")
    (tmp_path / "sys_vendor").write_text("OpenStack Foundation\n")
    return tmp_path


def machine(tmp_path: Path, firmware: Path | None = None) -> NovaMachine:
    return NovaMachine(Other(), firmware=firmware or tmp_path / "none", read_at_boot=tmp_path / "instance-data.json")


def test_its_id_is_the_servers_uuid_and_not_what_ec2s_dialect_calls_it(metadata: Metadata, tmp_path: Path) -> None:
    assert machine(tmp_path).id() == UUID
    assert name_of(machine(tmp_path), 3) == f"{UUID}.3"


def test_it_gets_no_notice(metadata: Metadata, tmp_path: Path) -> None:
    assert machine(tmp_path).notice() is None


def test_it_is_asked_once(metadata: Metadata, tmp_path: Path) -> None:
    one = machine(tmp_path)
    assert [one.id(), one.notice(), one.id()] == [UUID, None, UUID]
    assert metadata.asked == [META_DATA]


def test_a_server_goes_on_asking_while_nova_does_not_know_it_yet(
    metadata: Metadata, tmp_path: Path, firmware: Path
) -> None:
    """Its port is not known everywhere at once: until then all is 404."""
    told = metadata.says.pop(META_DATA)
    one = machine(tmp_path, firmware)
    threading.Timer(0.3, lambda: metadata.says.update({META_DATA: told})).start()
    assert one.id() == UUID
    assert len(metadata.asked) > TRIES


def test_a_server_that_learns_no_id_has_no_name(
    metadata: Metadata, tmp_path: Path, firmware: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{NOVA}.PATIENCE", 0.1)
    metadata.failing = 10**6
    one = machine(tmp_path, firmware)
    with pytest.raises(Unavailable, match="told its id for 0 s"):
        one.id()
    assert one.notice() is None
    metadata.failing = 0
    assert one.id() == UUID


@pytest.mark.parametrize("status", [401, 403, 404])
def test_on_another_cloud_it_is_that_clouds_machine(metadata: Metadata, tmp_path: Path, status: int) -> None:
    """EC2 says 401 to whoever brings no token."""
    metadata.says.clear()
    metadata.missing = status
    one = machine(tmp_path)
    assert (one.id(), one.notice()) == ("other", "it goes")
    assert len(metadata.asked) == 1


def test_a_machine_of_no_cloud_is_not_waited_for(metadata: Metadata, tmp_path: Path) -> None:
    metadata.failing = 10**6
    assert machine(tmp_path).id() == "other"
    assert len(metadata.asked) == TRIES


@pytest.mark.parametrize("told", ["", "[]", "{}", '{"uuid": 5}', '{"uuid": "i-0000000a"}'])
def test_what_is_no_uuid_names_nobody(metadata: Metadata, tmp_path: Path, told: str) -> None:
    metadata.says[META_DATA] = told
    assert machine(tmp_path).id() == "other"


def test_a_config_drive_that_cloud_init_read_tells_it_without_a_network(tmp_path: Path) -> None:
    read = {"v1": {"instance_id": UUID, "platform": "configdrive"}}
    (tmp_path / "instance-data.json").write_text(json.dumps(read))
    assert machine(tmp_path).id() == UUID


@pytest.mark.parametrize(
    "read", [f'{{"v1": {{"instance_id": "{UUID}", "platform": "azure"}}}}', "{}", "", '{"v1": []}']
)
def test_what_cloud_init_read_elsewhere_is_left_alone(metadata: Metadata, tmp_path: Path, read: str) -> None:
    metadata.says.clear()
    (tmp_path / "instance-data.json").write_text(read)
    assert machine(tmp_path).id() == "other"


def test_its_proxy_is_not_asked(metadata: Metadata, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert machine(tmp_path).id() == UUID


@pytest.mark.parametrize(
    ("says", "is_one"), [("OpenStack Nova\n", True), ("OpenStack Compute", True), ("Amazon EC2", False), ("", False)]
)
def test_firmware_tells_a_server(tmp_path: Path, says: str, is_one: bool) -> None:
    (tmp_path / "product_name").write_text(says)
    assert is_server(tmp_path) is is_one
    assert not is_server(tmp_path / "none")


def test_which_machine_this_is_depends_on_its_firmware_and_on_where_instances_are_had(
    tmp_path: Path, firmware: Path
) -> None:
    other, none = Ec2Machine(), tmp_path / "none"
    assert [machine_here(other, fleets, none) is other for fleets in ("", "ec2:19")] == [True, True]
    assert isinstance(machine_here(other, "openstack:5,ec2:19", none), NovaMachine)
    assert isinstance(machine_here(other, "", firmware), NovaMachine)


def test_an_instance_of_ec2_is_never_asked_without_a_token(tmp_path: Path) -> None:
    (tmp_path / "sys_vendor").write_text("Amazon EC2\n")
    other = Ec2Machine()
    assert machine_here(other, "openstack:5,ec2:19", tmp_path) is other
