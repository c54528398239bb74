"""`deploy`, `upgrade` and `destroy` of a function, as they are typed, on the emulators."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest
from click.testing import CliRunner, Result

from bench.emulators import AccountEmulator
from facefleet.backends.aws.account.deployment import Wish
from facefleet.backends.aws.account.serverless_account import FunctionAccount
from facefleet.backends.aws.account.templates import Options
from facefleet.cli.__main__ import main
from facefleet.settings import Settings

from .serverless import Door, answering, deployment, names, pushed


@pytest.fixture
def name(one_account: AccountEmulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with deployment(one_account, monkeypatch) as name:
        yield name


@pytest.fixture
def at() -> Iterator[tuple[str, Door]]:
    with answering() as (url, door):
        yield url, door


def run(*words: str, answer: str = "") -> Result:
    return CliRunner().invoke(main, words, input=answer)


def told(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output + result.stderr
    return dict(json.loads(result.stdout))


def deployed(name: str, url: str, *words: str, image: str = "") -> Result:
    image = image or pushed(f"v{uuid4().hex[:8]}")
    asked = ("deploy", "--serverless", "--name", name, "--image", image, "--at", url, "--yes", "--json")
    return run(*asked, *words)


def image_of(name: str) -> str:
    code = boto3.client("lambda").get_function(FunctionName=f"{name}-function")["Code"]
    return str(code["ImageUri"])


def test_deploying_ends_when_it_answers_and_says_where(name: str, at: tuple[str, Door]) -> None:
    url, door = at
    done = told(deployed(name, url))
    assert door.uploads == 1
    assert done["done"] and done["stacks"][0]["verb"] == "make" and done["estimate"]["idle_sum"] > 0
    assert done["url"].startswith("https://") and done["input_bucket"] == f"{name}-input"
    assert done["dead_letters"].endswith(f"{name}-request-dead") and "key" not in done
    again = told(deployed(name, url, "--show-key", image=image_of(name)))
    assert not again["done"] and len(again["key"]) == 40
    door.key = again["key"]
    assert not told(deployed(name, url, image=image_of(name)))["done"]


def test_what_commands_must_be_set_to_is_told_also_beside_a_fleet_whose_buckets_are_others(
    name: str, at: tuple[str, Door], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = FunctionAccount(name).account
    settings = Settings.from_env(names(name) | {"FACEFLEET_BACKEND": "aws"})
    account.store.carry_out(account.plan_store(Wish(settings, Options("ami-1", name))))
    shown = run("deploy", "--serverless", "--name", name, "--image", pushed("told"), "--at", at[0], "--yes")
    (line,) = [line for line in shown.stdout.splitlines() if line.startswith("Then: export ")]
    told = dict(word.split("=", 1) for word in line.split()[2:])
    assert told["FACEFLEET_INPUT_BUCKET"] == f"{name}-input-function"
    assert told["FACEFLEET_PEOPLE_TABLE"] == f"{name}-people"
    for setting, value in told.items():
        monkeypatch.setenv(setting, value)
    (tmp_path / "students.json").write_text('[{"name": "mr_bean", "major": "lawyer"}]')
    assert run("roster", "load", str(tmp_path / "students.json"), "--store", "--yes").exit_code == 0
    found = boto3.client("dynamodb").get_item(TableName=f"{name}-people", Key={"name": {"S": "mr_bean"}})
    assert "Item" in found


def test_a_plan_is_shown_with_what_it_costs_and_nothing_is_done(name: str) -> None:
    image = pushed("planned")
    shown = run("deploy", "--serverless", "--name", name, "--image", image, "--dry-run")
    assert shown.exit_code == 0, shown.output
    assert "1,000 clips" in shown.output and "nothing was done" in shown.output
    assert not FunctionAccount(name).stack.is_there()


def test_who_says_no_has_nothing(name: str) -> None:
    image = pushed("refused")
    refused = run("deploy", "--serverless", "--name", name, "--image", image, answer="n\n")
    assert refused.exit_code == 1 and not FunctionAccount(name).stack.is_there()


def test_an_upgrade_that_does_not_answer_goes_back_by_itself(name: str, at: tuple[str, Door]) -> None:
    url, door = at
    told(deployed(name, url))
    before, door.open = image_of(name), False
    new = pushed("broken")
    asked = ("upgrade", "--serverless", "--name", name, "--at", url, "--patience", "0.5", "--yes", "--json")
    failed = run(*asked, "--image", new)
    assert failed.exit_code == 1 and "All is as it was before" in failed.stderr
    assert image_of(name) == before


def test_an_upgrade_can_be_taken_back(name: str, at: tuple[str, Door]) -> None:
    url, _ = at
    told(deployed(name, url))
    first = image_of(name)
    asked = ("upgrade", "--serverless", "--name", name, "--at", url, "--yes", "--json")
    told(run(*asked, "--image", pushed("newer")))
    assert image_of(name) != first
    told(run(*asked, "--rollback"))
    assert image_of(name) == first
    none = run(*asked, "--rollback")
    assert none.exit_code == 78 and "no image from before" in none.stderr


def test_a_first_one_that_does_not_answer_stands_and_says_where_to_look(name: str, at: tuple[str, Door]) -> None:
    url, door = at
    door.open = False
    failed = deployed(name, url, "--patience", "0.5")
    assert failed.exit_code == 1 and f"/aws/lambda/{name}-function" in failed.stderr
    assert FunctionAccount(name).stack.found() is not None


def test_nothing_to_upgrade_is_told(name: str) -> None:
    missing = run("upgrade", "--serverless", "--name", name, "--image", pushed("x"), "--yes")
    assert missing.exit_code == 1 and "facefleet deploy --serverless makes one" in missing.stderr


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("--serverless", "--domain", "faces.example.org"), "--domain is of machines"),
        (("--serverless", "--warm", "3"), "--warm is of machines"),
        (("--memory", "2048"), "--memory is of a function: add --serverless"),
        (("--no-photos",), "--photos is of a function"),
    ],
)
def test_options_of_the_other_kind_are_refused(name: str, words: tuple[str, ...], what: str) -> None:
    refused = run("deploy", "--name", name, "--image", "x", "--dry-run", *words)
    assert refused.exit_code == 2 and what in refused.stderr


@pytest.mark.parametrize(
    ("setting", "value", "what"),
    [
        ("FACEFLEET_INPUT_BUCKET", "My Bucket", "My Bucket is no name of a bucket"),
        ("FACEFLEET_STATE_BUCKET", "b" * 64, "is no name of a bucket: 3 to 63"),
        ("FACEFLEET_REQUEST_QUEUE", "q" * 76, "is no name of a queue here: at most 75"),
        ("FACEFLEET_LINE_SUFFIX", ".mp4", "FACEFLEET_LINE_SUFFIX is empty or .csv or .txt"),
    ],
)
def test_a_setting_that_cannot_be_used_is_said_before_anything_is_made(
    name: str, monkeypatch: pytest.MonkeyPatch, setting: str, value: str, what: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv(setting, value)
        refused = run("deploy", "--serverless", "--name", name, "--image", pushed("v1"), "--yes")
    assert refused.exit_code == 78 and what in refused.stderr
    assert not FunctionAccount(name).stack.is_there()


@pytest.mark.parametrize("option", [("--budget", "nan"), ("--budget", "-1"), ("--patience", "inf")])
def test_what_is_no_number_of_dollars_or_seconds_is_refused(option: tuple[str, str]) -> None:
    refused = run("deploy", "--serverless", "--image", "x", *option)
    assert refused.exit_code == 2 and option[0] in refused.stderr


def test_one_that_stands_alone_goes_only_with_its_people(name: str, at: tuple[str, Door]) -> None:
    told(deployed(name, at[0]))
    boto3.client("s3").put_object(Bucket=f"{name}-input", Key="test_0.mp4", Body=b"x")
    kept = told(run("destroy", "--name", name, "--yes", "--json"))
    assert kept["left"] == [] and FunctionAccount(name).stack.found() is not None
    assert run("destroy", "--serverless", "--name", name, answer="no\n").exit_code == 0
    assert FunctionAccount(name).stack.found() is not None
    gone = run("destroy", "--serverless", "--name", name, answer=f"{name}-people\n")
    assert gone.exit_code == 0, gone.output
    assert not FunctionAccount(name).stack.is_there()
    tables = boto3.client("dynamodb").list_tables()["TableNames"]
    assert not [one for one in tables if one.startswith(name)]


def test_one_beside_a_fleet_goes_with_its_clips_and_leaves_people(name: str, at: tuple[str, Door]) -> None:
    account = FunctionAccount(name)
    settings = Settings.from_env(names(name) | {"FACEFLEET_BACKEND": "aws"})
    account.account.store.carry_out(account.account.plan_store(Wish(settings, Options("ami-1", name))))
    told(deployed(name, at[0]))
    boto3.client("s3").put_object(Bucket=f"{name}-input-function", Key="test_0.mp4", Body=b"x")
    done = told(run("destroy", "--serverless", "--name", name, "--yes", "--json"))
    assert {step["verb"] for step in done["steps"]} == {"remove"} and all(step["done"] for step in done["steps"])
    assert not account.stack.is_there() and account.account.store.found() is not None
    everything = told(run("destroy", "--name", name, "--yes", "--people", "--json"))
    assert everything["left"] == [] and not account.account.store.is_there()
