"""The backup of people that docs/operations.md describes: its commands, run as they stand there."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from bench.on_aws import OnAws, service_on_aws
from bench.service import SAMPLES

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("curl") is None, reason="no curl: apt-get install curl"),
]

ROOT = Path(__file__).parents[2]
#: What `aws s3 sync --delete s3://BUCKET/PREFIX/ FOLDER` does, which is all that is asked of the command here.
SYNC = f"""#!{sys.executable}
import sys, boto3
from pathlib import Path
from shutil import rmtree
_, service, command, delete, source, folder = sys.argv
assert (service, command, delete) == ("s3", "sync", "--delete")
bucket, _, prefix = source.removeprefix("s3://").partition("/")
rmtree(folder, ignore_errors=True)
for found in boto3.resource("s3").Bucket(bucket).objects.filter(Prefix=prefix):
    path = Path(folder, found.key.removeprefix(prefix))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(found.get()["Body"].read())
"""
OURS = f'#!/bin/sh\nexec {sys.executable} -m facefleet.cli "$@"\n'


def blocks() -> list[str]:
    text = (ROOT / "docs/operations.md").read_text().partition("\n## Back up and restore people\n")[2]
    return re.findall(r"```sh\n(.*?)```", text.partition("\n## ")[0], re.DOTALL)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OnAws]:
    with service_on_aws(
        tmp_path_factory.mktemp("service"), {"MIN_INSTANCES": "1", "MAX_INSTANCES": "1"}, stopped=1
    ) as service:
        service.enrol(SAMPLES / "people")
        yield service


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where somebody stands who has this repository, and the command line of AWS."""
    for name, text in (("bin/aws", SYNC), ("desk/.venv/bin/facefleet", OURS)):
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
        path.chmod(0o755)
    return tmp_path / "desk"


def run(block: str, service: OnAws, folder: Path) -> None:
    path = f"{folder.parent / 'bin'}:{os.environ['PATH']}"
    env = service.env | {"PATH": path, "FACEFLEET_URL": service.url, "FACEFLEET_API_KEY": "", "PYTHONPATH": str(ROOT)}
    command = ["bash", "-euo", "pipefail", "-c", block]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stdout + done.stderr


def people(service: OnAws) -> dict[str, tuple[str, Any, int]]:
    """By id: the name, the attributes, and how many photos there are."""
    found = service.get("/v1/people")["people"]
    return {one["id"]: (one["name"], one["attributes"], len(one["photos"])) for one in found}


def test_people_who_were_lost_are_there_again(service: OnAws, folder: Path) -> None:
    backup, restore = blocks()
    about = {"name": "Barack Obama", "attributes": {"major": "law"}}
    assert requests.patch(f"{service.url}/v1/people/obama", json=about, timeout=30).ok
    before = people(service)
    assert before["obama"] == ("Barack Obama", {"major": "law"}, before["obama"][2])

    run(backup, service, folder)
    service.run("facefleet.cli", "purge", "--people", "--yes")
    assert people(service) == {}
    run(restore, service, folder)

    assert people(service) == before
    photo = (SAMPLES / "photos/obama2.jpg").read_bytes()
    answer = requests.post(f"{service.url}/v1/recognitions", files={"file": ("who.jpg", photo)}, timeout=60).json()
    assert answer["answer"] == "obama"


def test_who_was_erased_is_not_in_the_next_backup(service: OnAws, folder: Path) -> None:
    backup, _ = blocks()
    run(backup, service, folder)
    service.run("facefleet.cli", "people", "erase", "obama", "--yes")
    run(backup, service, folder)
    kept = {path.name for path in (folder / "backup/photos").iterdir()}
    assert kept == {"biden"}
    assert "obama" not in (folder / "backup/people.jsonl").read_text()
