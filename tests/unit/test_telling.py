"""What a controller tells, and when whoever reads it takes the controller for gone."""

import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from controller.leading import teller
from controller.metrics import Metrics
from controller.status import REPEAT, REPEAT_AT_REST, Board, Status
from facefleet import keys
from facefleet.backends import connect
from facefleet.errors import Unavailable
from facefleet.model import Depth, Heartbeat, InstanceState, WorkerState
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


AT_REST = replace(status(1000.0), depth=Depth(0, 0))


@pytest.mark.parametrize(
    ("told", "rests"),
    [
        (AT_REST, True),
        (replace(AT_REST, instances=AT_REST.instances | {InstanceState.STOPPED: 3}), True),
        (replace(AT_REST, instances=AT_REST.instances | {InstanceState.STOPPING: 1}), False),
        (replace(AT_REST, depth=Depth(0, 1)), False),
        (replace(AT_REST, depth=None), False),
        (replace(AT_REST, workers=(Heartbeat("w", WorkerState.IDLE, 0, 1.0, 1.0),)), False),
    ],
)
def test_at_rest_less_is_written(settings: Settings, told: Status, *, rests: bool) -> None:
    blobs = connect(settings).blobs
    board, metrics = Board(blobs, 1), Metrics(blobs, 1)
    for second in range(int(REPEAT_AT_REST) + 1):
        for place in (board, metrics):
            place.tell(replace(told, at=1000.0 + second))
        repeat = REPEAT_AT_REST if rests else REPEAT
        at = 1000.0 + second // repeat * repeat
        assert shown(blobs)["at"] == at
        assert f"last_tick_timestamp_seconds {at}".encode() in blobs.get(keys.METRICS)


def test_once_it_rests_or_rests_no_more_that_is_written_at_once(settings: Settings) -> None:
    blobs, up = connect(settings).blobs, replace(AT_REST, depth=Depth(1, 0))
    board, metrics = Board(blobs, 1), Metrics(blobs, 1)
    for at, told in enumerate((AT_REST, AT_REST, up, up, AT_REST, AT_REST), 1000):
        for place in (board, metrics):
            place.tell(replace(told, at=float(at)))
        written = {1001: 1000, 1003: 1002, 1005: 1004}.get(at, at)
        assert shown(blobs)["at"] == written
        assert f"last_tick_timestamp_seconds {written}.0".encode() in blobs.get(keys.METRICS)


@pytest.mark.parametrize(("age", "is_there"), [(REPEAT_AT_REST + 3.0, True), (40.0, False)])
def test_a_controller_at_rest_is_waited_for_as_long_as_it_says(
    settings: Settings, age: float, *, is_there: bool
) -> None:
    backend, settings = connect(settings), replace(settings, tick=2.0)
    Board(backend.blobs, 1).tell(replace(AT_REST, at=time.time() - age))
    assert ("controller" not in ready(backend, settings)) is is_there
    told = fleet(backend, settings)
    assert ("last seen" not in told["reason"]) is is_there
    assert "repeat" not in told and "at" not in told


def fleet(backend: Backend, settings: Settings) -> dict[str, Any]:
    with backend.open_replies() as replies:
        app = create_app(backend, ReplyRouter(replies, backend.blobs), settings)
        return dict(app.test_client().get("/v1/fleet").json)


def ready(backend: Backend, settings: Settings) -> list[str]:
    with backend.open_replies() as replies:
        app = create_app(backend, ReplyRouter(replies, backend.blobs), settings)
        return list(app.test_client().get("/readyz").json["failing"])
