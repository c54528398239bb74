"""What the documents in `docs/` and the README name: alarms, commands, pages."""

import re
import shlex
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from itertools import dropwhile
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from botocore import xform_name
from botocore.session import Session

from facefleet.cli.__main__ import MODULES

ROOT = Path(__file__).parents[2]
OPERATIONS = ROOT / "docs/operations.md"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
#: Commands of the AWS command line that are not just a call.
MORE_THAN_CALLS = {("s3", "sync"), ("logs", "tail")}
#: Options of it that every command has.
GLOBAL = {"query", "output", "max-items", "cli-binary-format"}


def shell(page: Path, program: str) -> Iterator[list[str]]:
    """The words of each command of a program in a page's shell blocks."""
    text = "".join(re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL))
    inner = re.findall(r"\$\(([^)]*)\)", text)
    lines = [line.partition(" # ")[0] for line in re.sub(r"\$\([^)]*\)", "VALUE", text).splitlines()]
    for command in [*inner, *(part for line in lines for part in re.split(r" \| |; ", line))]:
        # Settings for this one command stand in front of it.
        words = [*dropwhile(lambda word: re.fullmatch(r"[A-Z_]+=\S*", word), shlex.split(command))]
        if words and words[0].removeprefix(".venv/bin/") == program:
            yield words


# Alarms


def alarms() -> set[str]:
    """Their names behind the deployment's."""
    made = [yaml.safe_load((ROOT / f"deploy/{name}.yaml").read_text())["Resources"] for name in ("store", "fleet")]
    of = [one["Properties"] for some in made for one in some.values() if one["Type"] == "AWS::CloudWatch::Alarm"]
    return {one["AlarmName"]["Fn::Sub"].removeprefix("${Name}-") for one in of}


def test_each_alarm_has_a_heading_and_each_heading_an_alarm() -> None:
    text = OPERATIONS.read_text().partition("\n## Alarms\n")[2].partition("\n## ")[0]
    headings = re.findall(r"^### (.+)$", text, re.MULTILINE)
    assert sorted(headings) == sorted([*alarms(), "monthly budget"])


# Commands


def calls() -> list[tuple[str, list[str]]]:
    return [(page.name, words) for page in PAGES for words in shell(page, "aws")]


@cache
def model(service: str) -> Any:
    return Session().get_service_model(service)


@pytest.mark.parametrize(("page", "words"), calls())
def test_a_call_to_aws_is_one_that_there_is(page: str, words: list[str]) -> None:
    service, command = words[1:3]
    if (service, command) in MORE_THAN_CALLS:
        return
    operations = {xform_name(name, "-"): name for name in model(service).operation_names}
    assert command in operations, f"{page}: aws {service} has no {command}"
    members = model(service).operation_model(operations[command]).input_shape.members
    known = {xform_name(name, "-"): shape for name, shape in members.items()}
    flags = {f"no-{name}" for name, shape in known.items() if shape.type_name == "boolean"}
    given = {word[2:].partition("=")[0] for word in words[3:] if word.startswith("--")}
    assert given - GLOBAL <= known.keys() | flags, f"{page}: {shlex.join(words)}"


def ours() -> list[tuple[str, list[str]]]:
    return [(page.name, words[1:]) for page in PAGES for words in shell(page, "facefleet")]


@pytest.mark.parametrize(("page", "words"), ours())
def test_a_command_of_ours_has_the_options_that_are_told(page: str, words: list[str]) -> None:
    assert words[0] in MODULES, f"{page}: there is no facefleet {words[0]}"
    command = getattr(import_module(f"facefleet.cli.{MODULES[words[0]]}"), words[0])
    if isinstance(command, click.Group):
        command = command.get_command(click.Context(command), words[1])
    assert command is not None, f"{page}: there is no facefleet {shlex.join(words[:2])}"
    known = {flag for parameter in command.params for flag in (*parameter.opts, *parameter.secondary_opts)}
    assert {word.partition("=")[0] for word in words if word.startswith("--")} <= known | {"--help"}, page


# Links


def links() -> list[tuple[Path, str]]:
    return [(page, link) for page in PAGES for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text())]


@pytest.mark.parametrize(("page", "link"), links())
def test_a_link_leads_somewhere(page: Path, link: str) -> None:
    if link.startswith("http"):
        return
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    assert target.exists(), f"{page.name}: {link}"
    if anchor:
        headings = re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE)
        assert anchor in {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings}, link
