"""The machine image: made by packer, it holds no secret, and its instances become what their user data says."""

import json
import shutil
import ssl
from collections.abc import Callable, Iterator
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest

from bench.image import build_image
from bench.local import awaited
from bench.region import Region, RegionMachine
from facefleet.backends.aws.account.resources import ensure
from facefleet.backends.aws.clients import connect_clients
from facefleet.settings import Settings

from .conftest import Launch

pytestmark = [
    pytest.mark.machine,
    pytest.mark.timeout(300),
    pytest.mark.skipif(shutil.which("packer") is None, reason="no packer: apt-get install packer"),
]

SETTINGS = {"AWS_DEFAULT_REGION": "us-east-1", "FACEFLEET_BACKEND": "aws"}
KEY = "k3y-of-this-test"
WORKER = "facefleet-worker@0.service"
#: What nobody may find in an image: whose it was, who may enter, what was said.
MAY_NOT_BE = (
    "etc/ssh/ssh_host_*",
    "root/.ssh/*",
    "home/*/.ssh/*",
    "**/authorized_keys",
    "**/*_history",
    "etc/facefleet/*",
    "var/lib/caddy/**/*",
    "var/lib/facefleet",
    "var/lib/cloud/instances/*",
    "root/.cache",
    "home/*/.cache",
    "tmp/*",
    "var/lib/systemd/random-seed",
)


@pytest.fixture(scope="module")
def image(cloud: Region) -> str:
    return build_image(cloud)


@pytest.fixture(scope="module")
def account(cloud: Region) -> Iterator[None]:
    """Queues, buckets and tables, and a role that instances have."""
    with pytest.MonkeyPatch.context() as own:
        for name, value in cloud.env.items():
            own.setenv(name, value)
        ensure(connect_clients(), Settings.from_env({"FACEFLEET_BACKEND": "aws"}))
        iam = boto3.client("iam")
        iam.create_role(RoleName="tier", AssumeRolePolicyDocument="{}")
        iam.create_instance_profile(InstanceProfileName="tier")
        iam.add_role_to_instance_profile(InstanceProfileName="tier", RoleName="tier")
        yield


@pytest.fixture
def boot(account: None, image: str, launch: Launch) -> Callable[..., RegionMachine]:
    def run(told: dict[str, Any]) -> RegionMachine:
        return launch(ImageId=image, UserData=json.dumps(told), IamInstanceProfile={"Name": "tier"})

    return run


@pytest.fixture
def web(ec2: Any, account: None) -> dict[str, Any]:
    """User data of a web tier, with an address and an API key that are there."""
    address = ec2.allocate_address(Domain="vpc")
    value = json.dumps({"key": KEY, "scopes": "recognise+enrol"})
    secret = boto3.client("secretsmanager").create_secret(Name=uuid4().hex, SecretString=value)
    return {
        "tier": "web",
        "settings": SETTINGS | {"FACEFLEET_HOST": "0.0.0.0"},  # noqa: S104  # in a network of its own
        "secret": secret["ARN"],
        "address": {"allocation": address["AllocationId"], "ip": address["PublicIp"], "domain": ""},
    }


def holder(ec2: Any, web: dict[str, Any]) -> str:
    (address,) = ec2.describe_addresses(AllocationIds=[web["address"]["allocation"]])["Addresses"]
    return str(address.get("InstanceId", ""))


def asked(web: dict[str, Any], method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, str]:
    """By TLS, trusting nobody but the authority whose root is in the state bucket."""
    root = boto3.client("s3").get_object(Bucket="facefleet-state", Key="tls/root.crt")["Body"].read().decode()
    connection = HTTPSConnection(web["address"]["ip"], timeout=60, context=ssl.create_default_context(cadata=root))
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def state(machine: RegionMachine, unit: str, name: str = "ActiveState") -> str:
    return machine.run("systemctl", "show", "--value", f"--property={name}", unit).strip()


def files_of(cloud: Region, image: str) -> Path:
    """What making the image wrote."""
    return cloud.inside / "images" / image


def test_nothing_secret_is_in_the_image(cloud: Region, image: str) -> None:
    written = files_of(cloud, image)
    found = [path for pattern in MAY_NOT_BE for path in written.glob(pattern) if not path.is_char_device()]
    assert found == []
    assert (written / "etc/machine-id").read_bytes() == b""
    assert [path for path in (written / "var/log").rglob("*") if path.is_file()] == []


def test_no_tier_is_started_by_the_image_itself(cloud: Region, image: str) -> None:
    wanted = files_of(cloud, image) / "etc/systemd/system/multi-user.target.wants"
    assert [path.name for path in wanted.iterdir() if path.is_symlink()] == ["facefleet-settings.service"]


def test_a_worker_comes_to_receive_with_the_networks_that_the_image_has(boot: Callable[..., RegionMachine]) -> None:
    machine = boot({"tier": "workers", "settings": SETTINGS})
    assert state(machine, WORKER) == "active"
    assert state(machine, "facefleet-web.service") == "inactive"
    assert machine.run("stat", "--format=%U %G %a", "/etc/facefleet/facefleet.env").strip() == "root facefleet 640"
    # Without the networks it would have warned: it may not write into the image's folder.
    assert machine.run("journalctl", "--quiet", "--no-pager", "--priority=warning", f"--unit={WORKER}") == ""
    assert machine.run("systemctl", "list-units", "--state=failed", "--no-legend").strip() == ""


def test_a_web_tier_answers_at_its_address_by_tls(
    boot: Callable[..., RegionMachine], ec2: Any, web: dict[str, Any], photos: Path
) -> None:
    worker, machine = boot({"tier": "workers", "settings": SETTINGS}), boot(web)
    assert holder(ec2, web) == machine.id
    image = (photos / "obama.jpg").read_bytes()
    kinds = {"Content-Type": "image/jpeg"}
    assert asked(web, "POST", "/v1/recognitions", image, **kinds)[0] == 401
    status, said = asked(web, "POST", "/v1/recognitions", image, **kinds, **{"X-Api-Key": KEY})
    assert (status, json.loads(said)["answer"]) == (200, "unknown")
    assert KEY not in machine.run("journalctl", "--no-pager")
    awaited(lambda: state(worker, WORKER, "StatusText") == "idle, 1 jobs done", "the worker tells of its job")


def test_the_next_web_machine_takes_over_address_and_authority(
    boot: Callable[..., RegionMachine], ec2: Any, web: dict[str, Any]
) -> None:
    first = boot(web)
    root = boto3.client("s3").get_object(Bucket="facefleet-state", Key="tls/root.crt")["Body"].read()
    second = boot(web)
    assert holder(ec2, web) == second.id
    assert second.run("cat", "/var/lib/caddy/storage/pki/authorities/local/root.crt").encode() == root
    assert asked(web, "GET", "/healthz")[0] == 200
    first.run("systemctl", "restart", "facefleet-address.service")
    assert holder(ec2, web) == second.id


def test_caddy_goes_on_until_the_web_tier_has_stopped(boot: Callable[..., RegionMachine], web: dict[str, Any]) -> None:
    machine = boot(web)
    after = state(machine, "facefleet-web.service", "After").split()
    assert "facefleet-caddy.service" in after
    machine.run("systemctl", "stop", "facefleet-web.service")
    assert state(machine, "facefleet-caddy.service") == "active"


def test_wrong_user_data_starts_nothing_and_says_why(boot: Callable[..., RegionMachine]) -> None:
    machine = boot({"tier": "workers", "settings": SETTINGS | {"FACEFLEET_URL": "a\nb"}})
    assert state(machine, "facefleet-settings.service", "ExecMainStatus") == "78"
    assert state(machine, WORKER) == "inactive"
    assert "FACEFLEET_URL holds a newline" in machine.run("journalctl", "--no-pager", "-u", "facefleet-settings")


def test_it_is_the_tier_again_after_it_was_stopped(
    boot: Callable[..., RegionMachine], ec2: Any, await_state: Callable[[RegionMachine, str], None]
) -> None:
    machine = boot({"tier": "controller", "settings": SETTINGS})
    awaited(lambda: state(machine, "facefleet-controller.service") == "active", "the controller works")
    ec2.stop_instances(InstanceIds=[machine.id])
    await_state(machine, "stopped")
    ec2.start_instances(InstanceIds=[machine.id])
    await_state(machine, "running")
    machine.await_boot()
    assert state(machine, "facefleet-controller.service") == "active"
