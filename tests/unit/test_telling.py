"""What a controller tells, and when whoever reads it takes the controller for gone."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from controller.leading import teller
from controller.status import REPEAT, Board, Status
from facefleet import keys
from facefleet.backends import connect
from facefleet.errors import Unavailable
from facefleet.model import InstanceState
from facefleet.ports import Backend, Blobs
from facefleet.settings import LONGEST_TICK, Settings
from web_tier.app import create_app
from web_tier.router import ReplyRouter
from web_tier.service import STATUS_REPEATED, stale_after


def status(at: float) -> Status:
    return Status(at, "priced", dict.fromkeys(InstanceState, 0), desired=0, most=4, reason="backlog 0")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path)


@dataclass
class WithoutRoom:
    """Blobs that take anything but the metrics."""

    blobs: Blobs

    def put(self, key: str, data: bytes) -> None:
        if key == keys.METRICS:
            raise Unavailable("it cannot be written")
        self.blobs.put(key, data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.blobs, name)


def shown(blobs: Blobs) -> dict[str, Any]:
    return dict(json.loads(blobs.get(keys.FLEET_STATUS)))


def test_what_is_told_bears_the_time_at_which_it_is_told_however_long_the_tick_took(settings: Settings) -> None:
    blobs = connect(settings).blobs
    teller(blobs, 1, lambda: 1060.0)(status(1000.0))
    assert shown(blobs)["at"] == 1060.0
    assert b"last_tick_timestamp_seconds 1060.0" in blobs.get(keys.METRICS)


def test_metrics_that_cannot_be_written_keep_nobody_from_seeing_the_status(settings: Settings) -> None:
    blobs = connect(settings).blobs
    with pytest.raises(Unavailable):
        teller(WithoutRoom(blobs), 1, lambda: 1000.0)(status(1000.0))
    assert shown(blobs)["at"] == 1000.0


@pytest.mark.parametrize("tick", [None, 0.05, 2.0, 5.0, LONGEST_TICK])
def test_a_status_that_lacks_a_tick_or_two_is_not_stale(tick: float | None) -> None:
    settings = Settings(tick=tick)
    assert stale_after(settings) >= max(20.0, REPEAT + 3 * settings.seconds_per_tick)
    assert STATUS_REPEATED == REPEAT


@pytest.mark.parametrize(
    ("tick", "age", "is_there"), [(0.5, 10.0, True), (0.5, 30.0, False), (20.0, 60.0, True), (20.0, 80.0, False)]
)
def test_a_controller_is_there_as_long_as_its_status_may_still_be_its_last(
    tmp_path: Path, tick: float, age: float, *, is_there: bool
) -> None:
    settings = Settings(data=tmp_path, tick=tick)
    backend = connect(settings)
    Board(backend.blobs, 1).tell(status(time.time() - age))
    failing = ready(backend, settings)
    assert ("controller" not in failing) is is_there


def ready(backend: Backend, settings: Settings) -> list[str]:
    with backend.open_replies() as replies:
        app = create_app(backend, ReplyRouter(replies, backend.blobs), settings)
        return list(app.test_client().get("/readyz").json["failing"])
