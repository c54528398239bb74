"""The templates of `deploy/`: what CloudFormation takes, with parameters that follow from the settings alone."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given as for_all
from hypothesis import strategies as st

from facefleet.backends.aws.account.policies import Account, names
from facefleet.backends.aws.account.templates import (
    FLEET,
    FOLDER,
    LOG_DAYS,
    MOST_PARAMETER_BYTES,
    MOST_TEMPLATE_BYTES,
    STORE,
    Options,
    fleet_parameters,
    given,
    given_options,
    given_settings,
    log_days,
    rendered,
    store_parameters,
)
from facefleet.errors import BadSettings
from facefleet.settings import Settings

BOTH = [STORE, FLEET]
AWS = Settings(backend="aws")
OPTIONS = Options("ami-0123456789abcdef0")
OUTPUTS = {"ApiKeySecret": "arn:aws:secretsmanager:x", "AlarmTopic": "arn:aws:sns:x"}
SECRETS = ("api_key", "api_keys")
TEXT = st.text(st.characters(categories=("L", "N", "P", "Zs"), exclude_characters="\n\r"), min_size=1, max_size=30)


def fleet(settings: Settings = AWS, options: Options = OPTIONS, *, region: str = "eu-central-1") -> dict[str, str]:
    return fleet_parameters(settings, options, OUTPUTS, region=region)


def parameters(which: str, settings: Settings = AWS, options: Options = OPTIONS) -> dict[str, str]:
    return store_parameters(settings, options) if which == STORE else fleet(settings, options)


@pytest.fixture(params=BOTH)
def template(request: pytest.FixtureRequest) -> dict[str, Any]:
    return {"which": request.param, **json.loads(rendered(request.param))}


def inside(part: Any) -> Iterator[Any]:
    """Everything that is in it."""
    yield part
    for one in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from inside(one)


def test_both_pass_cloudformations_own_rules_as_written_and_as_sent(tmp_path: Path) -> None:
    sent = []
    for which in BOTH:
        sent.append(tmp_path / f"{which}.json")
        sent[-1].write_text(rendered(which))
    command = [Path(sys.executable).with_name("cfn-lint"), "-r", "us-east-1", "eu-central-1", "--"]
    done = subprocess.run([*command, *FOLDER.glob("*.yaml"), *sent], capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("", 0)


@pytest.mark.parametrize("which", BOTH)
def test_a_template_fits_and_is_the_same_each_time(which: str) -> None:
    assert rendered(which) == rendered(which)
    assert len(rendered(which).encode()) < MOST_TEMPLATE_BYTES


def test_a_template_is_given_just_the_parameters_that_it_asks_for(template: dict[str, Any]) -> None:
    assert parameters(template["which"]).keys() == template["Parameters"].keys()
    assert all(type(value) is str for value in parameters(template["which"]).values())


def test_defaults_of_parameters_are_what_default_settings_give(template: dict[str, Any]) -> None:
    given_by_us = parameters(template["which"])
    said = {name: str(one["Default"]) for name, one in template["Parameters"].items() if "Default" in one}
    assert {name: given_by_us[name] for name in said} == said


def test_what_parameters_hold_is_what_they_may(template: dict[str, Any]) -> None:
    odd = replace(AWS, keep_days=0.05, visibility_timeout=0.1, max_receives=5000, max_message_bytes=9_999_999)
    told = replace(OPTIONS, domain="faces.example.org", email="a@b.c", budget=50.0, plain_from="198.51.100.0/24")
    for settings, options in ((AWS, OPTIONS), (odd, told), (replace(odd, keep_days=9999.0), told)):
        for name, value in parameters(template["which"], settings, options).items():
            asked = template["Parameters"][name]
            assert re.search(asked.get("AllowedPattern", ""), value), name
            assert value in map(str, asked.get("AllowedValues", [value])), name
            if asked["Type"] == "Number":
                assert float(asked.get("MinValue", 0)) <= float(value) <= float(asked.get("MaxValue", "inf")), name


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("Domain", 'x", "tier": "controller'),
        ("Domain", "example"),
        ("Domain", "https://example.org"),
        ("PlainFrom", "everybody"),
        ("PlainFrom", "198.51.100.7"),
        ("WebType", "large"),
        ("Name", "Facefleet"),
        ("Name", "a" * 32),
        ("Settings", "{}"),
    ],
)
def test_a_parameter_that_would_break_a_machines_user_data_or_a_name_is_refused(name: str, bad: str) -> None:
    assert not re.search(json.loads(rendered(FLEET))["Parameters"][name]["AllowedPattern"], bad)


def test_every_name_in_a_policy_is_one_of_the_template_and_one_that_is_known_without_it(
    template: dict[str, Any],
) -> None:
    known = {*template["Parameters"], *template["Resources"]}
    used = {
        name
        for one in inside(template["Resources"])
        if isinstance(one, dict) and isinstance(one.get("Fn::Sub"), str)
        for name in re.findall(r"\$\{([\w:.]+)\}", one["Fn::Sub"])
    }
    assert {name for name in used if name.partition(".")[0] not in known and not name.startswith("AWS::")} == set()
    of_policies = {
        name for path in FOLDER.glob("policies/*.json") for name in re.findall(r"\$\{([^}]+)\}", path.read_text())
    }
    assert of_policies <= names(Account("123456789012", "us-east-1"), AWS).keys()


def test_nothing_that_cloudformation_should_fill_in_is_left_as_text(template: dict[str, Any]) -> None:
    for part in inside(template["Resources"]):
        if isinstance(part, dict) and "Fn::Sub" not in part:
            assert not any(isinstance(one, str) and "${" in one for one in part.values())
        if isinstance(part, list):
            assert not any(isinstance(one, str) and "${" in one for one in part)


@for_all(st.fixed_dictionaries({name: TEXT for name in ("request_queue", "instance_name", "instance_types")}))
def test_settings_come_back_from_a_parameter_whatever_is_in_them(own: dict[str, str]) -> None:
    settings = replace(AWS, **own)
    # White space alone names no type.
    if any(kind.strip() for kind in settings.instance_types.split(",")):
        told = fleet(settings)
        assert told["Settings"].isascii(), "CloudFormation does not tell the rest again"
        assert Settings.from_env(given_settings(told)) == replace(settings, log_group="facefleet")


def test_no_setting_is_lost_on_the_way() -> None:
    changed = replace(
        AWS, max_instances=3, spot_share=0.5, warm_least=2, classic_open=True, least_bill=0.0, keep_days=0.1, tick=1.5
    )
    assert Settings.from_env(given(changed)) == changed
    assert given(AWS) == {"FACEFLEET_BACKEND": "aws"}


def test_secrets_and_what_is_about_this_machine_alone_are_not_passed_on() -> None:
    mine = replace(
        AWS, api_key="hunter2", api_keys="hunter2:admin", data=Path("/x"), models=Path("/x"), port=9999, url="http://x"
    )
    assert fleet(mine) == fleet(AWS)
    assert [f.name for f in fields(Settings) if not f.repr] == list(SECRETS)


def test_settings_that_no_deployment_can_have_are_refused() -> None:
    with pytest.raises(BadSettings, match="FACEFLEET_SUBNETS"):
        fleet(replace(AWS, subnets="subnet-1"))
    with pytest.raises(BadSettings, match="FACEFLEET_INSTANCE_TYPES"):
        fleet(replace(AWS, instance_types=" , "))
    with pytest.raises(BadSettings, match=f"takes {MOST_PARAMETER_BYTES}"):
        fleet(replace(AWS, instance_types=",".join(["t3.medium"] * 500)))


def test_what_a_standing_deployment_was_told_is_known_again() -> None:
    told = Options(
        image="ami-1",
        name="staging",
        web_type="c7g.large",
        controller_type="t4g.nano",
        domain="faces.example.org",
        email="a@b.c",
        budget=12.5,
        plain_from="198.51.100.0/24",
        credits="standard",
        previous_image="ami-0",
    )
    for options in (told, OPTIONS, replace(told, budget=None)):
        stands = store_parameters(AWS, options), fleet_parameters(AWS, options, OUTPUTS, region="x")
        assert given_options(options.name, *stands) == options
    assert given_options("new", {}, {}) == Options("", name="new")


def test_the_same_is_the_same_text_so_that_a_second_deployment_changes_nothing() -> None:
    assert store_parameters(AWS, replace(OPTIONS, budget=50.0))["Budget"] == "50"
    assert store_parameters(AWS, replace(OPTIONS, budget=0.0)) == store_parameters(AWS, OPTIONS)
    assert fleet(Settings.from_env(given(replace(AWS, spot_share=1.0)))) == fleet(replace(AWS, spot_share=1.0))


@pytest.mark.parametrize(
    ("types", "credits"),
    [("t3.medium", "unlimited"), ("t3.medium, t4g.small", "unlimited"), ("c7g.large", ""), ("t3.medium,c7i.large", "")],
)
def test_credits_are_spoken_of_only_where_every_type_has_them(types: str, credits: str) -> None:
    assert fleet(replace(AWS, instance_types=types))["WorkerCredits"] == credits


@for_all(st.floats(0.05, 20_000))
def test_log_lines_are_forgotten_no_later_than_all_else(days: float) -> None:
    assert log_days(days) in LOG_DAYS
    assert log_days(days) <= max(1, days + 1)


def test_a_file_that_is_not_there_is_told_with_what_to_do() -> None:
    with pytest.raises(BadSettings, match="checkout"):
        rendered("nothing")


def test_the_templates_are_plain_yaml() -> None:
    for path in FOLDER.glob("*.yaml"):
        assert yaml.safe_load(path.read_text())["AWSTemplateFormatVersion"] == "2010-09-09"
