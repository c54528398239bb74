"""The bench of the Raspberry Pi's client understands what the client says."""

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow


def test_a_short_run_counts_frames_and_answers() -> None:
    options = ["--seconds", "2", "--interval", "0.2", "--idle", "0.5", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "bench.client", *options], capture_output=True, text=True, timeout=150, check=False
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["planned"] == 10
    assert figures["answers"] == figures["frames"] >= 5
    assert figures["bare_p50_ms"] > 0
    assert figures["rss_mb"] > 10
    assert {"added_p50_ms", "jitter_p95_ms", "idle_cpu_percent"} < figures.keys()
