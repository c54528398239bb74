"""What systemd-analyze says of units, where no systemd runs."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

#: What facefleet promises of itself; systemd-analyze calls 2.5 "OK", and 9.6 what a unit has without any.
MOST_EXPOSED = 2.5

needs_analyze = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="no systemd-analyze: apt-get install systemd"
)


def said_against(names: Iterable[str], disk: Path, *, programs: Iterable[str]) -> str:
    """What is wrong with these units in the `etc/systemd/system` of a disk, which start these programs; or nothing."""
    shutil.copytree("/usr/lib/systemd/system", disk / "usr/lib/systemd/system", symlinks=True)
    for program in programs:
        (disk / program).parent.mkdir(parents=True, exist_ok=True)
        (disk / program).touch(mode=0o755)
    done = _analyze("verify", "--man=no", f"--root={disk}", *names)
    return done.stdout + done.stderr + (f"status {done.returncode}" if done.returncode else "")


def exposure(unit: Path) -> str:
    """From 0.0 to 10.0, which is everything."""
    done = _analyze("security", "--offline=yes", "--no-pager", str(unit))
    level = re.search(r"Overall exposure level for .*: ([\d.]+)", done.stdout)
    assert level is not None, done.stderr
    return level[1]


def _analyze(*words: str) -> subprocess.CompletedProcess[str]:
    command = ["systemd-analyze", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=os.environ | {"LC_ALL": "C.UTF-8"})
