"""Whether the file that servers are given as user data tells a worker all it needs. Of its values nothing is told."""

import json
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from facefleet.errors import BadSettings
from facefleet.findings import Finding, ok, unknown, wrong
from facefleet.settings import Settings
from facefleet.settingtext import PREFIX

ABOUT = "user data"
SETTING = f"{PREFIX}OPENSTACK_USER_DATA"
EXAMPLE = "deploy/openstack/user-data.worker.json is an example"
TIER = "workers"
#: Nova's most, in base64: https://docs.openstack.org/api-ref/compute/#create-server
MOST_USER_DATA = 65_535
#: Where a worker finds work, people and blobs: it is to look there, too, where they are looked for here.
PLACES = (
    "backend",
    "request_queue",
    "response_queue",
    "input_bucket",
    "output_bucket",
    "state_bucket",
    "people_table",
)
#: Boto3's own: either says the region, and there are no roles.
REGIONS = ("AWS_DEFAULT_REGION", "AWS_REGION")
KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
ENDPOINTS = "AWS_ENDPOINT_URL"
#: Those of services that a worker calls; without a service's name, of all.
CALLED = (ENDPOINTS, *(f"{ENDPOINTS}_{service}" for service in ("SQS", "S3", "DYNAMODB")))


def user_data(settings: Settings, env: Mapping[str, str]) -> Iterator[Finding]:
    """`env`: ours, whose endpoints workers need, too."""
    path = settings.openstack_user_data
    if path is None:
        yield unknown(ABOUT, f"servers are given none: unless their image knows all, set {SETTING}; {EXAMPLE}")
        return
    try:
        data, mode = path.read_bytes(), stat.S_IMODE(path.stat().st_mode)
    except OSError as e:
        yield wrong(ABOUT, f"{path} cannot be read ({e.strerror}): correct {SETTING}, or chown it to the controller's")
        return
    if mode & 0o077:
        yield wrong(ABOUT, f"{path} may be read by others (mode {mode:o}), and keys lie in it: chmod 600 {path}")
    if 4 * -(-len(data) // 3) > MOST_USER_DATA:
        yield wrong(ABOUT, f"{path} is too large: Nova takes {MOST_USER_DATA * 3 // 4} bytes")
        return
    yield from _said(path, data, settings, env)


def _said(path: Path, data: bytes, settings: Settings, env: Mapping[str, str]) -> Iterator[Finding]:
    if not data.lstrip().startswith(b"{"):
        yield unknown(ABOUT, f"{path} is no JSON, and what a script does is not looked at; for our image, {EXAMPLE}")
        return
    try:
        told = _told(data)
    except BadSettings as e:
        yield wrong(ABOUT, f"{path}: {e}; {EXAMPLE}")
        return
    lacks, differs = lacking(told, env), other(told, settings)
    if lacks:
        yield wrong(ABOUT, f"{path} lacks {', '.join(lacks)}: a worker would reach nothing; {EXAMPLE}")
    if differs:
        yield wrong(ABOUT, f"{path} has other words than here for {', '.join(differs)}: set them there as here")
    if not lacks and not differs:
        yield ok(ABOUT, f"{path}, for {TIER}")


def _told(data: bytes) -> dict[str, Any]:
    """Settings and keys together; raises `BadSettings`, which quotes nothing."""
    try:
        told = json.loads(data)
    except ValueError:
        raise BadSettings("it is no JSON: correct it") from None
    if told.get("tier") != TIER:
        raise BadSettings(f'its tier is to be "{TIER}"')
    parts = [told.get(name, {}) for name in ("settings", "keys")]
    if not all(isinstance(part, dict) for part in parts):
        raise BadSettings("its settings and its keys are to be objects")
    settings, keys = parts
    return {**settings, **keys}


def lacking(told: Mapping[str, Any], env: Mapping[str, str]) -> list[str]:
    """Names that a worker needs whatever ours are, and endpoints that are set here."""
    region = [] if any(told.get(name) for name in REGIONS) else [REGIONS[0]]
    endpoints = [name for name in CALLED if env.get(name)]
    return [*region, *(name for name in (*KEYS, *endpoints) if not told.get(name))]


def other(told: Mapping[str, Any], settings: Settings) -> list[str]:
    """Names of places that a worker would look for elsewhere: said differently, or not said and no default here."""
    usual = Settings()
    names = {place: f"{PREFIX}{place.upper()}" for place in PLACES}
    return [name for place, name in names.items() if told.get(name, getattr(usual, place)) != getattr(settings, place)]
