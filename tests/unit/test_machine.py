"""An instance of EC2, where a small server on loopback speaks IMDSv2; and a machine that is none."""

import os
import platform
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from app_tier.__main__ import heed_notices, name_of
from facefleet.backends.aws.machine import TOKEN_LIVES, TRIES, Ec2Machine
from facefleet.errors import Unavailable

OWN_NAME = f"{platform.node()}-{os.getpid()}"
META = "/latest/meta-data"
ACTION = '{"action": "terminate", "time": "2026-11-21T22:00:00Z"}'
ADVICE = '{"noticeTime": "2026-11-21T21:50:00Z"}'


class Metadata(ThreadingHTTPServer):
    """Tells what `says` holds to whoever has its token; as https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/
    configuring-instance-metadata-service.html: a PUT for the token, 401 without a valid one, 404 for what is not."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.says: dict[str, str] = {f"{META}/instance-id": "i-0123"}
        self.token, self.tokens, self.failing = "t1", 0, 0


class Answers(BaseHTTPRequestHandler):
    server: Metadata

    def do_PUT(self) -> None:
        lives = int(self.headers["X-aws-ec2-metadata-token-ttl-seconds"])
        good = self.path == "/latest/api/token" and 1 <= lives <= TOKEN_LIVES and not self._fails()
        self.server.tokens += good
        self._answer(200 if good else 400, self.server.token if good else "")

    def do_GET(self) -> None:
        if self.headers["X-aws-ec2-metadata-token"] != self.server.token:
            self._answer(401, "")
        else:
            text = self.server.says.get(self.path)
            self._answer(404 if text is None else 200, text or "<html>not found</html>")

    def _fails(self) -> bool:
        self.server.failing -= 1
        return self.server.failing >= 0

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
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED", raising=False)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_its_id_is_the_instances(metadata: Metadata) -> None:
    assert Ec2Machine().id() == "i-0123"


def test_its_id_is_found_behind_a_service_that_fails_at_first(metadata: Metadata) -> None:
    metadata.failing = 2
    assert Ec2Machine().id() == "i-0123"


@pytest.fixture
def ec2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What an instance's firmware says of itself; such a one is less patient here."""
    monkeypatch.setattr("facefleet.backends.aws.machine.PAUSE", 0.01)
    vendor = tmp_path / "sys_vendor"
    vendor.write_text("Amazon EC2\n")
    return vendor


def test_an_instance_goes_on_trying_for_its_id(metadata: Metadata, ec2: Path) -> None:
    metadata.failing = 3 * TRIES
    machine = Ec2Machine(ec2)
    assert (machine.id(), machine.notice()) == ("i-0123", None)


def test_an_instance_that_learns_no_id_has_no_name(
    metadata: Metadata, ec2: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be one that was never seen working."""
    monkeypatch.setattr("facefleet.backends.aws.machine.PATIENCE", 0.1)
    metadata.failing = 10**6
    machine = Ec2Machine(ec2)
    with pytest.raises(Unavailable, match="did not tell its id"):
        machine.id()
    assert machine.notice() is None
    metadata.failing = 0
    assert machine.id() == "i-0123"


def test_another_makers_machine_is_not_waited_for(metadata: Metadata, tmp_path: Path) -> None:
    metadata.failing = 10**6
    (tmp_path / "sys_vendor").write_text("LENOVO\n")
    assert Ec2Machine(tmp_path / "sys_vendor").id() == OWN_NAME
    assert 10**6 - metadata.failing == TRIES


def test_a_worker_of_it_is_named_after_it(metadata: Metadata) -> None:
    assert [name_of(Ec2Machine(), worker) for worker in (None, 0, 11)] == ["i-0123", "i-0123.0", "i-0123.11"]


def test_it_stays_while_nothing_is_told(metadata: Metadata) -> None:
    assert Ec2Machine().notice() is None


@pytest.mark.parametrize(
    ("path", "text"), [("spot/instance-action", ACTION), ("events/recommendations/rebalance", ADVICE)]
)
def test_what_is_told_of_its_end_is_a_notice(metadata: Metadata, path: str, text: str) -> None:
    machine = Ec2Machine()
    assert machine.notice() is None
    metadata.says[f"{META}/{path}"] = text
    notice = machine.notice()
    assert notice is not None and text in notice


def test_one_token_serves_for_all_it_asks(metadata: Metadata) -> None:
    machine = Ec2Machine()
    for _ in range(5):
        machine.notice()
    assert metadata.tokens == 1


def test_a_token_that_is_no_longer_taken_is_replaced(metadata: Metadata) -> None:
    machine = Ec2Machine()
    machine.notice()
    metadata.token, metadata.says[f"{META}/spot/instance-action"] = "t2", ACTION
    assert machine.notice() is None, "refused"
    assert machine.notice() is not None


def test_a_service_that_fails_is_no_notice(metadata: Metadata) -> None:
    machine = Ec2Machine()
    assert machine.id() == "i-0123"
    metadata.token, metadata.failing = "t2", 9
    assert [machine.notice(), machine.notice()] == [None, None]


def test_its_proxy_is_not_asked(metadata: Metadata, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert Ec2Machine().id() == "i-0123"


def test_elsewhere_than_on_ec2_it_has_this_processs_name_and_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1")
    machine = Ec2Machine()
    assert (machine.id(), machine.notice()) == (OWN_NAME, None)


def test_who_forbids_to_ask_is_not_asked(metadata: Metadata, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    assert Ec2Machine().id() == OWN_NAME
    assert metadata.tokens == 0


def test_a_worker_drains_once_its_machine_is_to_go(metadata: Metadata) -> None:
    metadata.says[f"{META}/spot/instance-action"] = ACTION
    stop = threading.Event()
    heed_notices(Ec2Machine(), stop, threading.Event())
    assert stop.is_set()


class OneLook(threading.Event):
    """A stop flag that ends the loop at its first pause, and tells whether it was set before."""

    def wait(self, timeout: float | None = None) -> bool:
        self.was_set = self.is_set()
        self.set()
        return True


def test_a_worker_works_on_while_its_machine_stays(metadata: Metadata) -> None:
    stop = OneLook()
    heed_notices(Ec2Machine(), stop, threading.Event())
    assert metadata.tokens == 1
    assert not stop.was_set
