"""The packer file is one that Debian's packer takes, and examples of user data are what they claim to be."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from ami.userdata import read

AMI = Path(__file__).parent.parent.parent / "ami"


@pytest.mark.skipif(shutil.which("packer") is None, reason="no packer: apt-get install packer")
@pytest.mark.parametrize("given", [[], ["-var=architecture=arm64", "-var=tuned_dlib=true", "-var=encrypt=true"]])
def test_packer_takes_it(given: list[str]) -> None:
    command = ["packer", "validate", *given, AMI / "facefleet.pkr.hcl"]
    env = os.environ | {"CHECKPOINT_DISABLE": "1"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_example_of_user_data_is_read() -> None:
    told = read((AMI / "user-data.example.json").read_bytes())
    assert told is not None
    assert told.address is not None
    assert told.tier == "web"


def test_the_example_that_is_a_script_is_left_to_cloud_init() -> None:
    assert read((AMI / "user-data.example.sh").read_bytes()) is None
