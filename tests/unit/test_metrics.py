"""What Prometheus reads of a controller: each figure under its name, and a blob that is written now and again."""

from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from controller.metrics import Metrics
from controller.status import REPEAT, Status
from facefleet import keys
from facefleet.backends import connect
from facefleet.model import Depth, InstanceState, Start
from facefleet.ports import Blobs
from facefleet.settings import Settings

STATUS = Status(
    1000.0,
    "priced",
    dict.fromkeys(InstanceState, 0) | {InstanceState.RUNNING: 2},
    desired=3,
    most=4,
    reason="backlog 7",
    depth=Depth(5, 2, oldest=990.0),
    boots=((Start.LAUNCH, 0.4), (Start.LAUNCH, 700.0)),
    errors={"throttled": 2},
    decisions={"launch": 3},
    instance_seconds=120.0,
    cost=0.5,
    calls={"launch": 4},
)


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return connect(Settings(data=tmp_path)).blobs


def read(blobs: Blobs) -> dict[str, float]:
    """The samples, as `name{value}`, with the labels' values alone."""
    return {
        f"{sample.name}{{{','.join(value for _, value in sorted(sample.labels.items()))}}}"
        if sample.labels
        else sample.name: sample.value
        for family in text_string_to_metric_families(blobs.get(keys.METRICS).decode())
        for sample in family.samples
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("controller_last_tick_timestamp_seconds", 1000.0),
        ("controller_epoch", 7),
        ("desired_instances", 3),
        ("max_instances", 4),
        ("instances{running}", 2),
        ("instances{stopping}", 0),
        ("backlog_messages{visible}", 5),
        ("backlog_messages{in_flight}", 2),
        ("oldest_message_age_seconds", 10.0),
        ("decisions_total{launch}", 3),
        ("errors_total{throttled}", 2),
        ("calls_total{launch}", 4),
        ("instance_seconds_total", 120.0),
        ("cost_total", 0.5),
        ("boot_seconds_count{launch}", 2),
        ("boot_seconds_bucket{0.2,launch}", 0),
        ("boot_seconds_bucket{0.5,launch}", 1),
        ("boot_seconds_bucket{600.0,launch}", 1),
        ("boot_seconds_count{pool}", 0),
    ],
)
def test_each_figure_stands_under_its_name(blobs: Blobs, name: str, value: float) -> None:
    Metrics(blobs, epoch=7).tell(STATUS)
    assert read(blobs)[f"facefleet_{name}"] == value


def test_every_name_has_help_and_a_type(blobs: Blobs) -> None:
    Metrics(blobs, epoch=7).tell(STATUS)
    families = list(text_string_to_metric_families(blobs.get(keys.METRICS).decode()))
    assert all(family.documentation and family.type != "unknown" for family in families)


def test_they_are_written_now_and_again_and_no_boot_is_lost_or_counted_twice(blobs: Blobs) -> None:
    metrics, name = Metrics(blobs, epoch=1), "facefleet_boot_seconds_count{launch}"
    for at, count in ((1000.0, 2), (1001.0, 2), (1000.0 + REPEAT, 6)):
        metrics.tell(replace(STATUS, at=at))
        assert read(blobs)[name] == count


def test_what_is_not_known_is_not_told(blobs: Blobs) -> None:
    metrics = Metrics(blobs, epoch=1)
    for second, depth, waits, age in (
        (0, None, None, None),
        (1, Depth(0, 3), 0, 0.0),
        (2, Depth(2, 0), 2, None),
    ):
        metrics.tell(replace(STATUS, at=1000.0 + second * REPEAT, depth=depth))
        samples = read(blobs)
        assert samples.get("facefleet_backlog_messages{visible}") == waits
        assert samples.get("facefleet_oldest_message_age_seconds") == age


def test_two_in_one_process_do_not_mix(blobs: Blobs) -> None:
    Metrics(blobs, epoch=1).tell(STATUS)
    Metrics(blobs, epoch=2).tell(replace(STATUS, boots=()))
    assert read(blobs)["facefleet_boot_seconds_count{launch}"] == 0
