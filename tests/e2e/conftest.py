"""Services to test against; what they are stands in services.py."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from services import Service, running


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Iterator[Service]:
    """One service that tests share: obama and biden are enrolled, and nobody else for long."""
    with running(tmp_path_factory.mktemp("service"), SCALE_IN_AFTER="3") as service:
        for person in ("obama", "biden"):
            assert service.enrol(person, photos / f"{person}.jpg").status_code == 201
        yield service


@pytest.fixture
def start_service(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Starts services that only this test uses: `start_service(KEEP_DAYS="1")`."""
    with ExitStack() as started:

        def start(**settings: str) -> Service:
            folder = tmp_path / f"service-{len(list(tmp_path.iterdir()))}"
            folder.mkdir()
            return started.enter_context(running(folder, **settings))

        yield start


@pytest.fixture(scope="session")
def chromium() -> str:
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("no chromium: apt-get install chromium")
    return path


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Any]:
    from pages import browsing

    with browsing(chromium) as browser:
        yield browser


@pytest.fixture
def errors() -> Iterator[list[str]]:
    """What the console complained of, also of anything loaded from elsewhere. A rest at the end fails the test."""
    errors: list[str] = []
    yield errors
    assert errors == []


@pytest.fixture
def page(browser: Any, service: Service, errors: list[str]) -> Iterator[Any]:
    from pages import page_at

    with page_at(browser, service.url, errors) as page:
        yield page
