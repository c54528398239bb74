"""What is told of a fleet over several clouds: on the page, to the command line, as metrics."""

import json
from pathlib import Path

from loops import Process, Shelf
from parts import Sky, a_sky
from storms import HOLD, LIMITS

from controller.classic import CLASSIC
from controller.metrics import Metrics
from controller.policy import Terms
from controller.status import Board, OfCloud, Status
from facefleet import keys
from facefleet.backends import connect
from facefleet.cli.watch import facts, workers_table
from facefleet.settings import Settings


def told_of(sky: Sky) -> Status:
    """With three jobs, and one's own cloud not answering any more."""
    process = Process("one", sky.cloud, Shelf(), CLASSIC, Terms(0, 3, HOLD), LIMITS, make=sky.fleets)
    sky.cloud.arrive(3)
    for _ in range(30):
        sky.cloud.advance(1.0)
        process.tick()
    sky.own.is_down = True
    sky.cloud.advance(1.0)
    process.tick()
    assert process.told is not None
    return process.told


def test_it_is_told_how_many_are_up_in_each_cloud_and_whether_it_answers() -> None:
    status = told_of(a_sky(1, 2, service=60.0, boot=5.0))
    assert status.clouds == {"openstack": OfCloud(1, 1, answers=False), "ec2": OfCloud(2, 2, answers=True)}
    assert sorted(status.homes.values()) == ["ec2", "ec2", "openstack"]


def test_of_one_cloud_alone_nothing_is_told_of_clouds() -> None:
    sky = a_sky(1, 2)
    process = Process("one", sky.cloud, Shelf(), CLASSIC, Terms(0, 3, HOLD), LIMITS)
    process.tick()
    assert process.told is not None and (process.told.clouds, process.told.homes) == ({}, {})


def test_page_metrics_and_command_line_show_it(tmp_path: Path) -> None:
    status = told_of(a_sky(1, 2, service=60.0, boot=5.0))
    blobs = connect(Settings(data=tmp_path)).blobs
    Board(blobs, 1).tell(status)
    Metrics(blobs, 1).tell(status)
    shown = json.loads(blobs.get(keys.FLEET_STATUS)) | {"queue": {"visible": 0, "in_flight": 3, "dead": 0}}
    assert shown["clouds"]["openstack"] == {"up": 1, "max": 1, "answers": False}
    assert {worker["cloud"] for worker in shown["workers"]} == {"openstack", "ec2"}
    assert dict(facts(shown))["clouds"] == "openstack 1 of 1, does not answer; ec2 2 of 2"
    assert [column.header for column in workers_table(shown).columns][-1] == "cloud"
    metrics = blobs.get(keys.METRICS).decode()
    for line in ('cloud_instances{cloud="ec2"} 2.0', 'cloud_answers{cloud="openstack"} 0.0'):
        assert f"facefleet_{line}" in metrics
