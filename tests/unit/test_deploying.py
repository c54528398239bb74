"""Where a deployment looks for its own service, and what it says where that is not found."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench.local import free_port
from facefleet.backends.aws.account.deployment import Wish
from facefleet.backends.aws.account.templates import Options
from facefleet.cli.deploying import Choices, Deploying, url_of
from facefleet.settings import Settings

TOLD = {"Url": "https://203.0.113.5/", "Address": "203.0.113.5"}
NAMED = TOLD | {"Url": "https://faces.example.org/"}


def account(told: dict[str, str]) -> Any:
    return SimpleNamespace(outputs=lambda: told, certificate=lambda _: b"root", key="key")


def choices(url: str) -> Choices:
    return Choices(yes=True, dry_run=False, as_json=False, patience=1.0, url=url)


def deploying(told: dict[str, str], url: str, folder: Path, **options: str) -> Deploying:
    return Deploying(account(told), Wish(Settings(backend="aws"), Options("ami-1", **options)), choices(url), folder)


@pytest.mark.parametrize("url", ["", "https://203.0.113.5", "http://203.0.113.5:8000/"])
@pytest.mark.parametrize("told", [TOLD, NAMED], ids=["address", "domain"])
def test_who_uses_the_service_from_the_same_terminal_does_not_lead_us_astray(told: dict[str, str], url: str) -> None:
    """FACEFLEET_URL is what `deploy` itself says to set."""
    assert url_of(account(told), choices(url)) == told["Url"]


def test_another_address_is_asked_where_one_is_given() -> None:
    assert url_of(account(TOLD), choices("http://127.0.0.1:8000")) == "http://127.0.0.1:8000/"


@pytest.mark.parametrize(
    ("url", "is_ours"), [("", True), ("https://203.0.113.5", True), ("http://127.0.0.1:8000", False)]
)
def test_its_own_certificate_is_trusted_at_its_own_address(tmp_path: Path, url: str, is_ours: bool) -> None:
    root = deploying(TOLD, url, tmp_path).root()
    assert (root is not None and root.read_bytes() == b"root") if is_ours else root is None


def test_whoever_waits_for_a_domain_is_told_where_it_must_lead(tmp_path: Path) -> None:
    silent = f"http://127.0.0.1:{free_port()}"
    trouble = deploying(NAMED, silent, tmp_path, domain="faces.example.org").ask("")
    assert "does not answer" in trouble and "faces.example.org must lead to 203.0.113.5, by an A record" in trouble
    assert "record" not in deploying(TOLD, silent, tmp_path).ask("")
