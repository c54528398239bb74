"""The container images of the tree as it is, and what a function in one of them finds outside."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench import cold_start
from bench.container import Image, built, cannot
from bench.local import as_ours
from bench.runtime_api import Running, running
from facefleet.backends.aws.clients import Clients, connect_clients
from facefleet.settings import Settings


@pytest.fixture(scope="session")
def function(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    if why := cannot():
        pytest.skip(why)
    with built("function", tmp_path_factory.mktemp("function")) as image:
        yield image


@pytest.fixture(scope="session")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    if why := cannot():
        pytest.skip(why)
    with built("web", tmp_path_factory.mktemp("web")) as image:
        yield image


@dataclass(frozen=True)
class Account:
    """What a deployment made, as far as the function needs it; obama is enrolled."""

    env: Mapping[str, str]
    settings: Settings
    clients: Clients


@pytest.fixture(scope="session")
def account(photos: Path) -> Iterator[Account]:
    with cold_start.account(photos / "obama.jpg") as env:
        with as_ours(env):
            clients = connect_clients()
        yield Account(env, Settings(backend="aws"), clients)


@contextmanager
def started(image: Image, account: Account, log: Path) -> Iterator[Running]:
    """The function as Lambda starts it; it is gone at the end."""
    # Into a file: of a pipe that nobody reads the function would wait for the reader.
    with log.open("wb") as lines, running(account.env, command=image.entry(), stdout=lines) as function:
        yield function


@pytest.fixture(scope="module")
def up(function: Image, account: Account, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with started(function, account, tmp_path_factory.mktemp("up") / "log") as made:
        yield made
