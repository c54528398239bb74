"""The settings file that `install.sh` writes: an example that cannot drift, and single values set in it."""

import os
import subprocess
import sys
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pi_uploader.settings import KEY_VARIABLE, BadSettings, Settings, load
from pi_uploader.settings_file import example, with_values

ROOT = Path(__file__).parents[2]
URL = "http://laptop:8000"


def test_the_example_sets_nothing() -> None:
    assert tomllib.loads(example()) == {}


def test_what_the_example_shows_are_the_defaults_of_all_settings() -> None:
    shown = tomllib.loads(
        "\n".join(line[1:] for line in example().splitlines() if line[:1] == "#" and line[:2] != "# ")
    )
    assert shown == {f.name: f.default for f in fields(Settings)}


@pytest.mark.parametrize("line", ['#url = "http://a"', 'url = "http://a"', '# url="http://a"', "url = 1  # wrong"])
def test_a_value_stands_where_it_stood(line: str) -> None:
    assert with_values(f"# mine\n{line}\nwidth = 640\n", {"url": URL}) == f'# mine\nurl = "{URL}"\nwidth = 640\n'


def test_a_value_that_is_set_goes_before_a_default_that_is_shown() -> None:
    assert with_values('#url = 1\nurl = "http://a"\n', {"url": URL}) == f'#url = 1\nurl = "{URL}"\n'


def test_a_setting_that_is_not_there_comes_first() -> None:
    """Behind a table's head it would be that table's."""
    assert with_values("width = 640\n", {"url": URL}) == f'url = "{URL}"\nwidth = 640\n'


def test_all_else_stays_as_it_was() -> None:
    text = f'# a "comment"\nwidth = 640  # small\n\n{example()}'
    assert with_values(text, {}) == text


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1))
def test_any_key_that_there_can_be_comes_back_whole(key: str) -> None:
    assert tomllib.loads(with_values(example(), {"api_key": key}))["api_key"] == key


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("", "ftp://laptop"),
        ("", "laptop"),
        ("[faces]\n#url = 1\n", URL),
        ("this is no TOML", URL),
        ("'url' = 'a'\n", URL),
    ],
)
def test_what_could_not_be_used_is_refused(text: str, url: str) -> None:
    with pytest.raises(BadSettings):
        with_values(text, {"url": url})


def run(*args: str, key: str = "") -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "pi_uploader.settings_file", *args]
    env = os.environ | {"PYTHONPATH": str(ROOT), KEY_VARIABLE: key}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)


def test_a_new_file_has_what_was_asked_for_and_the_key_of_the_environment(tmp_path: Path) -> None:
    made = run(str(tmp_path / "none.toml"), "--url", URL, "--data", "/var/lib/x", "--on_hold", "poweroff", key='a"b\\c')
    file = tmp_path / "made.toml"
    file.write_text(made.stdout)
    assert load(file, {}, {}) == Settings(url=URL, data="/var/lib/x", on_hold="poweroff", api_key='a"b\\c')


def test_without_anything_to_set_a_file_stays_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("# für mich\nwidth = 640\n", "utf-8")
    assert run(str(file)).stdout == file.read_text("utf-8")


def test_a_refusal_is_a_line(tmp_path: Path) -> None:
    refused = run(str(tmp_path / "none.toml"), "--url", "laptop")
    assert refused.returncode == 1
    assert refused.stdout == ""
    assert refused.stderr.startswith("settings: url is http://HOST:8000")
