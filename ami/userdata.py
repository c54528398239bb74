"""What user data says: which tier a machine is, with which settings; one JSON object, as `deploy/fleet.yaml` writes it.

{"tier": "web", "settings": {"AWS_DEFAULT_REGION": "us-east-1", "FACEFLEET_BACKEND": "aws"},
 "secret": "arn:aws:secretsmanager:…", "address": {"allocation": "eipalloc-…", "ip": "203.0.113.5", "domain": ""}}

On OpenStack, where a machine has no role and no Secrets Manager, `keys` in the place of `secret`:
`{"AWS_ACCESS_KEY_ID": "…", "AWS_SECRET_ACCESS_KEY": "…"}`.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

from facefleet.errors import BadSettings

TIERS = ("web", "controller", "workers", "relay")
FIELDS = {"tier", "settings", "secret", "address", "keys"}
#: Names of settings; none of boto3's that are keys, nor ours: user data is not for secrets, everybody on the machine
#: may read it. On OpenStack there is no other place that comes with a machine, and `keys` has them.
NAME = re.compile(r"(FACEFLEET|AWS)_[A-Z0-9_]+")
SECRET = re.compile(r"FACEFLEET_API_KEYS?|AWS_(ACCESS_KEY_ID|SECRET_ACCESS_KEY|SESSION_TOKEN)")
ALLOCATION = re.compile(r"eipalloc-[0-9a-f]+")
DOMAIN = re.compile(r"(?=.{1,253}\Z)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]")


@dataclass(frozen=True, slots=True)
class Address:
    """The Elastic IP of the web tier, and the domain that points there; empty: none."""

    allocation: str
    ip: str
    domain: str = ""


@dataclass(frozen=True, slots=True)
class UserData:
    tier: str
    settings: Mapping[str, str]
    #: Which secret of Secrets Manager holds the API key; empty: none.
    secret: str = ""
    address: Address | None = None
    #: Settings, too, that nobody may see.
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)


def read(data: bytes | None, *, may_hold_keys: bool = False) -> UserData | None:
    """None where it is not for us: nothing, a script, a cloud-config. Raises `BadSettings`."""
    if not (data or b"").lstrip().startswith(b"{"):
        return None
    try:
        told = json.loads(data or b"")
    except ValueError as e:
        raise _wrong(f"it is no JSON ({e})") from e
    if unknown := sorted(told.keys() - FIELDS):
        raise _wrong(f"nobody knows {unknown[0]!r} in it")
    if told.get("tier") not in TIERS:
        raise _wrong(f"its tier is {', '.join(TIERS)}, not {told.get('tier')!r}")
    if "keys" in told and not may_hold_keys:
        raise _wrong("keys are for a private cloud, where no role has them: name a secret of Secrets Manager")
    address = told.get("address")
    return UserData(
        tier=told["tier"],
        settings=_settings(told.get("settings")),
        secret=_text(told.get("secret", ""), "secret"),
        address=None if address is None else _address(address),
        keys=_keys(told.get("keys", {})),
    )


def _settings(told: Any) -> dict[str, str]:
    if not isinstance(told, dict):
        raise _wrong("its settings are no object")
    for name in told:
        if not NAME.fullmatch(name):
            raise _wrong(f"{name!r} is no name of a setting: FACEFLEET_… and AWS_… are")
        if SECRET.fullmatch(name):
            raise _wrong(f"{name} is secret, and user data is not: name a secret of Secrets Manager")
    return {name: _text(value, name) for name, value in told.items()}


def _keys(told: Any) -> dict[str, str]:
    """Whatever is wrong with one is told without it."""
    if not isinstance(told, dict):
        raise _wrong("its keys are no object")
    for name, value in told.items():
        if not SECRET.fullmatch(name):
            raise _wrong(f"{name!r} is no key: settings that are not secret stand in settings")
        if not (isinstance(value, str) and value and value.isprintable()):
            raise _wrong(f"{name} is no text, or empty, or holds what does not print")
    return dict(told)


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise _wrong(f"{name} is no text: {value!r}")
    if not value.isprintable():
        raise _wrong(f"{name} holds a newline or another character that does not print")
    return value


def _address(told: Any) -> Address:
    try:
        address = Address(**told)
        ip_address(address.ip)
    except (TypeError, ValueError) as e:
        raise _wrong(f"its address has an allocation, an ip and a domain ({e})") from e
    if not ALLOCATION.fullmatch(_text(address.allocation, "allocation")):
        raise _wrong(f"{address.allocation!r} is no allocation of an address")
    if address.domain and not DOMAIN.fullmatch(_text(address.domain, "domain")):
        raise _wrong(f"{address.domain!r} is no domain")
    return address


def _wrong(why: str) -> BadSettings:
    return BadSettings(
        f"this instance's user data cannot be used: {why}: correct its launch template, or on OpenStack "
        "the file of FACEFLEET_OPENSTACK_USER_DATA"
    )
