"""User data: what a machine of the image is told at boot; what will not do is said, and not guessed."""

import json
from typing import Any

import pytest

from ami.userdata import Address, UserData, read
from facefleet.errors import BadSettings

WHOLE: dict[str, Any] = {
    "tier": "web",
    "settings": {"AWS_DEFAULT_REGION": "us-east-1", "FACEFLEET_BACKEND": "aws"},
    "secret": "arn:aws:secretsmanager:us-east-1:123456789012:secret:key-abcdef",
    "address": {"allocation": "eipalloc-0123456789abcdef0", "ip": "203.0.113.5", "domain": ""},
}


def told(**other: Any) -> bytes:
    return json.dumps(WHOLE | other).encode()


def test_it_names_tier_settings_secret_and_address() -> None:
    address = Address("eipalloc-0123456789abcdef0", "203.0.113.5")
    assert read(told()) == UserData("web", WHOLE["settings"], WHOLE["secret"], address)


def test_tier_and_settings_are_enough() -> None:
    assert read(b'{"tier": "workers", "settings": {}}') == UserData("workers", {})


@pytest.mark.parametrize("data", [None, b"", b"#!/bin/sh\necho", b"#cloud-config\n", b"Content-Type: multipart/mixed"])
def test_what_is_for_others_is_left_to_them(data: bytes | None) -> None:
    assert read(data) is None


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b'{"tier": ', "no JSON"),
        (told(tier="worker"), "its tier is web, controller, workers, relay, not 'worker'"),
        (told(teir="web"), "nobody knows 'teir'"),
        (told(settings=None), "settings are no object"),
        (told(settings={"FACEFLEET_URL": "a\nFACEFLEET_HOST=b"}), "FACEFLEET_URL holds a newline"),
        (told(settings={"FACEFLEET_URL": "a\x00"}), "does not print"),
        (told(settings={"FACEFLEET_PORT": 8000}), "FACEFLEET_PORT is no text"),
        (told(settings={"LD_PRELOAD": "x.so"}), "'LD_PRELOAD' is no name of a setting"),
        (told(settings={"FACEFLEET_A=1\nB": "2"}), "is no name of a setting"),
        (told(settings={"FACEFLEET_API_KEYS": "k:admin"}), "FACEFLEET_API_KEYS is secret"),
        (told(settings={"AWS_SECRET_ACCESS_KEY": "k"}), "AWS_SECRET_ACCESS_KEY is secret"),
        (told(secret=["arn"]), "secret is no text"),
        (told(address={"allocation": "eipalloc-1"}), "its address has an allocation, an ip and a domain"),
        (told(address=WHOLE["address"] | {"ip": "nowhere"}), "its address has"),
        (told(address=WHOLE["address"] | {"allocation": "i-1"}), "no allocation"),
        (told(address=WHOLE["address"] | {"domain": "a.org {\n"}), "a newline"),
        (told(address=WHOLE["address"] | {"domain": "a.org, b.org"}), "no domain"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_reason(data: bytes, why: str) -> None:
    with pytest.raises(BadSettings, match="user data cannot be used") as refused:
        read(data)
    assert why in str(refused.value)


KEYS = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "not-for-logs"}


def test_on_a_private_cloud_it_may_hold_keys_which_nobody_sees() -> None:
    given = read(told(keys=KEYS), may_hold_keys=True)
    assert given is not None and given.keys == KEYS
    assert "not-for-logs" not in repr(given)


def test_on_ec2_it_holds_none() -> None:
    with pytest.raises(BadSettings, match="keys are for a private cloud") as refused:
        read(told(keys=KEYS))
    assert "not-for-logs" not in str(refused.value)


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        (["not-for-logs"], "its keys are no object"),
        ({"AWS_DEFAULT_REGION": "not-for-logs"}, "'AWS_DEFAULT_REGION' is no key"),
        ({"AWS_SECRET_ACCESS_KEY": ["not-for-logs"]}, "AWS_SECRET_ACCESS_KEY is no text"),
        ({"AWS_SECRET_ACCESS_KEY": "not-for-logs\n"}, "AWS_SECRET_ACCESS_KEY is no text"),
        ({"AWS_SECRET_ACCESS_KEY": ""}, "or empty"),
    ],
)
def test_keys_that_cannot_be_meant_are_refused_without_being_told(keys: Any, why: str) -> None:
    with pytest.raises(BadSettings, match="user data cannot be used") as refused:
        read(told(keys=keys), may_hold_keys=True)
    assert why in str(refused.value)
    assert "not-for-logs" not in str(refused.value)
