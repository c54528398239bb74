"""The environment becomes one value, or a message that names what to correct."""

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facefleet.errors import BadSettings
from facefleet.settings import Settings, env_name, is_loopback
from facefleet.sitesettings import SiteSettings

README = Path(__file__).parent.parent.parent / "README.md"
NUMBERS = [f.name for f in fields(Settings) if f.metadata["low"] is not None]


def of(**values: str) -> Settings:
    """`of(port="9000")`: the settings of an environment with FACEFLEET_PORT=9000."""
    return Settings.from_env({f"FACEFLEET_{name.upper()}": value for name, value in values.items()})


def test_an_empty_environment_gives_the_defaults() -> None:
    assert Settings.from_env({}) == Settings()


def test_names_of_others_are_none_of_our_business() -> None:
    assert Settings.from_env({"PATH": "/bin", "FACEFLEETING": "x", "facefleet_port": "1"}) == Settings()


@pytest.mark.parametrize("name", ["FACEFLEET_PROT", "FACEFLEET_", "FACEFLEET_port"])
def test_an_unknown_name_is_refused_and_named(name: str) -> None:
    with pytest.raises(BadSettings, match=rf"{name}\b|{name}:"):
        Settings.from_env({name: "8000"})


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("port", "9000", 9000),
        ("data", "/srv/faces", Path("/srv/faces")),
        ("max_instances", "3", 3),
        ("scale_in_after", "0", 0.0),
        ("visibility_timeout", "2.5", 2.5),
        ("classic_open", "1", True),
        ("classic_open", "YES", True),
        ("classic_open", "False", False),
        ("input_bucket", "123-in", "123-in"),
        ("log_level", "DEBUG", "DEBUG"),
        ("max_instances", "", None),
        ("models", "", None),
    ],
)
def test_a_value_is_read_as_what_it_is(name: str, text: str, value: Any) -> None:
    read = getattr(of(**{name: text}), name)
    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "-1", " ", "many", "1e999", "0x10", "1,5"])
def test_a_number_that_cannot_be_used_is_refused_and_its_setting_named(name: str, text: str) -> None:
    with pytest.raises(BadSettings, match=env_name_of(name)):
        of(**{name: text})


def env_name_of(name: str) -> str:
    return next(env_name(f) for f in fields(Settings) if f.name == name)


@given(name=st.sampled_from(NUMBERS), text=st.text() | st.floats().map(str) | st.integers().map(str))
def test_whatever_a_number_is_given_as_it_is_at_least_its_lowest_or_refused(name: str, text: str) -> None:
    low, high = next((f.metadata["low"], f.metadata["high"]) for f in fields(Settings) if f.name == name)
    try:
        value = getattr(of(**{name: text}), name)
    except BadSettings as e:
        # Of two settings that do not fit together, the message may name the other.
        assert env_name_of(name) in str(e) or "INSTANCES" in str(e)
    else:
        if value is None:
            assert text == ""
            return
        assert low <= value < float("inf")
        assert high is None or value <= high


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"classic_open": "maybe"}, "FACEFLEET_CLASSIC_OPEN"),
        ({"log_level": "LOUD"}, "FACEFLEET_LOG_LEVEL is DEBUG or INFO or WARNING or ERROR, not 'LOUD'"),
        ({"line_suffix": ".mp4"}, "FACEFLEET_LINE_SUFFIX is empty or .csv or .txt, not '.mp4'"),
        ({"url": "127.0.0.1:8000"}, "FACEFLEET_URL begins with http:// or https://, and '127.0.0.1:8000'"),
        ({"min_instances": "3", "max_instances": "2"}, "FACEFLEET_MIN_INSTANCES"),
        ({"max_message_bytes": "1023"}, "FACEFLEET_MAX_MESSAGE_BYTES"),
        ({"port": "0"}, "FACEFLEET_PORT"),
        ({"port": "65536"}, "FACEFLEET_PORT must be at most 65535"),
        ({"stranger_rate": "1"}, "FACEFLEET_STRANGER_RATE must be at most 0.5"),
        ({"stranger_rate": "0"}, "FACEFLEET_STRANGER_RATE must be at least 0.000001"),
        ({"warm_least": "20"}, "FACEFLEET_WARM_LEAST is above FACEFLEET_WARM_POOL"),
        ({"warm_least": "2", "auto_scaling_group": "group"}, "give the group a warm pool"),
        ({"budget_per_hour": "1"}, "FACEFLEET_INSTANCE_PRICE: set both"),
        ({"budget_per_hour": "0.01", "instance_price": "1"}, "FACEFLEET_BUDGET_PER_HOUR pays for no start"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_named(values: dict[str, str], named: str) -> None:
    with pytest.raises(BadSettings, match=named):
        of(**values)


@pytest.mark.parametrize("name", ["api_key", "api_keys"])
def test_secrets_stay_out_of_repr(name: str) -> None:
    settings = of(**{name: "hunter2:admin"})
    assert getattr(settings, name) == "hunter2:admin"
    assert "hunter2" not in f"{settings!r} {settings}"


def test_keys_and_their_scopes_are_read() -> None:
    keys = of(api_keys="pi:recognise, desk:recognise+enrol ,chief:admin,").keys
    assert keys == {
        "pi": {"recognise"},
        "desk": {"recognise", "enrol"},
        "chief": {"recognise", "enrol", "admin"},
    }


def test_a_key_may_have_colons() -> None:
    assert of(api_keys="a:b:c:enrol").keys == {"a:b:c": {"enrol"}}


def test_without_keys_there_are_none() -> None:
    assert of(api_keys=" , ").keys == {}


@pytest.mark.parametrize("text", ["hunter2", "hunter2:", ":admin", "hunter2:root", "hunter2:admin+", "good:admin,bad"])
def test_keys_that_cannot_be_read_are_refused_and_not_shown(text: str) -> None:
    with pytest.raises(BadSettings, match="FACEFLEET_API_KEYS") as e:
        of(api_keys=text)
    assert "hunter2" not in str(e.value)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.168.1.5", "example.org", "128.0.0.1"])  # noqa: S104  # that is the point
def test_an_address_that_others_reach_needs_a_key(host: str) -> None:
    with pytest.raises(BadSettings, match=r"FACEFLEET_HOST.*FACEFLEET_API_KEYS"):
        of(host=host)
    assert of(host=host, api_keys="k:admin").host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_needs_no_key(host: str) -> None:
    assert of(host=host).keys == {}
    assert is_loopback(host)


def test_the_most_instances_are_as_many_as_the_backend_has_room_for() -> None:
    assert Settings(backend="embedded").instances_at_most >= 1
    assert Settings(backend="aws").instances_at_most == 19
    assert Settings(backend="aws", max_instances=2).instances_at_most == 2


@pytest.mark.parametrize(
    ("values", "url"),
    [
        ({}, "http://127.0.0.1:8000"),
        ({"host": "::1", "port": "9"}, "http://[::1]:9"),
        ({"url": "https://faces.example.org/"}, "https://faces.example.org"),
    ],
)
def test_the_command_line_finds_the_service(values: dict[str, str], url: str) -> None:
    assert of(**values).service_url == url


def test_the_readme_has_each_setting_with_its_default_and_what_it_does() -> None:
    # A table of its own at the end for what one machine and one cloud of AWS never need.
    site = {f.name for f in fields(SiteSettings)}
    ordered = sorted(fields(Settings), key=lambda f: f.name in site)
    ours = [f"| `{env_name(f)}` | {default_of(f.default)} | {f.metadata['help']} |" for f in ordered]
    theirs = re.findall(r"^\| `FACEFLEET_.*\|$", README.read_text(), re.MULTILINE)
    assert theirs == ours, "the README should have:\n" + "\n".join(ours)


def default_of(value: object) -> str:
    if value in ("", None):
        return "–"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"
