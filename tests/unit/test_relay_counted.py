"""`facefleet verify --relay`: what a relay noted of a workload, held against what was sent and what came home."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from facefleet.arrivals import Arrival, arrivals
from facefleet.errors import NotFound
from openstack_relay.doing import Fate
from openstack_relay.incoming import Event
from openstack_relay.spool import FILE, Spool
from openstack_relay.status import Counted, counted

STEMS = ("test_0", "test_1")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def spool(tmp_path: Path, clock: Clock) -> Iterator[Spool]:
    opened = Spool(tmp_path / FILE, clock=clock)
    yield opened
    opened.close()


def event(stem: str) -> Event:
    told = {"bucket": {"name": "clips"}, "object": {"key": f"{stem}.mp4", "size": 1, "sequencer": "0A"}}
    body = {"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": told}]}
    return Event(stem, tuple(one for one in arrivals(body) if isinstance(one, Arrival)), body)


def relayed(spool: Spool, stem: str, *outcomes: str) -> None:
    """One that was called as often as there are outcomes."""
    delivery, _ = spool.received(event(stem), sent_at=0.0)
    for outcome in outcomes:
        call = spool.call_begins(stem)
        if outcome:
            spool.call_ended(call, outcome)
    spool.ended(delivery, event(stem), Fate.DONE)


def test_each_event_counts_once_however_often_it_was_tried(spool: Spool, tmp_path: Path) -> None:
    relayed(spool, "test_0", "failed", "", "done")
    relayed(spool, "test_1", "done", "done")
    assert counted(tmp_path / FILE, 0.0) == Counted(events=2, called=2)


def test_one_that_nobody_answered_for_is_an_event_and_no_call(spool: Spool, tmp_path: Path) -> None:
    relayed(spool, "test_0", "handed over")
    relayed(spool, "test_1", "throttled")
    assert counted(tmp_path / FILE, 0.0) == Counted(events=2, called=1)


def test_earlier_workloads_do_not_count(spool: Spool, tmp_path: Path, clock: Clock) -> None:
    relayed(spool, "test_0", "done")
    clock.now = 2000.0
    relayed(spool, "test_1", "done")
    assert counted(tmp_path / FILE, 1500.0) == Counted(events=1, called=1)


def test_where_nobody_is_called_calls_are_not_counted(spool: Spool, tmp_path: Path) -> None:
    """A relay that recognises by itself."""
    relayed(spool, "test_0")
    assert counted(tmp_path / FILE, 0.0) == Counted(events=1, called=None)


def test_where_no_relay_ran_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="FACEFLEET_DATA"):
        counted(tmp_path / FILE, 0.0)


def verify(folder: Path, *args: object) -> "subprocess.CompletedProcess[str]":
    line = [sys.executable, "-m", "facefleet.cli", "verify", *map(str, args), "--relay", "--json"]
    env = os.environ | {"FACEFLEET_DATA": str(folder)}
    return subprocess.run(line, env=env, cwd=folder, capture_output=True, text=True, timeout=60)


def test_uploads_events_calls_and_files_at_home_are_to_be_equal(spool: Spool, tmp_path: Path, clock: Clock) -> None:
    clock.now = 1e10
    (tmp_path / "results").mkdir()
    for stem in STEMS:
        relayed(spool, stem, "done")
        (tmp_path / "results" / f"{stem}.txt").write_text("mary,history,senior\n")
    (tmp_path / "mapping").write_text("".join(f"{stem}.mp4:history,senior\n" for stem in STEMS))
    told = json.loads(verify(tmp_path, "results", "mapping").stdout)
    assert told["ok"] and told["counts"] == {"events": 2, "invocations": 2, "results": 2}
    relayed(spool, "test_2", "done")
    done = verify(tmp_path, "results", "mapping")
    assert done.returncode == 1 and json.loads(done.stdout)["counts"] == {"events": 3, "invocations": 3, "results": 2}
