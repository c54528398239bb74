"""Packer takes the file of the private cloud's image, and examples of what servers are told are what they claim."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from ami.userdata import read
from facefleet.errors import BadSettings
from facefleet.settings import Settings
from tests.unit.private_cloud import private_cloud

OPENSTACK = Path(__file__).parents[2] / "deploy/openstack"
PUBLIC = ["-var=floating_network=public", '-var=networks=["a"]', '-var=security_groups=["facefleet"]']


@pytest.mark.skipif(shutil.which("packer") is None, reason="no packer: apt-get install packer")
@pytest.mark.parametrize("given", [[], [*PUBLIC, "-var=tuned_dlib=true", "-var=name=mine"]])
def test_packer_takes_it(given: list[str]) -> None:
    """It signs in to the cloud, and makes nothing."""
    with private_cloud() as cloud:
        env = os.environ | cloud.env | {"CHECKPOINT_DISABLE": "1"}
        command = ["packer", "validate", *given, OPENSTACK / "image.pkr.hcl"]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        assert cloud.asked == []


def test_the_example_of_user_data_is_a_workers_and_needs_a_private_cloud() -> None:
    data = (OPENSTACK / "user-data.worker.json").read_bytes()
    told = read(data, may_hold_keys=True)
    assert told is not None and told.tier == "workers"
    assert sorted(told.keys) == ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]
    with pytest.raises(BadSettings, match="keys are for a private cloud"):
        read(data)
    Settings.from_env(told.settings).check()


def test_the_example_that_is_a_script_is_left_to_cloud_init() -> None:
    script = OPENSTACK / "user-data.worker.sh"
    assert read(script.read_bytes(), may_hold_keys=True) is None
    assert subprocess.run(["/bin/sh", "-n", script], capture_output=True).returncode == 0


def test_both_examples_of_a_worker_tell_the_same() -> None:
    """But for where the image has the models, and for what tells the script's worker that this is OpenStack."""
    told = read((OPENSTACK / "user-data.worker.json").read_bytes(), may_hold_keys=True)
    given = given_in((OPENSTACK / "user-data.worker.sh").read_text().partition("<<'END'\n")[2].partition("\nEND\n")[0])
    assert told is not None
    assert given.keys() - {"FACEFLEET_MODELS", "FACEFLEET_FLEETS"} == told.settings.keys() | told.keys.keys()


def given_in(text: str) -> dict[str, str]:
    """The settings of a file of them."""
    return dict(line.split("=", 1) for line in text.splitlines() if line and not line.startswith("#"))


def test_the_relays_settings_are_settings() -> None:
    settings = Settings.from_env(given_in((OPENSTACK / "relay.env.example").read_text()))
    settings.check()
    settings.check_site()
    assert settings.relay_by == "function"
