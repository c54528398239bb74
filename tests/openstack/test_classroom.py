"""The bench of the private cloud, on a classroom of two: clips come home by relay and servers; no server is left."""

import json
import subprocess
import sys
from pathlib import Path

import classrooms
import pytest

from bench.openstack_plane import missing

pytestmark = [pytest.mark.openstack, pytest.mark.slow]


@pytest.mark.timeout(900)
def test_clips_come_home_as_files_and_servers_go_again(tmp_path: Path, photos: Path, models: Path) -> None:
    if why := missing():
        pytest.skip(why)
    classrooms.write(tmp_path, photos, models)
    command = [sys.executable, "-m", "bench.classroom", "--clips", str(tmp_path), "--most", "2", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=880, check=False)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    # The label of the third is wrong.
    wanted = {"clips": 3, "files": 3, "right": 2, "total": 3, "spelling": 1, "done_by_relay": 3, "failed_by_relay": 0}
    assert {name: figures[name] for name in wanted} == wanted
    assert 1 <= figures["most_up"] <= 2
    assert (figures["left"], figures["queued"]) == (0, 0)
