"""What a check-up says of the file of user data that servers are given."""

import json
from pathlib import Path
from typing import Any

import pytest

from facefleet.backends.openstack.user_data import MOST_USER_DATA, user_data
from facefleet.findings import Finding, State
from facefleet.settings import Settings

EXAMPLE = Path(__file__).parent.parent.parent / "deploy" / "openstack" / "user-data.worker.json"
#: As the example has it.
BUCKETS = {f"{name}_bucket": f"my-{name}" for name in ("input", "output", "state")}
HUSH = "hush-hush"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "worker.json"
    file.write_text(EXAMPLE.read_text())
    file.chmod(0o600)
    return file


def found(file: Path | None, env: dict[str, str] | None = None, **settings: Any) -> list[Finding]:
    ours = {"backend": "aws", "fleets": "openstack:5", "openstack_user_data": file} | BUCKETS | settings
    return list(user_data(Settings(**ours), env or {}))


def change(file: Path, part: str, **changes: str | None) -> None:
    told = json.loads(file.read_text())
    told[part] = {name: value for name, value in (told[part] | changes).items() if value is not None}
    file.write_text(json.dumps(told))


def one_wrong(findings: list[Finding]) -> str:
    (finding,) = findings
    assert finding.state is State.WRONG
    return finding.words


def test_the_example_that_is_shipped_is_fine(file: Path) -> None:
    endpoint = {"AWS_ENDPOINT_URL_SQS": "http://other.address.of.it", "AWS_ENDPOINT_URL_EC2": "http://127.0.0.1:9"}
    (finding,) = found(file, endpoint)
    assert finding.state is State.OK and str(file) in finding.words


def test_who_else_may_read_it_is_told_with_what_to_do(file: Path) -> None:
    file.chmod(0o640)
    shown, fine = found(file)
    assert shown.state is State.WRONG and f"chmod 600 {file}" in shown.words and fine.state is State.OK


def test_a_name_that_a_worker_needs_and_lacks_is_told_and_no_value(file: Path) -> None:
    change(file, "settings", AWS_DEFAULT_REGION=None)
    change(file, "keys", AWS_SECRET_ACCESS_KEY=None, AWS_ACCESS_KEY_ID=HUSH)
    words = one_wrong(found(file, {"AWS_ENDPOINT_URL": f"http://{HUSH}"}))
    assert "lacks AWS_DEFAULT_REGION, AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL:" in words and HUSH not in words


@pytest.mark.parametrize("theirs", [None, HUSH])
def test_a_worker_that_would_look_elsewhere_than_the_controller_is_told(file: Path, theirs: str | None) -> None:
    change(file, "settings", FACEFLEET_INPUT_BUCKET=theirs, FACEFLEET_REQUEST_QUEUE="facefleet-requests")
    words = one_wrong(found(file))
    assert "FACEFLEET_INPUT_BUCKET:" in words and "FACEFLEET_REQUEST_QUEUE" not in words
    assert HUSH not in words and "my-input" not in words


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f'{{"tier": "web", "keys": {{"AWS_SECRET_ACCESS_KEY": "{HUSH}"}}}}', '"workers"'),
        (f'{{"tier": "workers", "keys": "{HUSH}"}}', "objects"),
        (f'{{"tier": "workers", {HUSH}', "JSON"),
        ("{" + HUSH * MOST_USER_DATA, "too large"),
    ],
)
def test_a_file_that_no_worker_could_use_is_wrong_and_not_quoted(file: Path, text: str, said: str) -> None:
    file.write_text(text)
    words = one_wrong(found(file))
    assert said in words and HUSH not in words


def test_a_script_and_no_file_at_all_nobody_can_judge(file: Path) -> None:
    file.write_text("#!/bin/sh\nexport AWS_SECRET_ACCESS_KEY=hush\n")
    for findings in (found(file), found(None)):
        (finding,) = findings
        assert finding.state is State.UNKNOWN and "deploy/openstack/user-data.worker.json" in finding.words


def test_one_that_cannot_be_read_names_its_setting(tmp_path: Path) -> None:
    assert "FACEFLEET_OPENSTACK_USER_DATA" in one_wrong(found(tmp_path / "nosuch"))
