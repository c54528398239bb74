"""Which cloud is signed in to: what clouds.yaml and the environment say, and what is told where they say too little."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from nova_apis import PASSWORD
from nova_cloud import nova_cloud
from openstack.exceptions import HttpException

from facefleet.backends.openstack import fleet_of
from facefleet.backends.openstack.connection import connect
from facefleet.errors import BadSettings
from facefleet.settings import Settings

ROOT = Path(__file__).parent.parent.parent
KEYSTONE = {"OS_AUTH_URL": "http://127.0.0.1:9/v3", "OS_USERNAME": "u", "OS_PROJECT_NAME": "p"}
SIGNED = KEYSTONE | {"OS_PASSWORD": "secret word"}


@pytest.fixture(autouse=True)
def clouds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where clouds.yaml would be; no cloud is known, whatever this shell has."""
    for name in [name for name in os.environ if name.startswith("OS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "clouds.yaml"))
    return tmp_path / "clouds.yaml"


@pytest.mark.parametrize(
    ("env", "settings", "said"),
    [
        ({}, Settings(), "auth_url.*FACEFLEET_OPENSTACK_CLOUD"),
        ({}, Settings(openstack_cloud="nosuch"), "nosuch.*FACEFLEET_OPENSTACK_CLOUD"),
        (KEYSTONE | {"OS_REGION_NAME": "r"}, Settings(), "no password.*OS_PASSWORD"),
        (SIGNED, Settings(), "no region_name.*OS_REGION_NAME"),
        ({"OS_AUTH_TYPE": "v3applicationcredential", "OS_AUTH_URL": "http://127.0.0.1:9/v3"}, Settings(), "credential"),
        ({"OS_AUTH_TYPE": "nosuch", **SIGNED}, Settings(), "nosuch"),
    ],
)
def test_what_is_missing_is_said_before_anybody_is_called(
    env: dict[str, str], settings: Settings, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(BadSettings, match=said) as refusal:
        connect(settings)
    assert "secret word" not in str(refusal.value)


@pytest.mark.parametrize("text", ["clouds: [", "just words", "clouds: {ours: 5}", "clouds: []", b"\xff"])
def test_a_file_that_is_none_is_said_so(text: str | bytes, clouds: Path) -> None:
    clouds.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(BadSettings, match=r"OpenStack: .*(clouds\.yaml|valid mapping)"):
        connect(Settings(openstack_cloud="ours"))


def test_the_environment_alone_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (SIGNED | {"OS_REGION_NAME": "here"}).items():
        monkeypatch.setenv(name, value)
    with connect(Settings()) as connection:
        assert connection.config.region_name == "here"


def test_of_clouds_yaml_the_named_one_is_taken_and_it_hears_who_we_are(clouds: Path) -> None:
    with nova_cloud() as cloud:
        cloud.write_clouds(clouds.parent)
        with connect(Settings(openstack_cloud="other")) as connection:
            assert connection.current_project.name == "other"
        assert all(agent.startswith("facefleet/") for agent in cloud.agents)


def test_a_call_that_fails_is_not_repeated_by_the_library(clouds: Path) -> None:
    """Left alone, it repeats those of images five times, and waits in between."""
    with nova_cloud() as cloud:
        cloud.write_clouds(clouds.parent)
        with connect(Settings(openstack_cloud="demo")) as connection:
            assert len(list(connection.image.images())) == 1
            cloud.calls.clear()
            cloud.faults.status = 503
            with pytest.raises(HttpException):
                list(connection.image.images())
        assert len(cloud.calls) == 1


def test_to_make_a_fleet_calls_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (SIGNED | {"OS_REGION_NAME": "here"}).items():
        monkeypatch.setenv(name, value)
    assert fleet_of(Settings(warm_pool=3)).can_rest == ("m1.small",)


def test_who_has_no_private_cloud_does_not_wait_for_its_library() -> None:
    script = "import sys, facefleet.backends, facefleet.backends.openstack; print('openstack' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr


LAUNCH = """
import sys
from pathlib import Path
from facefleet.backends.openstack import fleet_of
from facefleet.entry import log_to
from facefleet.settings import Settings
log_to("DEBUG")
fleet_of(Settings(openstack_cloud="demo", openstack_user_data=Path(sys.argv[1]))).launch("0123456789", "m1.small")
"""


def test_what_is_secret_is_not_logged_however_much_is_asked_for(clouds: Path, tmp_path: Path) -> None:
    """User data, which may hold keys, and the password: the library would tell them."""
    (tmp_path / "user-data").write_text("AWS_SECRET_ACCESS_KEY=hush\n")
    with nova_cloud() as cloud:
        cloud.write_clouds(clouds.parent)
        env = {"PYTHONPATH": str(ROOT), "OS_CLIENT_CONFIG_FILE": str(clouds)}
        command = [sys.executable, "-c", LAUNCH, str(tmp_path / "user-data")]
        done = subprocess.run(command, env=env, capture_output=True, text=True)
        (server,) = cloud.of("app-tier-instance")
    assert done.returncode == 0, done.stderr
    assert server.asked["user_data"] not in done.stderr
    assert PASSWORD not in done.stderr
