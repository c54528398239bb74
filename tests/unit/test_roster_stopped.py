"""A roster that is cut short while it is loaded."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from facefleet.backends import connect_people
from facefleet.settings import Settings

PATIENCE = 60.0
#: More than any machine writes until it is stopped.
MANY = 20_000


def test_who_stops_it_is_told_how_far_it_came_and_the_same_again_goes_on_from_there(tmp_path: Path) -> None:
    rows = "".join(f"student_{number},law\n" for number in range(MANY))
    (tmp_path / "class.csv").write_text(f"name,major\n{rows}")
    env = {name: value for name, value in os.environ.items() if not name.startswith("FACEFLEET_")}
    env |= {"FACEFLEET_DATA": str(tmp_path)}
    line = [sys.executable, "-m", "facefleet.cli", "roster", "load", "class.csv", "--store", "--yes"]
    loading = subprocess.Popen(line, cwd=tmp_path, env=env, stderr=subprocess.PIPE, text=True)
    people, deadline = connect_people(Settings(data=tmp_path)), time.monotonic() + PATIENCE
    while not people.list(limit=1):
        assert time.monotonic() < deadline and loading.poll() is None
        time.sleep(0.05)
    loading.send_signal(signal.SIGINT)
    _, said = loading.communicate(timeout=PATIENCE)
    assert loading.returncode == 1 and f"of {MANY} done" in said and "goes on from there" in said
    asked = [*line[:-1], "--dry-run"]
    shown = subprocess.run(asked, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=PATIENCE)
    done = int(said.partition(" of ")[0])
    left = int(shown.stdout.splitlines()[-1].partition(" to do; nothing was done")[0])
    # The one in hand may have been written, and not counted.
    assert 0 < done < MANY and left in (MANY - done, MANY - done - 1)
