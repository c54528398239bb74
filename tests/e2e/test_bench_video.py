"""The bench of the serverless tier, on a classroom of two: what it says is what goes through the function."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import classrooms
import pytest

pytestmark = pytest.mark.slow

FRAMES = 4


@pytest.fixture(scope="module")
def classroom(tmp_path_factory: pytest.TempPathFactory, photos: Path, models: Path) -> Path:
    folder = tmp_path_factory.mktemp("classroom")
    classrooms.write(folder, photos, models)
    return folder


@pytest.fixture(scope="module")
def done(classroom: Path) -> "subprocess.CompletedProcess[str]":
    options = ["--clips", str(classroom), "--frames", str(FRAMES), "--interval", "0.3", "--json"]
    return subprocess.run(
        [sys.executable, "-m", "bench.video", *options], capture_output=True, text=True, timeout=200, check=False
    )


@pytest.fixture(scope="module")
def figures(done: "subprocess.CompletedProcess[str]") -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_clips_are_held_against_the_mapping(figures: dict[str, Any]) -> None:
    assert {name: figures[name] for name in ("right", "total", "wrong", "spelling")} == {
        "right": 2,
        "total": 3,
        "wrong": 1,
        "spelling": 1,
    }


def test_what_goes_in_is_what_comes_out(figures: dict[str, Any]) -> None:
    assert figures["counts"] == dict.fromkeys(("uploads", "events", "invocations", "results"), 3)
    assert (figures["agree"], figures["failed_calls"], figures["messages"]) == (True, 0, 3)


def test_what_is_delivered_twice_is_told_once_and_what_nobody_can_read_is_buried(figures: dict[str, Any]) -> None:
    """Three events, at both environments."""
    assert (figures["again"], figures["doubled"], figures["buried"]) == (6, 0, "not_a_video")


def test_a_cameras_frames_are_answered_in_order(figures: dict[str, Any]) -> None:
    assert [figures[name] for name in ("frames", "answered", "frames_right", "in_order")] == [FRAMES] * 3 + [True]


def test_times_and_memory_are_told_and_make_sense(figures: dict[str, Any]) -> None:
    assert 0 < figures["function_p50_s"] <= figures["function_p95_s"] <= figures["function_max_s"] < figures["wall_s"]
    assert 0 < figures["frame_p50_s"] <= figures["frame_p95_s"]
    assert 0 < figures["init_s"] < figures["cold_start_s"]
    # Of a function that may have 512.
    assert 50 < figures["rss_mb"] < 512
    assert (figures["image"], figures["stranger_rate"]) == (False, 0.05)


def test_it_says_nothing_besides(done: "subprocess.CompletedProcess[str]") -> None:
    """A client that hangs up is no traceback."""
    assert "Traceback" not in done.stderr
