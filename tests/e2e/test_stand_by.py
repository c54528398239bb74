"""Controllers of two hosts that share what they write: one leads, the other stands by, and no two act."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from services import PATIENCE, Service, until

from controller.store import LEASE, Store

pytestmark = pytest.mark.slow


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    service = Service(tmp_path)
    yield service
    service.stop()


def log(service: Service) -> str:
    return (service.folder / "controller.log").read_text()


def elsewhere(service: Service, *, ahead: float) -> Store:
    """The store of a controller on another host, whose clock is so far ahead."""
    return Store(service.backend.blobs, "elsewhere", lambda: time.time() + ahead)


def test_one_stands_by_until_the_lease_of_another_host_has_ended_and_then_leads(service: Service) -> None:
    assert elsewhere(service, ahead=2.0 - LEASE).take() is not None
    service.start("controller")
    until(lambda: "standing by: the controller of elsewhere leads" in log(service), say="it stands by")
    until(lambda: "controller: 0 to" in log(service), say="it leads")


def test_one_that_stands_by_ends_when_it_is_told_to(service: Service) -> None:
    assert elsewhere(service, ahead=0.0).take() is not None
    process = service.start("controller")
    until(lambda: "standing by" in log(service), say="it stands by")
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 0
    assert "controller: 0 to" not in log(service)


def test_one_that_has_lost_its_lease_says_so_and_ends(service: Service) -> None:
    process = service.start("controller")
    until(lambda: "controller: 0 to" in log(service), say="it leads")
    until(lambda: elsewhere(service, ahead=2 * LEASE).take(), say="another takes over")
    service.backend.requests.send("work, for which it would have to launch")
    assert process.wait(PATIENCE) == 1
    assert "another controller leads now" in log(service)
    assert not service.workers()


def test_one_that_ends_in_order_lets_another_host_lead_at_once(service: Service) -> None:
    process = service.start("controller")
    until(lambda: "controller: 0 to" in log(service), say="it leads")
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 0
    assert elsewhere(service, ahead=0.0).take() is not None
