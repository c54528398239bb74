"""At boot: what user data says becomes files, and units are named; the metadata service answers as that of EC2."""

import os
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ami import metadata
from ami.caddyfile import caddyfile
from ami.metadata import Told, config_drive
from ami.settings import environment, units_of, write
from ami.userdata import Address, UserData
from facefleet.errors import Unavailable

ROOT = Path(__file__).parent.parent.parent
ADDRESS = Address("eipalloc-0123456789abcdef0", "203.0.113.5")
WORKER = UserData("workers", {"FACEFLEET_BACKEND": "aws"})
WEB = UserData("web", {"FACEFLEET_PORT": "8080"}, address=ADDRESS)


class Service(ThreadingHTTPServer):
    """The metadata service of one instance; `away`: how many times it fails first; `is_nova`: without tokens."""

    def __init__(self, told: dict[str, bytes], away: int = 0) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.told, self.away, self.is_nova = told, away, False
        self.without_token: list[str] = []


class Handler(BaseHTTPRequestHandler):
    server: Service

    def do_PUT(self) -> None:
        self.server.away -= 1
        if self.server.is_nova:
            return self.answer(404, b"")
        is_right = self.path == "/latest/api/token" and "X-aws-ec2-metadata-token-ttl-seconds" in self.headers
        return self.answer(503 if self.server.away >= 0 else 200 if is_right else 400, b"a-token")

    def do_GET(self) -> None:
        if "X-aws-ec2-metadata-token" not in self.headers:
            self.server.without_token.append(self.path)
        if self.headers["X-aws-ec2-metadata-token"] != "a-token" and not self.server.is_nova:
            return self.answer(401, b"")
        found = self.server.told.get(self.path.removeprefix("/latest/"))
        return self.answer(404 if found is None else 200, found or b"")

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Not into the tests' output."""


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    with Service({"meta-data/instance-id": b"i-1"}) as service:
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", f"http://127.0.0.1:{service.server_port}")
        thread = threading.Thread(target=service.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield service
        service.shutdown()
        thread.join(10)


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    (tmp_path / "facefleet").mkdir(mode=0o750)
    return tmp_path


def test_the_metadata_service_is_asked_for_user_data(service: Service) -> None:
    assert metadata.user_data() == Told(None)
    service.told["user-data"] = b"{}"
    assert metadata.user_data() == Told(b"{}")
    assert metadata.instance_id() == "i-1"
    assert service.without_token == []


def test_it_is_asked_again_until_the_network_is_there(service: Service) -> None:
    service.away = 3
    assert metadata.instance_id() == "i-1"


def test_novas_metadata_service_is_known_by_its_lack_of_tokens(service: Service) -> None:
    service.is_nova, service.told = True, {"/openstack/latest/meta_data.json": b"{}"}
    assert metadata.user_data() == Told(None, is_novas=True)
    service.told["/openstack/latest/user_data"] = b'{"tier": "workers"}'
    assert metadata.user_data() == Told(b'{"tier": "workers"}', is_novas=True)


def test_nova_is_asked_again_while_it_does_not_know_the_server(service: Service) -> None:
    """All that it says then is 404, which would else be user data that names no tier."""
    service.is_nova, service.told = True, {}
    told = {f"/openstack/latest/{name}": b"{}" for name in ("meta_data.json", "user_data")}
    threading.Timer(0.2, lambda: service.told.update(told)).start()
    assert metadata.user_data() == Told(b"{}", is_novas=True)


def test_without_a_metadata_service_user_data_is_what_cloud_init_read_of_a_config_drive(tmp_path: Path) -> None:
    read, instances = tmp_path / "instance-data.json", tmp_path / "instances"
    assert config_drive(read, instances) is None
    read.write_text('{"v1": {"instance_id": "0c7d", "platform": "configdrive"}}')
    assert config_drive(read, instances) is None, "it is not done yet"
    (instances / "0c7d").mkdir(parents=True)
    (instances / "0c7d/user-data.txt").write_bytes(b"{}")
    assert config_drive(read, instances) == Told(b"{}", is_novas=True)
    read.write_text('{"v1": {"instance_id": "0c7d", "platform": "ec2"}}')
    assert config_drive(read, instances) is None


def test_it_is_not_asked_for_ever(service: Service) -> None:
    service.away = 1_000_000
    with pytest.raises(Unavailable, match="did not tell user-data for 0 s"):
        metadata.user_data(patience=0.2)


def test_settings_lie_where_the_units_read_them(etc: Path) -> None:
    write(WORKER, etc)
    written = etc / "facefleet/facefleet.env"
    assert written.read_text() == 'FACEFLEET_BACKEND="aws"\nFACEFLEET_MODELS="/opt/facefleet/models"\n'
    assert stat.S_IMODE(written.stat().st_mode) == 0o640
    assert [path.name for path in etc.rglob("*") if path.is_file()] == ["facefleet.env"]


def test_keys_of_a_private_cloud_are_for_root_alone(etc: Path) -> None:
    write(UserData("relay", {}, keys={"AWS_SECRET_ACCESS_KEY": "s"}), etc)
    written = etc / "facefleet/facefleet.env"
    assert 'AWS_SECRET_ACCESS_KEY="s"' in written.read_text()
    assert stat.S_IMODE(written.stat().st_mode) == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="to give a file to a group needs root")
def test_who_may_read_them_is_the_folders_group(etc: Path) -> None:
    os.chown(etc / "facefleet", 0, 12345)
    write(WORKER, etc)
    assert (etc / "facefleet/facefleet.env").stat().st_gid == 12345


def test_at_the_next_boot_they_are_those_of_that_boot(etc: Path) -> None:
    write(WORKER, etc)
    write(UserData("workers", {"FACEFLEET_BACKEND": "embedded"}), etc)
    assert "embedded" in (etc / "facefleet/facefleet.env").read_text()
    assert len(list((etc / "facefleet").iterdir())) == 1


def test_what_systemd_would_take_apart_is_quoted() -> None:
    assert environment({"FACEFLEET_URL": 'a "b" $c \\d `e` #f'}) == 'FACEFLEET_URL="a \\"b\\" \\$c \\\\d \\`e\\` #f"\n'


def test_the_web_tier_is_started_with_all_that_makes_it_public() -> None:
    assert units_of(WORKER) == ("facefleet-workers.target",)
    assert units_of(UserData("relay", {})) == ("facefleet-relay.service",)
    assert units_of(UserData("web", {})) == ("facefleet-web.service",)
    assert {"facefleet-web.service", "facefleet-caddy.service", "facefleet-address.service"} <= set(units_of(WEB))


def test_machines_that_stay_boot_again_for_updates_and_workers_do_not(etc: Path) -> None:
    write(WORKER, etc)
    assert not (etc / "apt").exists()
    write(WEB, etc)
    assert 'Automatic-Reboot "true"' in (etc / "apt/apt.conf.d/91facefleet").read_text()


def test_caddy_passes_to_the_port_of_the_web_tier(etc: Path) -> None:
    write(WEB, etc)
    text = (etc / "caddy/Caddyfile").read_text()
    assert "https://203.0.113.5 {\n\ttls internal\n\treverse_proxy 127.0.0.1:8080 {" in text


def test_with_a_domain_caddy_asks_for_a_certificate_that_everybody_trusts() -> None:
    text = caddyfile(Address("eipalloc-1", "203.0.113.5", "faces.example.org"), "8000")
    assert "https://faces.example.org {\n\treverse_proxy" in text
    assert "internal" not in text


@pytest.mark.skipif(shutil.which("caddy") is None, reason="no caddy: apt-get install caddy")
@pytest.mark.parametrize("domain", ["", "faces.example.org"])
def test_caddy_understands_it(tmp_path: Path, domain: str) -> None:
    file = tmp_path / "Caddyfile"
    file.write_text(caddyfile(Address("eipalloc-1", "203.0.113.5", domain), "8000"))
    for command in (["adapt", "--config"], ["fmt"]):
        done = subprocess.run(["caddy", *command, file], capture_output=True, text=True, timeout=60)  # noqa: S607
        assert done.returncode == 0, done.stderr
    assert done.stdout == file.read_text()


def boot(service: Service) -> "subprocess.CompletedProcess[str]":
    """It is refused, or has nothing to do, before it writes anywhere."""
    return subprocess.run([sys.executable, "-m", "ami.settings"], cwd=ROOT, capture_output=True, text=True, timeout=60)


def test_wrong_user_data_ends_in_one_line_and_is_not_tried_again(service: Service) -> None:
    service.told["user-data"] = b'{"tier": "nobody", "settings": {}}'
    done = boot(service)
    assert (done.returncode, done.stderr.count("\n")) == (78, 1)
    assert "its tier is web, controller, workers, relay, not 'nobody'" in done.stderr


def test_user_data_of_somebody_else_starts_nothing(service: Service) -> None:
    service.told["user-data"] = b"#!/bin/sh\ntrue\n"
    done = boot(service)
    assert done.returncode == 0
    assert "no tier" in done.stderr


def test_a_worker_imports_nothing_on_its_way_that_is_slow() -> None:
    script = "import sys, ami.settings; print(*(name for name in sys.modules if '.' not in name))"
    done = subprocess.run([sys.executable, "-S", "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    loaded = set(done.stdout.split())
    assert "ami" in loaded, done.stderr
    assert loaded - {"ami", "facefleet", "__main__"} <= sys.stdlib_module_names
    assert not loaded & {"logging", "asyncio", "subprocess"}
