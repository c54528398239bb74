"""The Pi client's video mode against the service that it is for: clips of people, and who was seen when."""

import csv
import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from PIL import Image
from services import Service
from test_pi import Pi

from tests.unit.clips import clip_of

pytestmark = pytest.mark.slow

#: How long the longest side of a frame is.
SIDE = 640


@pytest.fixture
def start_pi(tmp_path: Path) -> Iterator[Callable[..., Pi]]:
    with ExitStack() as started:

        def start(*args: str) -> Pi:
            pi = Pi(tmp_path / "data", *args)
            started.callback(pi.process.kill)
            return pi

        yield start


@pytest.fixture
def clips(photos: Path, stranger: Path, tmp_path: Path) -> Path:
    """A camera that sees Biden in both forms, then Obama, then a stranger, then nobody; and a photo of Biden."""
    (folder := tmp_path / "camera").mkdir()
    seen = {
        "1.mp4": photos / "biden.jpg",
        "2.h264": photos / "biden.jpg",
        "3.mp4": photos / "obama2.jpg",
        "4.h264": stranger,
    }
    for name, photo in seen.items():
        (folder / name).write_bytes(clip(photo, name.rpartition(".")[2]))
    (folder / "5.mp4").write_bytes(clip_of((Image.new("RGB", (320, 240)), 0.5)))
    (folder / "biden.jpg").write_bytes((photos / "biden.jpg").read_bytes())
    return folder


def clip(photo: Path, kind: str) -> bytes:
    with Image.open(photo) as image:
        image = image.convert("RGB")
        image.thumbnail((SIDE, SIDE))
        return clip_of((image, 0.5), kind=kind)


def test_clips_and_frames_of_a_recording_are_answered_and_clips_lie_in_the_input_bucket(
    service: Service, start_pi: Callable[..., Pi], clips: Path, tmp_path: Path
) -> None:
    pi = start_pi("--url", service.url, "--camera", f"folder:{clips}", "video", "--seconds", "5.5", "--interval", "1")
    pi.says("who was seen when")
    assert pi.ended() == 0, pi.lines
    told = "\n".join(pi.lines)
    taken, answered = map(int, re.findall(r"^(\d+) clips of .* taken, (\d+) answered, 0 lost", told, re.M)[0])
    assert taken == answered >= 10
    by_label = {line["label"]: line["people"] for line in answers(tmp_path)}
    assert [by_label[f"clip-{number}"] for number in range(1, 6)] == ["Biden", "Biden", "Obama", "unknown", ""]
    assert {people for label, people in by_label.items() if label.startswith("frame")} == {"Biden"}
    with (tmp_path / "data/seen.csv").open(newline="") as file:
        assert {line["person"] for line in csv.DictReader(file)} == {"Biden", "Obama", "unknown"}
    kept = {
        path.read_bytes() for path in (service.folder / "data/blobs").rglob("pi-*") if path.suffix in (".mp4", ".h264")
    }
    assert kept == {path.read_bytes() for path in clips.iterdir() if path.suffix != ".jpg"}


def answers(tmp_path: Path) -> list[dict[str, str]]:
    with (tmp_path / "data/answers.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_where_there_is_no_bucket_signed_urls_are_no_way_and_the_check_says_so(
    service: Service, start_pi: Callable[..., Pi], clips: Path, tmp_path: Path
) -> None:
    (tmp_path / "pi.toml").write_text('upload = "presigned"\n')
    options = ("--settings", str(tmp_path / "pi.toml"), "--url", service.url, "--camera", f"folder:{clips}")
    check = start_pi(*options, "--check", "--json")
    assert check.ended() == 1
    found = {finding["check"]: finding for finding in json.loads("".join(check.lines))}
    assert {name for name, finding in found.items() if not finding["ok"]} == {"uploads"}
    assert "set upload to direct" in found["uploads"]["detail"]
    assert found["video"]["ok"] and "a clip of " in found["video"]["detail"]
