"""What a real OpenStack said (Zed, Nova's API 2.93; `tests/openstack/recorded`): the bodies of the stand-in."""

import copy
import json
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "openstack" / "recorded"


@cache
def _read(name: str) -> dict[str, Any]:
    return json.loads((FOLDER / f"{name}.json").read_text())


def answer(name: str) -> tuple[int, Any]:
    """Status and body, to be changed at will."""
    response = _read(name)["response"]
    return response["status"], copy.deepcopy(response["body"])


def body(name: str) -> Any:
    return answer(name)[1]


def recorded_of_site(name: str) -> Any:
    """The body of one of those that a site was made by."""
    return copy.deepcopy(_read("site")[name]["body"])


def server(name: str) -> dict[str, Any]:
    """The only one of a list."""
    return body(name)["servers"][0]


def refusal(name: str, message: str = "") -> tuple[int, Any]:
    """One of Nova's, with these words instead of those that were said then."""
    status, said = answer(name)
    (inner,) = said.values()
    if message:
        inner["message"] = message
    return status, said
