"""`python -m controller --dry-run`: says what it would do, beside a controller that does it, and touches nothing."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from services import PATIENCE, Service, until

pytestmark = pytest.mark.slow


def written(service: Service) -> dict[Path, bytes]:
    state = service.folder / "data" / "blobs" / "state"
    return {path: path.read_bytes() for path in state.glob("*")}


def test_a_dry_run_tells_what_it_would_do_and_does_nothing(tmp_path: Path) -> None:
    service = Service(tmp_path)
    for i in range(2):
        service.backend.requests.send(f"job {i}")
    watching = service.start("controller", "--dry-run", FACEFLEET_MAX_INSTANCES="2")
    log = tmp_path / "controller.log"
    until(lambda: "launch 2" in log.read_text(), say="its plan")
    watching.send_signal(signal.SIGTERM)
    assert watching.wait(PATIENCE) == 0
    assert log.read_text().count("would") == 1, "the same plan is told once"
    assert (service.workers(), written(service)) == (set(), {})
    assert not (tmp_path / "data" / "controller.lock").exists()


def test_a_dry_run_sees_the_fleet_of_the_controller_beside_it(start_service: Callable[..., Service]) -> None:
    service = start_service(CACHE_BYTES="0", MIN_INSTANCES="1", MAX_INSTANCES="1")
    until(lambda: service.fleet()["instances"]["running"] == 1, say="a worker")
    watching = service.start("controller", "--dry-run")
    log = service.folder / "controller.log"
    until(lambda: "would hold 1, launch 0, retire 0" in log.read_text(), say="its plan")
    watching.send_signal(signal.SIGTERM)
    assert watching.wait(PATIENCE) == 0
    assert service.processes[1].poll() is None
